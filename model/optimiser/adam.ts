/** Adam (Kingma & Ba 2015) with PyTorch's bias correction, over all the variables of a network at once. */
import * as tf from '@tensorflow/tfjs-core';
import { FedError } from '#proto/errors.ts';
import { Compiled, type Tensors } from '../backend/graph/compiled.ts';
import { clipByGlobalNorm } from './clip.ts';
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
  readonly variables: readonly tf.Variable[];
  readonly #options: Required<Omit<AdamOptions, 'clipNorm'>> & Pick<AdamOptions, 'clipNorm'>;
  readonly #moments: readonly Moments[];
  readonly #update: Compiled;
  #steps = 0;

  /** @param variables e.g. the trainables of one or several parameter sets; their order is part of the state */
  constructor(variables: readonly tf.Variable[], options: AdamOptions) {
    this.variables = variables;
    this.#options = { beta2: 0.999, epsilon: 1e-6, ...options };
    this.#moments = bucketsOf(variables.map(variable => variable.shape)).map(bucket => ({
      bucket,
      first: options.beta1 === 0 ? undefined : zeros(bucket.size),
      second: zeros(bucket.size),
    }));
    this.#update = new Compiled([...variables, ...this.#named().values()], inputs => this.#move(inputs));
  }

  /**
   * The gradients of the variables as a few flat tensors, in which form they are added up and exchanged.
   * @param gradients as tf.variableGrads gives them, by the variables' tfjs names; a missing one counts as zero
   */
  pack(gradients: Readonly<Record<string, tf.Tensor | null | undefined>>): tf.Tensor1D[] {
    const list = this.variables.map(variable => gradients[variable.name] ?? tf.zeros(variable.shape));
    return this.#moments.map(({ bucket }) => pack(bucket, list));
  }

  /**
   * p <- p - rate m^ / (sqrt(v^) + epsilon) for every variable.
   * @param packed what `pack` gave
   */
  step(packed: readonly tf.Tensor1D[]): void {
    this.#steps++;
    const { rate, beta1, beta2 } = this.#options;
    tf.tidy(() => {
      this.#update.run({
        ...Object.fromEntries(packed.map((gradient, i) => [String(i), gradient])),
        rate: tf.scalar(rate / (1 - beta1 ** this.#steps)),
        secondScale: tf.scalar(1 / (1 - beta2 ** this.#steps)),
      });
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
    this.#update.dispose();
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

  /** The update of all buckets, from their gradients by number and the two factors that depend on the step. */
  #move(inputs: Tensors): Tensors {
    const { clipNorm } = this.#options;
    const gradients = this.#moments.map((_, i) => inputs[i] as tf.Tensor1D);
    const clipped = clipNorm === undefined ? gradients : clipByGlobalNorm(gradients, clipNorm);
    tf.tidy(() => {
      for (const [i, moments] of this.#moments.entries()) {
        const change = this.#change(moments, clipped[i] as tf.Tensor1D, inputs);
        const moved = tf.sub<tf.Tensor1D>(pack(moments.bucket, this.variables), change);
        for (const [position, value] of unpack(moments.bucket, moved)) this.variables[position]?.assign(value);
      }
    });
    return {};
  }

  #change({ first, second }: Moments, gradient: tf.Tensor1D, { rate, secondScale }: Tensors): tf.Tensor1D {
    const { beta1, beta2, epsilon } = this.#options;
    second.assign(tf.add(tf.mul(second, beta2), tf.mul(tf.square(gradient), 1 - beta2)));
    first?.assign(tf.add(tf.mul(first, beta1), tf.mul(gradient, 1 - beta1)));
    const denominator = tf.add(tf.sqrt(tf.mul(second, secondScale as tf.Tensor)), epsilon);
    return tf.mul(tf.div(first ?? gradient, denominator), rate as tf.Tensor);
  }
}

const zeros = (size: number): tf.Variable<tf.Rank.R1> =>
  tf.tidy(() => tf.variable(tf.zeros<tf.Rank.R1>([size]), false));
