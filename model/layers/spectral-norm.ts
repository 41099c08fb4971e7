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
}

/** Singular vectors and value of n stacked weights, each seen as a matrix [K, O]. */
interface Estimate {
  /** [n, K, 1] */
  readonly v: tf.Tensor3D;
  /** [n, O, 1] */
  readonly u: tf.Tensor3D;
  /** [n, 1, 1] */
  readonly sigma: tf.Tensor3D;
}

interface Group {
  readonly members: readonly Member[];
  readonly shape: readonly number[];
  /** What the last power iteration found, and the very values of the weights that it belongs to. */
  cached: { readonly estimate: Estimate; readonly of: readonly object[] } | undefined;
}

/**
 * The registry of a network's spectrally normalised weights. u moves only in `powerIteration`, once a training step
 * however often the network is evaluated in it; sigma always belongs to the weights as they are now.
 */
export class SpectralNorm {
  readonly parameters: ParameterSet;
  readonly #random: Random;
  readonly #groups = new Map<string, Group & { members: Member[] }>();

  /** @param random draws the start of every u */
  constructor(parameters: ParameterSet, random: Random) {
    this.parameters = parameters;
    this.#random = random;
  }

  /**
   * Registers the trainable `name` ([..., O]: HWIO convolutions, [in, out] matrices) and its buffer "<name>/u" [O].
   * Takes ownership of `initial`.
   */
  add(name: string, initial: tf.Tensor): void {
    const shape = [...initial.shape];
    const outputs = shape.at(-1) ?? 1;
    const weight = this.parameters.trainable(name, initial);
    const u = this.parameters.buffer(`${name}/u`, tf.tensor1d(this.#random.normals(outputs)));
    const key = shape.join('x');
    const group = this.#groups.get(key) ?? { members: [], shape, cached: undefined };
    group.members.push({ name, weight, u });
    this.#groups.set(key, group);
  }

  /** v <- Wu / |Wu|, u <- W'v / |W'v| of every weight: call it once at the start of a training step. */
  powerIteration(): void {
    for (const group of this.#groups.values()) {
      release(group);
      const estimate = tf.tidy(() => {
        const found = estimateOf(group);
        const us = unstack(tf.reshape(found.u, [group.members.length, -1]));
        for (const [i, member] of group.members.entries()) member.u.assign(us[i] as tf.Tensor);
        return { v: tf.keep(found.v), u: tf.keep(found.u), sigma: tf.keep(found.sigma) };
      });
      group.cached = { estimate, of: group.members.map(member => member.weight.dataId) };
    }
  }

  /**
   * Every weight over its spectral norm. The gradient passes through sigma = v'Wu, and not through u and v.
   * @param updateU true runs the step's power iteration first; false takes the step's, or, where the weights have
   *   moved since, estimates sigma from u without moving it
   */
  forward(updateU: boolean): SpectralWeights {
    if (updateU) this.powerIteration();
    const weights = new Map<string, tf.Tensor>();
    for (const group of this.#groups.values()) {
      const stacked = stack(group.members.map(member => member.weight));
      const normalised = unstack(overSigma(stacked, currentEstimate(group)));
      for (const [i, member] of group.members.entries()) weights.set(member.name, normalised[i] as tf.Tensor);
    }
    return {
      get: name => {
        const weight = weights.get(name);
        if (weight === undefined) throw new Error(`no spectrally normalised weight "${name}" was added`);
        return weight;
      },
    };
  }

  /** Frees what is cached between calls; the variables belong to the parameter set. */
  dispose(): void {
    for (const group of this.#groups.values()) release(group);
  }
}

function release(group: Group): void {
  if (group.cached === undefined) return;
  tf.dispose({ ...group.cached.estimate });
  group.cached = undefined;
}

function currentEstimate(group: Group): Estimate {
  const { cached, members } = group;
  // A variable that was assigned to has a new dataId, so this says exactly whether sigma is still that of the weights.
  if (cached?.of.every((dataId, i) => dataId === members[i]?.weight.dataId)) return cached.estimate;
  return estimateOf(group);
}

/** One power iteration from the stored u. */
function estimateOf({ members, shape }: Group): Estimate {
  const outputs = shape.at(-1) ?? 1;
  const matrices = tf.reshape(stack(members.map(member => member.weight)), [
    members.length,
    -1,
    outputs,
  ]) as tf.Tensor3D;
  const start = tf.reshape(stack(members.map(member => member.u)), [members.length, outputs, 1]) as tf.Tensor3D;
  const left = tf.matMul<tf.Tensor3D>(matrices, start); // [n, K, 1]
  const v = tf.div<tf.Tensor3D>(left, flooredNorm(left));
  const right = tf.matMul<tf.Tensor3D>(matrices, v, true, false); // [n, O, 1]
  const sigma = flooredNorm(right); // v'Wu = |W'v| because u = W'v / |W'v|
  return { v, u: tf.div<tf.Tensor3D>(right, sigma), sigma };
}

/** [n, m, 1] -> [n, 1, 1] */
const flooredNorm = (x: tf.Tensor3D): tf.Tensor3D =>
  tf.maximum(tf.sqrt(tf.matMul(x, x, true, false)), EPSILON) as tf.Tensor3D;

/** d(W / sigma) = (dW - <dW, W / sigma> v u') / sigma, for n stacked weights [n, ..., O]. */
function overSigma(stacked: tf.Tensor, { v, u, sigma }: Estimate): tf.Tensor {
  const [n = 1, ...shape] = stacked.shape;
  const matrix = [n, -1, shape.at(-1) ?? 1];
  return withGradient([stacked], save => {
    const value = tf.div(stacked, tf.reshape(sigma, [n, ...shape.map(() => 1)]));
    save([value, v, u, sigma]);
    const gradient = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [normalised, left, right, scale] = saved as [tf.Tensor, tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
      const inner = tf.sum(tf.reshape(tf.mul(dy, normalised), matrix), [1, 2], true); // [n, 1, 1]
      const correction = tf.matMul(tf.mul<tf.Tensor3D>(left, inner), right, false, true); // [n, K, O]
      return [tf.reshape(tf.div(tf.sub(tf.reshape(dy, matrix), correction), scale), [n, ...shape])];
    };
    return { value, gradient };
  });
}

const stack = (tensors: readonly tf.Tensor[]): tf.Tensor =>
  tensors.length === 1 ? tf.expandDims(tensors[0] as tf.Tensor, 0) : tf.stack([...tensors]);

const unstack = (stacked: tf.Tensor): tf.Tensor[] =>
  stacked.shape[0] === 1 ? [tf.squeeze(stacked, [0])] : tf.unstack(stacked);
