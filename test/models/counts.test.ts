import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';

const counts: Readonly<Record<string, number>> = {
  mlp: 199_210,
  logistic: 7_850,
  'mnist1d-linear': 410,
  'mnist1d-mlp': 15_210,
  'mnist1d-cnn': 5_210,
  'mnist1d-gru': 5_134,
  'linear-autoencoder': 784 * 30 * 2 + 30 + 784,
  autoencoder: (784 * 256 + 256 * 32) * 2 + 256 + 32 + 256 + 784,
  'denoising-autoencoder': (784 * 256 + 256 * 32) * 2 + 256 + 32 + 256 + 784,
  'sparse-autoencoder': 784 * 256 * 2 + 256 + 784,
  lenet5: 61_706,
  'lenet5-original': 60_000,
  'digit-cnn': 156 + 2416 + 4010,
  alexnet: 61_100_840,
  'alexnet-grouped': 60_965_224,
  vgg11: 132_863_336,
  vgg13: 133_047_848,
  vgg16: 138_357_544,
  vgg19: 143_667_240,
  'vgg16-bn': 138_365_992,
  'vgg11-bn-cifar': 9_231_114,
  googlenet: 6_624_904,
  'googlenet-aux': 13_004_888,
  resnet18: 11_689_512,
  resnet34: 21_797_672,
  resnet50: 25_557_032,
  resnet101: 44_549_160,
  resnet152: 60_192_808,
  'resnet18-cifar': 11_173_962,
  'cifar-resnet20': 269_722,
  'cifar-resnet56': 853_018,
  'cifar-resnet110': 1_727_962,
  densenet121: 7_978_856,
  densenet169: 14_149_480,
  densenet201: 20_013_928,
  densenet161: 28_681_000,
  densenet264: 33_337_704,
};

describe('models by name', () => {
  it.each(Object.entries(counts))('%s has %i trainable parameters', (name, count) => {
    const { inputShape, classes } = m.modelEntry(name);
    const { handles } = m.memory();
    const model = m.meta(() => {
      const made = m.createModel(name);
      expect(made.forward(m.zeros([2, ...inputShape])).shape).toEqual([2, classes]);
      return made;
    });
    const trained = model.parameters().filter((p) => p.requiresGrad);
    expect(trained.reduce((sum, p) => sum + p.numel, 0)).toBe(count);
    expect(m.memory().handles).toBe(handles);
  });

  it.each([
    ['transformer', 44_140_544],
    ['gpt2', 124_439_808],
    ['gpt2-medium', 354_823_168],
    ['gpt2-large', 774_030_080],
    ['gpt2-xl', 1_557_611_200],
    ['gpt3', 174_604_259_328],
  ])('%s has %i parameters', (name, count) => {
    const { allocated } = m.memory();
    const model = m.meta(() => m.createModel(name));
    expect(model.parameters().reduce((sum, p) => sum + p.numel, 0)).toBe(count);
    expect(m.memory().allocated).toBe(allocated);
  });

  it('counts AlexNet’s units as the paper does', () => {
    const model = m.meta(() => new m.AlexNetGrouped());
    let units = 0;
    for (const module of model.modules()) {
      if (!(module instanceof m.Conv2d) && !(module instanceof m.Linear)) continue;
      module.registerForwardHook((_, __, y) => void (units += (y as m.Tensor).numel));
    }
    m.meta(() => model.forward(m.zeros([1, 3, 224, 224])));
    expect(units).toBe(659_272);
  });
});
