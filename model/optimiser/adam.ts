/** Adam (Kingma & Ba 2015) with PyTorch's bias correction, over all the variables of a network at once. */
import * as tf from '@tensorflow/tfjs-core';
import { FedError } from '#proto/errors.ts';
import { type Bucket, bucketsOf, pack, unpack } from './packing.ts';

export interface AdamOptions {
  readonly rate: number;
  /** 0 in adversarial training, 0.9 in pre-training. */
  readonly beta1: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Scales gradients down so that their global L2 norm is at most this. */
  readonly clipNorm?: number;
}

/** The moments of one bucket; with beta1 = 0 the first moment is the gradient itself and is not kept. */
interface Moments {
  readonly bucket: Bucket;
  readonly first: tf.Variable<tf.Rank.R1> | undefined;
  readonly second: tf.Variable<tf.Rank.R1>;
}

export class Adam {
  readonly #variables: readonly tf.Variable[];
  readonly #options: Required<Omit<AdamOptions, 'clipNorm'>> & Pick<AdamOptions, 'clipNorm'>;
  readonly #moments: readonly Moments[];
  #steps = 0;

  /** @param variables e.g. the trainables of one or several parameter sets; their order is part of the state */
  constructor(variables: readonly tf.Variable[], options: AdamOptions) {
    this.#variables = variables;
    this.#options = { beta2: 0.999, epsilon: 1e-6, ...options };
    this.#moments = bucketsOf(variables.map(variable => variable.shape)).map(bucket => ({
      bucket,
      first: options.beta1 === 0 ? undefined : zeros(bucket.size),
      second: zeros(bucket.size),
    }));
  }

  /**
   * p <- p - rate m^ / (sqrt(v^) + epsilon) for every variable.
   * @param gradients as tf.variableGrads gives them, by the variables' tfjs names; a missing one counts as zero
   */
  step(gradients: Readonly<Record<string, tf.Tensor | null | undefined>>): void {
    this.#steps++;
    tf.tidy(() => {
      const list = this.#variables.map(variable => gradients[variable.name] ?? tf.zeros(variable.shape));
      const packed = this.#clipped(this.#moments.map(({ bucket }) => pack(bucket, list)));
      for (const [i, moments] of this.#moments.entries()) {
        const moved = tf.sub<tf.Tensor1D>(
          pack(moments.bucket, this.#variables),
          this.#update(moments, packed[i] as tf.Tensor1D),
        );
        for (const [position, value] of unpack(moments.bucket, moved)) this.#variables[position]?.assign(value);
      }
    });
  }

  /** "steps" [], "second/<i>" [n] and, where beta1 > 0, "first/<i>" [n]: copies, the caller's to dispose of. */
  state(): Map<string, tf.Tensor> {
    const copies = [...this.#named()].map(([name, variable]) => [name, tf.clone(variable)] as const);
    return new Map<string, tf.Tensor>([['steps', tf.scalar(this.#steps)], ...copies]);
  }

  /**
   * Goes on from what `state` gave.
   * @throws FedError FILE_CORRUPT when it is not the state of this optimiser over variables of these shapes
   */
  restore(state: ReadonlyMap<string, tf.Tensor>): void {
    const named = this.#named();
    for (const [name, shape] of [['steps', []] as const, ...[...named].map(([n, v]) => [n, v.shape] as const)]) {
      const came = state.get(name)?.shape;
      if (came?.join() !== shape.join()) {
        const found = came === undefined ? 'nothing' : `[${came}]`;
        const message = `optimiser state "${name}": expected a tensor [${shape}], found ${found}`;
        throw new FedError('FILE_CORRUPT', message, 'start the stage again from the last weights');
      }
    }
    this.#steps = state.get('steps')?.dataSync()[0] ?? 0;
    for (const [name, variable] of named) variable.assign(state.get(name) as tf.Tensor1D);
  }

  dispose(): void {
    for (const variable of this.#named().values()) variable.dispose();
  }

  #named(): Map<string, tf.Variable<tf.Rank.R1>> {
    const named = new Map<string, tf.Variable<tf.Rank.R1>>();
    for (const [i, { first, second }] of this.#moments.entries()) {
      if (first) named.set(`first/${i}`, first);
      named.set(`second/${i}`, second);
    }
    return named;
  }

  #clipped(gradients: tf.Tensor1D[]): tf.Tensor1D[] {
    const { clipNorm } = this.#options;
    return clipNorm === undefined ? gradients : clipByGlobalNorm(gradients, clipNorm);
  }

  #update({ first, second }: Moments, gradient: tf.Tensor1D): tf.Tensor1D {
    const { rate, beta1, beta2, epsilon } = this.#options;
    second.assign(tf.add(tf.mul(second, beta2), tf.mul(tf.square(gradient), 1 - beta2)));
    first?.assign(tf.add(tf.mul(first, beta1), tf.mul(gradient, 1 - beta1)));
    const denominator = tf.add(tf.sqrt(tf.mul(second, 1 / (1 - beta2 ** this.#steps))), epsilon);
    return tf.mul(tf.div(first ?? gradient, denominator), rate / (1 - beta1 ** this.#steps));
  }
}

/** Scales tensors by min(1, maxNorm / norm), norm the L2 norm of all of them together. */
export function clipByGlobalNorm<T extends tf.Tensor>(tensors: readonly T[], maxNorm: number): T[] {
  return tf.tidy(() => {
    const norm = tf.sqrt(tf.addN(tensors.map(tensor => tf.sum(tf.square(tensor)))));
    const factor = tf.minimum(tf.div(maxNorm, tf.maximum(norm, 1e-12)), 1);
    return tensors.map(tensor => tf.mul<T>(tensor, factor));
  });
}

const zeros = (size: number): tf.Variable<tf.Rank.R1> =>
  tf.tidy(() => tf.variable(tf.zeros<tf.Rank.R1>([size]), false));
