// Makes lib/native/ops.generated.ts from native/ops.def; with --check only says whether it is current (exit code 1 if not).
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const source = new URL('../native/ops.def', import.meta.url);
const target = new URL('../lib/native/ops.generated.ts', import.meta.url);

/** @typedef {{ name: string, inputs: string[], outputs: string[], params: string[] }} Op */

/**
 * The rows of an op table.
 * @param {string} text
 * @returns {Op[]}
 */
export function parseOps(text) {
  /** @type {Op[]} */
  const ops = [];
  text.split('\n').forEach((line, index) => {
    const code = line.replace(/\/\/.*$/, '').trim();
    if (code === '') return;
    const row = /^OP\((\w+), "([^"]*)", "([^"]*)", "([^"]*)"\)$/.exec(code);
    const where = `native/ops.def:${index + 1}`;
    if (row === null) throw new Error(`${where}: expected OP(name, "inputs", "outputs", "parameters"), got ${code}`);
    const [, name = '', ...lists] = row;
    if (ops.some((op) => op.name === name)) throw new Error(`${where}: ${name} stands there twice`);
    const [inputs = [], outputs = [], params = []] = lists.map((list) => (list === '' ? [] : list.split(' ')));
    for (const word of [...inputs, ...outputs]) {
      if (!/^\w+[?*]?$/.test(word)) throw new Error(`${where}: expected a name, name? or name*, got '${word}'`);
    }
    for (const word of params) {
      if (!/^\w+$/.test(word)) throw new Error(`${where}: expected a parameter name, got '${word}'`);
    }
    ops.push({ name, inputs, outputs, params });
  });
  return ops;
}

/**
 * The TypeScript text for an op table.
 * @param {readonly Op[]} ops
 */
export function renderOps(ops) {
  const list = (/** @type {string[]} */ words) => `[${words.map((word) => `'${word}'`).join(', ')}]`;
  const rows = ops.map(
    ({ name, inputs, outputs, params }) =>
      `  ${name}: { inputs: ${list(inputs)}, outputs: ${list(outputs)}, params: ${list(params)} },`,
  );
  return `// Made by scripts/generate-ops.mjs from native/ops.def. Change that file, then \`npm run generate\`.

/** The operands and parameters of one op; \`name?\` may be left out, \`name*\` is a list. */
export interface OpSignature {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly params: readonly string[];
}

/** Every op of the native core; the place in this list is the opcode. */
export const opNames = [
${ops.map(({ name }) => `  '${name}',`).join('\n')}
] as const;

export type OpName = (typeof opNames)[number];

/** The number that stands for each op in a command. */
export const opcode: Readonly<Record<OpName, number>> = {
${ops.map(({ name }, index) => `  ${name}: ${index},`).join('\n')}
};

/** Names of each op's operands and parameters, in order. */
export const opSignatures = {
${rows.join('\n')}
} as const satisfies Readonly<Record<OpName, OpSignature>>;
`;
}

/** The text that lib/native/ops.generated.ts should hold now. */
export function currentOps() {
  return renderOps(parseOps(readFileSync(source, 'utf8')));
}

function main() {
  const wanted = currentOps();
  let present = '';
  try {
    present = readFileSync(target, 'utf8');
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') throw error;
  }
  if (present === wanted) return;
  if (process.argv.includes('--check')) {
    console.error('lib/native/ops.generated.ts is not what native/ops.def says: run `npm run generate`');
    process.exitCode = 1;
  } else {
    writeFileSync(target, wanted);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
