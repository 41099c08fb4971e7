/** The spectral norms that training divides by, as they are now: read from the parameters, without moving any u. */
import * as tf from '@tensorflow/tfjs-core';
import type { ParameterSet } from '../layers/parameters.ts';

export interface SpectralNormOf {
  /** Full name of the weight, e.g. "D_image/block1/conv1". */
  readonly name: string;
  readonly sigma: number;
}

/** One power iteration from each weight's stored u (Miyato et al. 2018), as layers/spectral-norm.ts estimates sigma. */
export function spectralNormsOf(set: ParameterSet): SpectralNormOf[] {
  const entries = set.entries();
  const named = [...entries].flatMap(([name, { variable }]) => {
    const u = entries.get(`${name}/u`)?.variable;
    return u === undefined ? [] : [{ name, weight: variable as tf.Variable, u: u as tf.Variable }];
  });
  if (named.length === 0) return [];
  const sigmas = tf.tidy(() => tf.stack(named.map(({ weight, u }) => sigmaOf(weight, u))).dataSync());
  return named.map(({ name }, i) => ({ name, sigma: sigmas[i] ?? Number.NaN }));
}

/** |W'v| with v = Wu / |Wu|, W the weight [..., O] as a matrix [K, O]. */
function sigmaOf(weight: tf.Tensor, u: tf.Tensor): tf.Scalar {
  const matrix = tf.reshape<tf.Rank.R2>(weight, [-1, u.size]);
  const left = tf.matMul(matrix, tf.reshape<tf.Rank.R2>(u, [-1, 1]));
  const v = tf.div<tf.Tensor2D>(left, tf.maximum(tf.norm(left), 1e-6));
  return tf.norm(tf.matMul(matrix, v, true, false)) as tf.Scalar;
}
