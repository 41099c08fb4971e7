/** Gradient steps on losses that are sums of named parts, over a batch that may come in several micro-batches. */
import * as tf from '@tensorflow/tfjs-core';
import { FedError } from '#proto/errors.ts';
import { Compiled, type Tensors } from '../backend/graph/compiled.ts';
import type { Adam } from '../optimiser/adam.ts';
import { globalNorm } from '../optimiser/clip.ts';
import { divided, type GradientSum, summed } from './gradient-sum.ts';
import type { LossName } from './loss-names.ts';

export type Losses = Readonly<Partial<Record<LossName, tf.Scalar>>>;

export interface Objective {
  readonly losses: Losses;
  /** Minimised with the losses and reported nowhere: the way in for a gradient that was computed elsewhere. */
  readonly surrogate?: tf.Scalar;
}

/** The losses of one micro-batch and their gradient. */
export interface Gradient {
  readonly losses: Readonly<Record<string, tf.Tensor>>;
  /** Of each optimiser's variables, as its `pack` gives them. */
  readonly packed: readonly (readonly tf.Tensor1D[])[];
  /** Of the tensors that were asked for besides. */
  readonly others: readonly tf.Tensor[];
}

export type Descent = {
  /** Before the step, means over the micro-batches. */
  readonly losses: Record<string, number>;
  /** L2 norm of each optimiser's gradient, by its name. */
  readonly norms: Record<string, number>;
};

/** Frees whatever `compute` makes besides the gradient it returns. */
export const tidied = (compute: () => Gradient): Gradient =>
  tf.tidy(() => compute() as unknown as tf.TensorContainer) as unknown as Gradient;

/** The gradient of an objective over the variables of some optimisers, and of some variables besides. */
export function gradientOf(
  optimisers: readonly Adam[],
  objective: () => Objective,
  others: readonly tf.Variable[] = [],
): Gradient {
  const kept: Record<string, tf.Tensor> = {};
  const variables = [...optimisers.flatMap(optimiser => optimiser.variables), ...others];
  const { grads, value } = tf.variableGrads(() => {
    const { losses, surrogate } = objective();
    for (const [name, loss] of Object.entries(losses)) kept[name] = tf.keep(tf.clone(loss));
    return tf.addN([...Object.values(losses), ...(surrogate ? [surrogate] : [])]) as tf.Scalar;
  }, variables);
  value.dispose();
  // What was kept through variableGrads' own scope belongs to the caller's again.
  const losses = Object.fromEntries(
    Object.entries(kept).map(([name, loss]) => {
      const handed = tf.clone(loss);
      loss.dispose();
      return [name, handed];
    }),
  );
  return {
    losses,
    packed: optimisers.map(optimiser => optimiser.pack(grads)),
    others: others.map(variable => grads[variable.name] ?? tf.zeros(variable.shape)),
  };
}

/** The same for an objective of tensors alone, as one compiled call. */
export class CompiledObjective {
  readonly #optimisers: readonly Adam[];
  readonly #compiled: Compiled;

  /**
   * @param reads every variable that the objective reads or assigns to, besides the optimisers'
   * @param others names of inputs whose gradient is wanted too, in this order
   */
  constructor(
    optimisers: readonly Adam[],
    reads: readonly tf.Variable[],
    objective: (inputs: Tensors) => Objective,
    others: readonly string[] = [],
  ) {
    this.#optimisers = optimisers;
    const variables = [...new Set([...optimisers.flatMap(optimiser => optimiser.variables), ...reads])];
    this.#compiled = new Compiled(variables, inputs => {
      const movable = others.map(name => tf.variable(inputs[name] as tf.Tensor));
      const given = { ...inputs, ...Object.fromEntries(others.map((name, i) => [name, movable[i] as tf.Tensor])) };
      const gradient = gradientOf(optimisers, () => objective(given), movable);
      tf.dispose(movable);
      const { losses, packed } = gradient;
      const buckets = packed.flatMap((list, o) => list.map((bucket, i) => [`gradient ${o} ${i}`, bucket] as const));
      const wanted = gradient.others.map((tensor, i) => [`gradient other ${i}`, tensor] as const);
      return { ...losses, ...Object.fromEntries([...buckets, ...wanted]) };
    });
  }

  gradient(inputs: Tensors): Gradient {
    const outputs = this.#compiled.run(inputs);
    const isBucket = (name: string): boolean => name.startsWith('gradient ');
    return {
      losses: Object.fromEntries(Object.entries(outputs).filter(([name]) => !isBucket(name))),
      packed: this.#optimisers.map((_, o) =>
        Object.entries(outputs)
          .filter(([name]) => name.startsWith(`gradient ${o} `))
          .map(([, bucket]) => bucket as tf.Tensor1D),
      ),
      others: Object.entries(outputs)
        .filter(([name]) => name.startsWith('gradient other '))
        .map(([, tensor]) => tensor),
    };
  }

  dispose(): void {
    this.#compiled.dispose();
  }
}

/**
 * One step of every optimiser on the mean of the micro-batches' gradients: that of the whole batch, where all micro-batches
 * are of one size and nothing is normalised over a batch.
 * @param gradients of the micro-batches in order, one at least, freed as they are added up; or of several replicas, the sums
 *   over theirs
 * @param parts micro-batches in all
 * @throws FedError NON_FINITE before anything is moved, naming the loss, or the optimiser whose gradient it is
 */
export function descend(
  optimisers: Readonly<Record<string, Adam>>,
  gradients: Iterable<GradientSum>,
  parts?: number,
): Descent {
  return tf.tidy(() => {
    const { sum, count } = summed(gradients);
    const { losses, packed } = divided(sum, parts ?? count);
    const names = Object.keys(losses);
    const norms = packed.map(globalNorm);
    const values = tf.stack([...Object.values(losses), ...norms]).dataSync();
    const who = [...names.map(name => `the loss ${name}`), ...Object.keys(optimisers).map(o => `the gradient of ${o}`)];
    for (const [i, what] of who.entries()) {
      const value = values[i] ?? Number.NaN;
      if (Number.isFinite(value)) continue;
      throw new FedError('NON_FINITE', `${what} is ${value}; expected a finite number`, 'lower the rates');
    }
    for (const [i, optimiser] of Object.values(optimisers).entries()) optimiser.step(packed[i] ?? []);
    return {
      losses: Object.fromEntries(names.map((name, i) => [name, values[i] as number])),
      norms: Object.fromEntries(Object.keys(optimisers).map((name, i) => [name, values[names.length + i] as number])),
    };
  });
}
