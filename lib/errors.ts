/**
 * Every error that Myelin throws on purpose is a {@link MyelinError} with a stable `code`. Messages follow one grammar:
 * `function: expected what was wanted, got what came`.
 */
export class MyelinError extends Error {
  /** Stable, machine-readable kind of the error, such as `ERR_SHAPE`. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Shapes, ranks or axes that do not fit. */
export class ShapeError extends MyelinError {
  constructor(message: string) {
    super('ERR_SHAPE', message);
  }
}

/** A tensor of the wrong element type. */
export class DTypeError extends MyelinError {
  constructor(message: string) {
    super('ERR_DTYPE', message);
  }
}

/** An argument of the wrong type or out of its range. */
export class ValueError extends MyelinError {
  constructor(message: string) {
    super('ERR_VALUE', message);
  }
}

/** An index value outside the dimension that it points into. */
export class IndexOutOfRangeError extends MyelinError {
  constructor(message: string) {
    super('ERR_INDEX', message);
  }
}

/** Use of a tensor whose memory was given back. */
export class DisposedError extends MyelinError {
  constructor(message: string) {
    super('ERR_DISPOSED', message);
  }
}

/** Backward through a graph that is not there, was freed, or was changed in place. */
export class AutogradError extends MyelinError {
  constructor(message: string) {
    super('ERR_AUTOGRAD', message);
  }
}

/** Native memory could not be had, or the limit set with `setMemoryLimit` was reached. */
export class OutOfMemoryError extends MyelinError {
  constructor(message: string) {
    super('ERR_OUT_OF_MEMORY', message);
  }
}

/** A state dict that does not fit the module or optimizer; the message lists every difference. */
export class StateDictError extends MyelinError {
  constructor(message: string) {
    super('ERR_STATE_DICT', message);
  }
}

/** A file whose contents are not what its format promises. */
export class FileFormatError extends MyelinError {
  /** The file that was read, if it is known. */
  readonly path: string | undefined;

  constructor(message: string, path?: string) {
    super('ERR_FILE_FORMAT', message);
    this.path = path;
  }
}

/** A download that failed: unreachable, truncated, stalled, or with the wrong hash. */
export class DownloadError extends MyelinError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_DOWNLOAD', message, options);
  }
}

/** The operating system refused a file operation; `cause` is its own error. */
export class IoError extends MyelinError {
  readonly path: string;

  constructor(message: string, path: string, options?: ErrorOptions) {
    super('ERR_IO', message, options);
    this.path = path;
  }
}

/** The native core is missing, does not fit, or failed in a way that the checks did not foresee. */
export class NativeError extends MyelinError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_NATIVE', message, options);
  }
}

/** Wrong use of the command line. */
export class UsageError extends MyelinError {
  constructor(message: string) {
    super('ERR_USAGE', message);
  }
}
