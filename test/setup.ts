import fc from 'fast-check';

// The same properties are tried everywhere; MYELIN_SEED tries others.
fc.configureGlobal({ seed: Number(process.env['MYELIN_SEED'] ?? 1) });
