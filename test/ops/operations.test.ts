import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Tensor } from '../../lib/index.js';
import { operations } from '../conformance/run.js';
import { cases } from './cases.js';
import { publicFunctions } from './public.js';
import { undifferentiatedFunctions } from './undifferentiated.js';

/** What PyTorch calls it where that is not our name in snake_case; null where it has nothing of the kind. */
const names: Readonly<Record<string, string | null>> = {
  atleast1d: 'atleast_1d',
  atleast2d: 'atleast_2d',
  atleast3d: 'atleast_3d',
  attentionWeights: null,
  convolutionMatrix: null,
  convolve1d: null,
  convolve2d: null,
  fromTypedArray: 'from_numpy',
  getWinograd: null,
  logSigmoid: 'nn.functional.logsigmoid',
  maxout: null,
  recurrent: null,
  rmsNorm: 'nn.functional.rms_norm',
  scaledDotProductAttention: 'nn.functional.scaled_dot_product_attention',
  setWinograd: null,
  slice: null,
  unfold: 'nn.functional.unfold',
  unfoldDim: 'Tensor.unfold',
};

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

function torchName(name: string): string | null {
  if (name in names) return names[name]!;
  const plain = snakeCase(name);
  return Object.hasOwn(operations, `nn.functional.${plain}`) ? `nn.functional.${plain}` : plain;
}

const code = (text: string | null): string => (text === null ? '–' : `\`${text}\``);

/** What derivatives an operation has. */
function gradients(name: string): string {
  const reason = undifferentiatedFunctions[name];
  if (reason !== undefined) return `none: ${reason}`;
  const once = cases.filter((one) => one.name.split(' ')[0] === name && one.firstOnly !== undefined);
  return once.length === 0
    ? 'first and second order'
    : `first order only: ${once.map(({ firstOnly }) => firstOnly).join('; ')}`;
}

function page(): string {
  const seen = new Set<string>();
  const sections = [...publicFunctions].flatMap(([family, functions]) => {
    const own = functions.filter((name) => !seen.has(name));
    own.forEach((name) => seen.add(name));
    if (own.length === 0) return [];
    const rows = own.map((name) => {
      const method = name in Tensor.prototype ? 'yes' : '';
      return `| \`${name}\` | ${method} | ${code(torchName(name))} | ${gradients(name)} |`;
    });
    return [`## ${family}`, '', '| function | method | in PyTorch | gradients |', '|---|---|---|---|', ...rows, ''];
  });
  const once = cases.filter(({ firstOnly }) => firstOnly !== undefined);
  return [
    '# Operations',
    '',
    `The ${seen.size} public operations by their files in \`lib/ops/\`; a method takes the tensor as the first argument of the`,
    'function of its name. `npx vitest run test/ops/operations.test.ts -u` writes this page, and the tests fail when it is not',
    'current.',
    '',
    'All gradients are checked against central differences in float64, and so are gradients of gradients' +
      (once.length === 0 ? ', without exception.' : ' but for these calls:'),
    ...(once.length === 0 ? [] : ['', ...once.map(({ name, firstOnly }) => `- ${name}: ${firstOnly!}`)]),
    '',
    'The samples that PyTorch 1.13 tests its own operators with run against this library with',
    '`npm run conformance -- test/golden/torch-ops`; any other dump of that format will do, see',
    '[its description](../test/golden/torch-ops/README.md).',
    '',
    ...sections,
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}

// Made by test/golden/torch_api.py.
const { methods } = JSON.parse(readFileSync(new URL('../golden/torch_api.json', import.meta.url), 'utf8')) as {
  methods: string[];
};

it('what is a method of tensors in PyTorch is one here', () => {
  const functions = [...publicFunctions.values()].flat();
  const missing = functions.filter((name) => methods.includes(snakeCase(name)) && !(name in Tensor.prototype));
  // Tensor.solve of PyTorch 1.13 throws.
  expect(missing).toEqual(['solve']);
});

it('docs/operations.md lists the operations there are', async () => {
  await expect(page()).toMatchFileSnapshot('../../docs/operations.md');
});
