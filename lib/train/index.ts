export { Trainer, type TrainerOptions } from './trainer.js';
export type { FitOptions } from './fit.js';
export { evaluate, type EvaluateOptions, type Evaluation } from './evaluate.js';
export { accuracy, meanAbsoluteError, sequenceAccuracy, squaredError, tokenAccuracy, type Metric } from './metrics.js';
export { progress, type ProgressOptions } from './progress.js';
export {
  isCheckpoint,
  loadCheckpoint,
  readCheckpoint,
  saveCheckpoint,
  type CheckpointContents,
  type CheckpointParts,
} from './checkpoint.js';
export { BestTracker, type BestState, type EarlyStoppingOptions } from './early_stopping.js';
export { renderReport, type ReportOptions } from './report.js';
export type { EpochRecord } from './record.js';
export type * from './types.js';
export { renderAttention, type AttentionPictureOptions } from './heatmap.js';
