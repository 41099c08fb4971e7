/** The named tensors of one network: what the optimiser moves (trainable) and what it does not (buffers). */
import * as tf from '@tensorflow/tfjs-core';

/** A named variable; trainable ones are moved by the optimiser, buffers (u vectors, BN statistics) are not. */
export class ParameterSet {
  /** "G", "F/encoder", "F/decoder", "D_image", "D_report", "D_joint", "E": the first part of every tensor's name. */
  readonly prefix: string;
  readonly #trainables = new Map<string, tf.Variable>();
  readonly #buffers = new Map<string, tf.Variable>();

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  /** Registers a trainable variable under "<prefix>/<name>"; takes ownership of `initial` and disposes it. */
  trainable(name: string, initial: tf.Tensor): tf.Variable {
    return this.#register(this.#trainables, name, initial, true);
  }

  /** Registers a variable that the optimiser leaves alone. */
  buffer(name: string, initial: tf.Tensor): tf.Variable {
    return this.#register(this.#buffers, name, initial, false);
  }

  /** In order of registration. */
  get trainables(): tf.Variable[] {
    return [...this.#trainables.values()];
  }

  /** Full name -> variable, trainable ones first. */
  entries(): Map<string, { variable: tf.Variable; trainable: boolean }> {
    const result = new Map<string, { variable: tf.Variable; trainable: boolean }>();
    for (const [name, variable] of this.#trainables) result.set(name, { variable, trainable: true });
    for (const [name, variable] of this.#buffers) result.set(name, { variable, trainable: false });
    return result;
  }

  /** Number of trainable scalars. */
  get count(): number {
    return this.trainables.reduce((sum, variable) => sum + variable.size, 0);
  }

  dispose(): void {
    for (const { variable } of this.entries().values()) variable.dispose();
    this.#trainables.clear();
    this.#buffers.clear();
  }

  #register(into: Map<string, tf.Variable>, name: string, initial: tf.Tensor, trainable: boolean): tf.Variable {
    const full = `${this.prefix}/${name}`;
    if (this.#trainables.has(full) || this.#buffers.has(full)) throw new Error(`tensor ${full} registered twice`);
    // No name is given to tfjs: its registry is global, and two sites' models live in one process in tests.
    const variable = tf.variable(initial, trainable);
    initial.dispose();
    into.set(full, variable);
    return variable;
  }
}

/** Every variable of a set, trainable or not. */
export const variablesOf = (set: ParameterSet): tf.Variable[] =>
  [...set.entries().values()].map(({ variable }) => variable);
