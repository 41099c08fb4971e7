/** The shape of a loaded backend. */
import type * as tfjs from '@tensorflow/tfjs-core';

export type BackendName = 'cuda' | 'native-cpu' | 'wasm' | 'cpu';

export interface Rejected {
  readonly name: BackendName;
  readonly reason: string;
}

export interface Backend {
  readonly name: BackendName;
  /** Of TensorFlow where it is native, else of the tfjs package. */
  readonly version: string;
  /** The GPU's or the CPU's name. */
  readonly device: string;
  readonly threads: number;
  /** What would have been better, and why it is not in use; each is worth a line to the user. */
  readonly rejected: readonly Rejected[];
  /** The one instance of tfjs in this process: what `import * as tf from '@tensorflow/tfjs-core'` gives. */
  readonly tf: typeof tfjs;
}
