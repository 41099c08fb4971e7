/**
 * Spectral normalisation (Miyato et al. 2018) of all the weights of one network at once.
 *
 * Weights of one shape are stacked and handled by the same few kernels: at small sizes the number of calls, not the
 * arithmetic, is what a step costs.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Random } from '#model/random.ts';
import { withGradient } from './custom-gradient.ts';
import type { ParameterSet } from './parameters.ts';

/** The floor of every norm, as in BigGAN. */
const EPSILON = 1e-6;

/** Normalised weights by the name they were added under. */
export interface SpectralWeights {
  /** W / sigma(W), of W's shape. */
  get(name: string): tf.Tensor;
}

interface Member {
  readonly name: string;
  readonly weight: tf.Variable;
  /** [O] */
  readonly u: tf.Variable;
  /** [K], W seen as a matrix [K, O]. */
  readonly v: tf.Variable;
}

/** Singular vectors of n stacked weights, each seen as a matrix [K, O]. */
interface Vectors {
  /** [n, K, 1] */
  readonly v: tf.Tensor3D;
  /** [n, O, 1] */
  readonly u: tf.Tensor3D;
}

interface Group {
  readonly members: Member[];
  readonly shape: readonly number[];
}

/**
 * The registry of a network's spectrally normalised weights. u and v move only in `powerIteration`, once a training step
 * however often the network is evaluated in it; sigma = v'Wu always belongs to the weights as they are now.
 */
export class SpectralNorm {
  readonly parameters: ParameterSet;
  readonly #random: Random;
  readonly #groups = new Map<string, Group>();

  /** @param random draws the start of every u */
  constructor(parameters: ParameterSet, random: Random) {
    this.parameters = parameters;
    this.#random = random;
  }

  /**
   * Registers the trainable `name` ([..., O]: HWIO convolutions, [in, out] matrices) and its buffers "<name>/u" [O] and
   * "<name>/v" [K], which begin with one power iteration behind them. Takes ownership of `initial`.
   */
  add(name: string, initial: tf.Tensor): void {
    const shape = [...initial.shape];
    const outputs = shape.at(-1) ?? 1;
    const weight = this.parameters.trainable(name, initial);
    const u = this.parameters.buffer(`${name}/u`, tf.tensor1d(this.#random.normals(outputs)));
    const v = this.parameters.buffer(`${name}/v`, tf.zeros([weight.size / outputs]));
    const member = { name, weight, u, v };
    iterate({ members: [member], shape });
    const key = shape.join('x');
    const group = this.#groups.get(key) ?? { members: [], shape };
    group.members.push(member);
    this.#groups.set(key, group);
  }

  /** v <- Wu / |Wu|, u <- W'v / |W'v| of every weight: call it once at the start of a training step. */
  powerIteration(): void {
    for (const group of this.#groups.values()) iterate(group);
  }

  /** Every weight over its spectral norm. The gradient passes through sigma = v'Wu, and not through u and v. */
  forward(): SpectralWeights {
    const weights = new Map<string, tf.Tensor>();
    for (const { members } of this.#groups.values()) {
      const stacked = stack(members.map(member => member.weight));
      const normalised = unstack(overSigma(stacked, stackedVectors(members)));
      for (const [i, member] of members.entries()) weights.set(member.name, normalised[i] as tf.Tensor);
    }
    return {
      get: name => {
        const weight = weights.get(name);
        if (weight === undefined) throw new Error(`no spectrally normalised weight "${name}" was added`);
        return weight;
      },
    };
  }
}

/** One power iteration of a group from its stored u. */
function iterate({ members }: Group): void {
  tf.tidy(() => {
    const matrices = matricesOf(stack(members.map(member => member.weight)));
    const start = columns(members.map(member => member.u));
    const left = tf.matMul<tf.Tensor3D>(matrices, start); // [n, K, 1]
    const v = tf.div<tf.Tensor3D>(left, flooredNorm(left));
    const right = tf.matMul<tf.Tensor3D>(matrices, v, true, false); // [n, O, 1]
    const u = tf.div<tf.Tensor3D>(right, flooredNorm(right));
    const [us, vs] = [unstack(tf.squeeze(u, [2])), unstack(tf.squeeze(v, [2]))];
    for (const [i, member] of members.entries()) {
      member.u.assign(us[i] as tf.Tensor);
      member.v.assign(vs[i] as tf.Tensor);
    }
  });
}

/** [n, ..., O] -> [n, K, O] */
const matricesOf = (stacked: tf.Tensor): tf.Tensor3D =>
  tf.reshape(stacked, [stacked.shape[0] as number, -1, stacked.shape.at(-1) ?? 1]);

/** n vectors [m] -> [n, m, 1] */
const columns = (vectors: readonly tf.Tensor[]): tf.Tensor3D =>
  tf.reshape(stack(vectors), [vectors.length, -1, 1]) as tf.Tensor3D;

const stackedVectors = (members: readonly Member[]): Vectors => ({
  v: columns(members.map(member => member.v)),
  u: columns(members.map(member => member.u)),
});

/** v'Wu of n matrices [n, K, O], floored: [n, 1, 1]. */
const sigmaOf = (matrices: tf.Tensor3D, { v, u }: Vectors): tf.Tensor3D =>
  tf.maximum(tf.matMul(v, tf.matMul(matrices, u), true, false), EPSILON);

/** [n, m, 1] -> [n, 1, 1] */
const flooredNorm = (x: tf.Tensor3D): tf.Tensor3D =>
  tf.maximum(tf.sqrt(tf.matMul(x, x, true, false)), EPSILON) as tf.Tensor3D;

/** d(W / sigma) = (dW - <dW, W / sigma> v u') / sigma, for n stacked weights [n, ..., O]. */
function overSigma(stacked: tf.Tensor, { v, u }: Vectors): tf.Tensor {
  const [n = 1, ...shape] = stacked.shape;
  return withGradient([stacked], save => {
    const scale = sigmaOf(matricesOf(stacked), { v, u });
    const value = tf.div(stacked, tf.reshape(scale, [n, ...shape.map(() => 1)]));
    save([value, v, u, scale]);
    const gradient = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [normalised, left, right, sigma] = saved as [tf.Tensor, tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
      const inner = tf.sum(matricesOf(tf.mul(dy, normalised)), [1, 2], true); // [n, 1, 1]
      const correction = tf.matMul(tf.mul<tf.Tensor3D>(left, inner), right, false, true); // [n, K, O]
      return [tf.reshape(tf.div(tf.sub(matricesOf(dy), correction), sigma), [n, ...shape])];
    };
    return { value, gradient };
  });
}

const stack = (tensors: readonly tf.Tensor[]): tf.Tensor =>
  tensors.length === 1 ? tf.expandDims(tensors[0] as tf.Tensor, 0) : tf.stack([...tensors]);

const unstack = (stacked: tf.Tensor): tf.Tensor[] =>
  stacked.shape[0] === 1 ? [tf.squeeze(stacked, [0])] : tf.unstack(stacked);
