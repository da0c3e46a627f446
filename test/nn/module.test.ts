import { describe, expect, it } from 'vitest';
import { ReLU } from '../../lib/nn/activation.js';
import { ModuleDict, ModuleList, ParameterList, Sequential } from '../../lib/nn/container.js';
import { Dropout } from '../../lib/nn/dropout.js';
import { Embedding } from '../../lib/nn/embedding.js';
import { Flatten, Identity, Linear } from '../../lib/nn/linear.js';
import { Module } from '../../lib/nn/module.js';
import { Parameter } from '../../lib/nn/parameter.js';
import { IndexOutOfRangeError, ShapeError, StateDictError, ValueError } from '../../lib/errors.js';
import { meta } from '../../lib/meta.js';
import { ones, zeros } from '../../lib/ops/create.js';
import type { Tensor } from '../../lib/tensor.js';
import { liveHandles, numbers } from './values.js';

class Block extends Module {
  scale = new Parameter(ones([2]));
  fc = [new Linear(2, 3), new Linear(3, 2)];
  mean!: Tensor;
  scratch!: Tensor;

  constructor() {
    super();
    this.registerBuffer('mean', zeros([2]));
    this.registerBuffer('scratch', zeros([1]), { persistent: false });
  }

  forward(x: Tensor): Tensor {
    return this.fc[1]!.forward(this.fc[0]!.forward(x)).mul(this.scale);
  }
}

class Net extends Module {
  readonly block = new Block();
  readonly head = new Linear(2, 1, { bias: false });
  readonly tail = new Parameter(zeros([1]));

  forward(x: Tensor): Tensor {
    return this.head.forward(this.block.forward(x)).add(this.tail);
  }
}

const names = (list: readonly (readonly [string, unknown])[]): string[] => list.map(([name]) => name);

describe('what a module holds', () => {
  it('finds parameters, buffers and modules in order, under PyTorch names', () => {
    const net = new Net();
    const own = ['block.scale', 'block.fc.0.weight', 'block.fc.0.bias', 'block.fc.1.weight', 'block.fc.1.bias'];
    expect(names(net.namedParameters())).toEqual(['tail', ...own, 'head.weight']);
    expect(names(net.namedBuffers())).toEqual(['block.mean', 'block.scratch']);
    expect(names(net.namedModules())).toEqual(['', 'block', 'block.fc.0', 'block.fc.1', 'head']);
    expect(names(net.namedChildren())).toEqual(['block', 'head']);
    expect(Object.keys(net.stateDict())).toEqual(['tail', 'block.scale', 'block.mean', ...own.slice(1), 'head.weight']);
    expect(net.parameters()).toHaveLength(7);
    expect(net.buffers()).toHaveLength(2);
  });

  it('counts shared parameters and modules once, but names them everywhere in the state dict', () => {
    const shared = new Linear(2, 2);
    const model = new Sequential(shared, new ReLU(), shared);
    const other = new Linear(2, 2);
    (other as { weight: Parameter }).weight = shared.weight;
    const tied = new ModuleList([shared, other]);
    expect(names(model.namedParameters())).toEqual(['0.weight', '0.bias']);
    expect(model.modules()).toHaveLength(3);
    expect(Object.keys(model.stateDict())).toEqual(['0.weight', '0.bias', '2.weight', '2.bias']);
    expect(names(tied.namedParameters())).toEqual(['0.weight', '0.bias', '1.bias']);
    expect(Object.keys(tied.stateDict())).toEqual(['0.weight', '0.bias', '1.weight', '1.bias']);
  });

  it('survives references to modules above', () => {
    class Child extends Module {
      weight = new Parameter(ones([1]));
      constructor(readonly parent: Module) {
        super();
      }
      forward(x: Tensor): Tensor {
        return x.mul(this.weight);
      }
    }
    class Parent extends Module {
      readonly child: Child = new Child(this);
      forward(x: Tensor): Tensor {
        return this.child.forward(x);
      }
    }
    const parent = new Parent();
    expect(parent.modules()).toHaveLength(2);
    expect(Object.keys(parent.stateDict())).toEqual(['child.weight']);
    expect(parent.toString()).toContain('Parent(...)');
    expect(numbers(parent.forward(ones([2])))).toEqual([1, 1]);
  });

  it('refuses bad buffers', () => {
    const net = new Net();
    expect(() => net.registerBuffer('a.b', zeros([1]))).toThrow(ValueError);
    expect(() => net.registerBuffer('', zeros([1]))).toThrow(ValueError);
    expect(() => net.registerBuffer('tail', zeros([1]))).toThrow('expected a name that is free, got "tail"');
    expect(() => net.registerBuffer('p', net.tail)).toThrow('expected a Tensor for "p", got a Parameter');
    expect(() => net.registerBuffer('p', 3 as unknown as Tensor)).toThrow(ValueError);
  });

  it('prints as PyTorch does', () => {
    const model = new Sequential({ fc: new Linear(4, 2), rest: new Sequential(new ReLU(), new Dropout(0.1)) });
    expect(String(model)).toBe(
      [
        'Sequential(',
        '  (fc): Linear(inFeatures=4, outFeatures=2, bias=true)',
        '  (rest): Sequential(',
        '    (0): ReLU()',
        '    (1): Dropout(p=0.1)',
        '  )',
        ')',
      ].join('\n'),
    );
  });
});

describe('modes', () => {
  it('sets training on all modules', () => {
    const net = new Net();
    expect(net.modules().every((module) => module.training)).toBe(true);
    expect(net.eval()).toBe(net);
    expect(net.modules().some((module) => module.training)).toBe(false);
    net.train();
    expect(net.modules().every((module) => module.training)).toBe(true);
    expect(() => net.train(1 as unknown as boolean)).toThrow(ValueError);
  });

  it('applies a function to children first', () => {
    const seen: string[] = [];
    new Sequential(new Linear(1, 1), new ReLU()).apply((module) => void seen.push(module.constructor.name));
    expect(seen).toEqual(['Linear', 'ReLU', 'Sequential']);
  });

  it('freezes parameters and clears gradients', () => {
    const net = new Net();
    net
      .forward(ones([1, 2]))
      .sum()
      .backward();
    expect(net.parameters().every((p) => p.grad !== null)).toBe(true);
    net.zeroGrad();
    expect(net.parameters().every((p) => p.grad === null)).toBe(true);
    net.requiresGrad_(false);
    expect(net.forward(ones([1, 2])).requiresGrad).toBe(false);
  });
});

describe('forward', () => {
  it('runs hooks once each, in order, also with super.forward()', () => {
    class Base extends Module {
      forward(x: Tensor): Tensor {
        return x.add(1);
      }
    }
    class Derived extends Base {
      override forward(x: Tensor): Tensor {
        return super.forward(x).mul(2);
      }
    }
    const module = new Derived();
    const log: string[] = [];
    const hook = (name: string) => (): void => void log.push(name);
    const first = module.registerForwardHook(hook('a'));
    module.registerForwardHook(hook('b'));
    expect(module.forward(ones([1])).itemSync()).toBe(4);
    expect(log).toEqual(['a', 'b']);
    first.remove();
    first.remove();
    module.forward(ones([1]));
    expect(log).toEqual(['a', 'b', 'b']);
  });

  it('lets a hook see and replace the output', () => {
    const module = new Sequential(new Identity());
    const seen: unknown[] = [];
    module.get(0).registerForwardHook((_, args, output) => {
      seen.push(args.length);
      return (output as Tensor).add(1);
    });
    expect(module.forward(zeros([1])).itemSync()).toBe(1);
    expect(seen).toEqual([1]);
    expect(() => module.registerForwardHook('x' as never)).toThrow(ValueError);
  });

  it('allows recursion and modules without a forward of their own', () => {
    class Countdown extends Module {
      forward(x: Tensor, n: number): Tensor {
        return n === 0 ? x : this.forward(x.add(1), n - 1);
      }
    }
    class Same extends Countdown {}
    expect(new Same().forward(zeros([1]), 5).itemSync()).toBe(5);
  });

  it('refuses an async forward', async () => {
    class Later extends Module {
      async forward(x: Tensor): Promise<Tensor> {
        return Promise.resolve(x);
      }
    }
    expect(() => new Later().forward(ones([1]))).toThrow(
      'Later.forward: expected a synchronous method, got an async one',
    );
    await Promise.resolve();
  });

  it('works again after an error inside', () => {
    const model = new Sequential(new Linear(2, 2), new Linear(3, 3));
    expect(() => model.forward(ones([1, 2]))).toThrow('Linear: expected input of shape [..., 3], got [1, 2]');
    expect(new Linear(2, 2).forward(ones([1, 2])).shape).toEqual([1, 2]);
  });

  it('frees what it does not return, and keeps what is stored on a module', async () => {
    class Recorder extends Module {
      last: Tensor | null = null;
      forward(x: Tensor): Tensor {
        this.last = x.mul(2);
        const waste = x.add(1).exp();
        return waste.mul(3).add(this.last);
      }
    }
    const model = new Sequential(new Recorder());
    const x = ones([4]);
    const before = await liveHandles();
    const y = model.forward(x);
    expect(await liveHandles()).toBe(before + 2);
    const recorder = model.get(0) as unknown as Recorder;
    expect(numbers(recorder.last!)).toEqual([2, 2, 2, 2]);
    y.dispose();
    recorder.last!.dispose();
    expect(await liveHandles()).toBe(before);
  });

  it('keeps parameters made inside a scope of a forward', () => {
    class Lazy extends Module {
      weight: Parameter | null = null;
      forward(x: Tensor): Tensor {
        this.weight ??= new Parameter(ones([x.shape[1]!]));
        return x.mul(this.weight);
      }
    }
    const lazy = new Lazy();
    lazy.forward(ones([1, 3]));
    expect(numbers(lazy.weight!)).toEqual([1, 1, 1]);
  });
});

describe('state dict', () => {
  it('copies into the existing tensors', () => {
    const a = new Net();
    const b = new Net();
    const weight = b.head.weight;
    expect(b.loadStateDict(a.stateDict())).toEqual({ missingKeys: [], unexpectedKeys: [] });
    expect(b.head.weight).toBe(weight);
    expect(numbers(weight)).toEqual(numbers(a.head.weight));
    expect(a.stateDict()['head.weight']!.requiresGrad).toBe(false);
    b.loadStateDict(new Map(Object.entries(a.stateDict())));
  });

  it('converts dtypes', () => {
    const wide = new Linear(2, 2, { dtype: 'float64' });
    const narrow = new Linear(2, 2);
    wide.loadStateDict(narrow.stateDict());
    expect(numbers(wide.weight)).toEqual(numbers(narrow.weight));
    expect(wide.weight.dtype).toBe('float64');
  });

  it('assigns the tensors themselves, also to a module without memory', () => {
    const made = new Net();
    const net = meta(() => new Net());
    net.head.weight.requiresGrad = false;
    const dict = Object.fromEntries(Object.entries(made.stateDict()).map(([name, t]) => [name, t.to('float64')]));
    net.loadStateDict(dict, { assign: true });
    expect(net.head.weight).toBeInstanceOf(Parameter);
    expect(net.head.weight.dtype).toBe('float64');
    expect(net.head.weight.requiresGrad).toBe(false);
    expect(Object.entries(net.stateDict()).map(([name, t]) => [name, numbers(t)])).toEqual(
      Object.entries(made.stateDict()).map(([name, t]) => [name, numbers(t)]),
    );
    const list = meta(() => new ParameterList([new Parameter(ones([2])), new Parameter(ones([1]))]));
    list.loadStateDict({ 0: zeros([2]), 1: ones([1]) }, { assign: true });
    expect(list.parameters().map(numbers)).toEqual([[0, 0], [1]]);
    const [a, b] = [new Embedding(2, 2), new Embedding(2, 2)];
    b.weight = a.weight;
    new Sequential(a, b).loadStateDict({ '0.weight': ones([2, 2]), '1.weight': zeros([2, 2]) }, { assign: true });
    expect(a.weight).toBe(b.weight);
    expect(() => net.loadStateDict({}, { assign: true })).toThrow(StateDictError);
  });

  it('lists every difference and changes nothing', () => {
    const net = new Net();
    const before = numbers(net.head.weight);
    const dict = net.stateDict();
    delete dict['tail'];
    delete dict['block.mean'];
    dict['extra.weight'] = ones([1]);
    dict['block.fc.0.weight'] = ones([2, 2]);
    dict['head.weight'] = ones([1, 2]);
    dict['block.scale'] = [1, 2] as unknown as Tensor;
    let error: unknown;
    try {
      net.loadStateDict(dict);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(StateDictError);
    expect((error as StateDictError).code).toBe('ERR_STATE_DICT');
    expect((error as Error).message).toBe(
      [
        'loadStateDict: the state dict does not fit Net:',
        '  missing: tail, block.mean',
        '  unexpected: extra.weight',
        '  wrong: block.scale: expected a Tensor, got [1, 2]',
        '    block.fc.0.weight: expected shape [3, 2], got [2, 2]',
      ].join('\n'),
    );
    expect(numbers(net.head.weight)).toEqual(before);
  });

  it('reports names and goes on when it is not strict, but never with wrong shapes', () => {
    const net = new Net();
    const result = net.loadStateDict({ 'head.weight': ones([1, 2]), other: ones([1]) }, { strict: false });
    expect(result.unexpectedKeys).toEqual(['other']);
    expect(result.missingKeys).toHaveLength(7);
    expect(numbers(net.head.weight)).toEqual([1, 1]);
    expect(() => net.loadStateDict({ 'head.weight': ones([2]) }, { strict: false })).toThrow(StateDictError);
  });

  it('refuses what is no dict, and disposed tensors', () => {
    const net = new Linear(1, 1);
    for (const bad of [null, 3, 'x', ones([1]), net]) {
      expect(() => net.loadStateDict(bad as never)).toThrow(ValueError);
    }
    const gone = ones([1]);
    gone.dispose();
    expect(() => net.loadStateDict({ weight: ones([1, 1]), bias: gone })).toThrow('bias: expected a live tensor');
    const hostile = JSON.parse('{"__proto__": 1, "constructor": 2}') as never;
    expect(() => net.loadStateDict(hostile)).toThrow('unexpected: __proto__, constructor');
  });
});

describe('containers', () => {
  it('Sequential takes names, positions and additions', () => {
    const model = new Sequential({ a: new Linear(2, 3), b: new ReLU() });
    model.append(new Linear(3, 1));
    expect(Object.keys(model.stateDict())).toEqual(['a.weight', 'a.bias', '2.weight', '2.bias']);
    expect(model.forward(ones([5, 2])).shape).toEqual([5, 1]);
    expect(model.length).toBe(3);
    expect([...model]).toHaveLength(3);
    expect(model.get('b')).toBe(model.get(1));
    expect(model.get(-1)).toBe(model.get('2'));
    expect(() => model.get(3)).toThrow(IndexOutOfRangeError);
    expect(() => model.get('c')).toThrow(ValueError);
    expect(new Sequential().forward(ones([1])).itemSync()).toBe(1);
    expect(() => new Sequential([new ReLU()] as never)).toThrow('expected modules as separate arguments or an object');
    expect(() => new Sequential(new ReLU(), 3 as never)).toThrow('expected "1" to be a Module, got 3');
    expect(() => new Sequential({ 'a.b': new ReLU() })).toThrow(ValueError);
  });

  it('ModuleList, ModuleDict and ParameterList', () => {
    const list = new ModuleList([new Linear(1, 1), new Linear(1, 1)]);
    expect(list.length).toBe(2);
    expect([...list]).toHaveLength(2);
    expect(list.get(-1)).toBe(list.get(1));
    expect(() => list.get(2)).toThrow('ModuleList.get: expected index in [-2, 1], got 2');
    expect(() => list.forward()).toThrow(ValueError);
    expect(names(list.namedParameters())).toEqual(['0.weight', '0.bias', '1.weight', '1.bias']);
    const dict = new ModuleDict({ up: new Linear(1, 1) });
    dict.set('down', new Linear(1, 1, { bias: false }));
    expect(dict.size).toBe(2);
    expect(dict.has('up')).toBe(true);
    expect(() => dict.get('left')).toThrow('ModuleDict.get: expected one of up, down, got "left"');
    expect(names([...dict])).toEqual(['up', 'down']);
    expect(names(dict.namedParameters())).toEqual(['up.weight', 'up.bias', 'down.weight']);
    const params = new ParameterList([new Parameter(ones([1]))]);
    params.append(new Parameter(ones([2])));
    expect(names(params.namedParameters())).toEqual(['0', '1']);
    expect(params.get(1).shape).toEqual([2]);
    expect(() => params.append(ones([1]) as never)).toThrow('expected a Parameter, got a Tensor');
    expect(() => new ModuleList(3 as never)).toThrow(ValueError);
  });
});

describe('Linear, Identity, Flatten', () => {
  it('refuses wrong input where it stands', () => {
    const layer = new Linear(784, 10);
    expect(() => layer.forward(ones([64, 100]))).toThrow(ShapeError);
    expect(() => layer.forward(ones([64, 100]))).toThrow('Linear: expected input of shape [..., 784], got [64, 100]');
    expect(() => layer.forward(ones([]))).toThrow(ShapeError);
    expect(() => layer.forward(undefined as never)).toThrow('Linear: expected a Tensor, got undefined');
    expect(() => layer.forward(ones([1, 784], { dtype: 'float64' }))).toThrow('expected input of dtype float32');
    expect(() => new Linear(-1, 2)).toThrow(ValueError);
    expect(() => new Linear(1, 2.5)).toThrow(ValueError);
    expect(() => new Linear(1, 2, { dtype: 'int32' })).toThrow('expected dtype to be float32 or float64');
    expect(() => new Linear(1, 2, { bias: 1 as never })).toThrow(ValueError);
  });

  it('starts within ±1/√inFeatures', () => {
    const layer = new Linear(100, 50);
    for (const t of layer.parameters()) {
      const all = numbers(t);
      expect(Math.max(...all.map(Math.abs))).toBeLessThanOrEqual(0.1);
      expect(Math.max(...all)).toBeGreaterThan(0.08);
      expect(Math.min(...all)).toBeLessThan(-0.08);
    }
    expect(new Linear(0, 3).forward(ones([2, 0])).shape).toEqual([2, 3]);
  });

  it('flattens and passes on', () => {
    const x = ones([2, 3, 4, 5]);
    expect(new Flatten().forward(x).shape).toEqual([2, 60]);
    expect(new Flatten(0, 1).forward(x).shape).toEqual([6, 4, 5]);
    expect(new Identity().forward(x)).toBe(x);
  });
});
