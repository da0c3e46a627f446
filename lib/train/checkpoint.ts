import { show } from '../check.js';
import { FileFormatError, ValueError } from '../errors.js';
import { loadFileWithMetadata, loadMetadata, saveFile } from '../io/safetensors.js';
import type { Module } from '../nn/module.js';
import { defaultGenerator, type Generator, type GeneratorState } from '../random.js';
import type { Tensor } from '../tensor.js';
import { packState, unpackState, type Json } from './codec.js';
import type { BatchSource, Stateful } from './types.js';

const FORMAT = 'myelin-checkpoint';
const VERSION = 1;

/** What a checkpoint is made of, and what one is loaded into. */
export interface CheckpointParts {
  model: Module;
  optimizer?: Stateful;
  scheduler?: Stateful;
  /** Its position, when it has `state` and `loadState`. */
  loader?: BatchSource<unknown>;
  /** The source of dropout and initialisation. Default: the library's `defaultGenerator`. */
  generator?: Generator;
}

/** A checkpoint as it lies in its file: parts not yet loaded into anything. */
export interface CheckpointContents {
  /** The model's state dict. */
  readonly model: Record<string, Tensor>;
  readonly optimizer?: unknown;
  readonly scheduler?: unknown;
  readonly loader?: unknown;
  readonly generator?: unknown;
  /** What {@link saveCheckpoint} was given as `extra`; its tensors among it. */
  readonly extra?: unknown;
}

/**
 * Writes everything that training needs to go on as if it had never stopped into one safetensors file: `model.*` and
 * `optimizer.*` tensors, and all scalars as JSON in the file's metadata. The file appears whole or not at all.
 * The contents are those of the moment of the call: training may go on while the file is written.
 *
 * @param extra - counters and the like: JSON and tensors.
 * @throws IoError if the file cannot be written.
 * @example await saveCheckpoint('checkpoint.safetensors', { model, optimizer }, { epoch });
 */
export async function saveCheckpoint(path: string, parts: CheckpointParts, extra?: unknown): Promise<void> {
  const tensors: Record<string, Tensor> = {};
  for (const [name, value] of Object.entries(parts.model.stateDict())) tensors[`model.${name}`] = value;
  const generator = parts.generator ?? defaultGenerator;
  const state: Record<string, Json> = {};
  const put = (name: string, value: unknown): void => {
    if (value !== undefined) state[name] = packState(value, name, tensors);
  };
  put('optimizer', parts.optimizer?.stateDict());
  put('scheduler', parts.scheduler?.stateDict());
  put('loader', parts.loader?.state?.());
  put('generator', generator.getState());
  put('extra', extra);
  await saveFile(tensors, path, { format: FORMAT, version: String(VERSION), state: JSON.stringify(state) });
}

/** Whether a safetensors file is a checkpoint rather than bare parameters. */
export async function isCheckpoint(path: string): Promise<boolean> {
  return (await loadMetadata(path)).format === FORMAT;
}

/**
 * Reads a checkpoint without loading it into anything.
 * @throws IoError if the file cannot be read, FileFormatError if it is not a whole checkpoint.
 */
export async function readCheckpoint(path: string): Promise<CheckpointContents> {
  const { tensors, metadata } = await loadFileWithMetadata(path);
  if (metadata.format !== FORMAT) {
    throw new FileFormatError(
      `loadCheckpoint: expected ${path} to be a Myelin checkpoint, got other safetensors`,
      path,
    );
  }
  if (metadata.version !== String(VERSION)) {
    throw new FileFormatError(
      `loadCheckpoint: expected ${path} to have version ${VERSION}, got ${show(metadata.version)}`,
      path,
    );
  }
  let state: unknown;
  try {
    state = JSON.parse(metadata.state ?? '');
  } catch {
    throw new FileFormatError(`loadCheckpoint: the state in ${path} is not JSON`, path);
  }
  if (state === null || typeof state !== 'object' || Array.isArray(state)) {
    throw new FileFormatError(`loadCheckpoint: the state in ${path} is not an object`, path);
  }
  const parts = unpackState(state as Json, tensors, path) as Omit<CheckpointContents, 'model'>;
  const model: Record<string, Tensor> = {};
  for (const [name, value] of tensors) {
    if (name.startsWith('model.')) model[name.slice('model.'.length)] = value;
  }
  return { ...parts, model };
}

/**
 * Loads a checkpoint into `parts` and resolves with its `extra`. Every part that is given must be in the file.
 * @throws IoError, FileFormatError; StateDictError if a part does not fit; ValueError if a part is missing in the file.
 */
export async function loadCheckpoint(path: string, parts: CheckpointParts): Promise<unknown> {
  const contents = await readCheckpoint(path);
  applyCheckpoint(path, contents, parts);
  return contents.extra;
}

/** Loads what {@link readCheckpoint} gave into `parts`. */
export function applyCheckpoint(path: string, contents: CheckpointContents, parts: CheckpointParts): void {
  const need = (name: 'optimizer' | 'scheduler' | 'loader'): never => {
    const value = contents[name];
    if (value === undefined)
      throw new ValueError(`loadCheckpoint: expected ${path} to hold the state of the ${name}, got none`);
    return value as never;
  };
  const optimizer = parts.optimizer && need('optimizer');
  const scheduler = parts.scheduler && need('scheduler');
  const loader = parts.loader?.loadState && need('loader');
  parts.model.loadStateDict(contents.model);
  if (optimizer !== undefined) parts.optimizer?.loadStateDict(optimizer);
  if (scheduler !== undefined) parts.scheduler?.loadStateDict(scheduler);
  if (loader !== undefined) parts.loader?.loadState?.(loader);
  if (contents.generator !== undefined)
    (parts.generator ?? defaultGenerator).setState(contents.generator as GeneratorState);
}
