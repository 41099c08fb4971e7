/**
 * The whole loop over the words of F's sentences as one compiled call: drawn kernel by kernel, each of some twenty words
 * waits for the one before it to come back to JavaScript.
 */
import * as tf from '@tensorflow/tfjs-core';
import { Compiled, compiles } from '#model/backend/graph/compiled.ts';
import type { Random } from '#model/random.ts';
import { END, PAD } from '#model/text/vocabulary.ts';
import { forbiddenAt } from './allowed-words.ts';
import { seededGumbelNoise } from './gumbel.ts';
import type { StepwiseDecoder } from './word-decoder.ts';

/** All the words' noise is in memory at once; above this, words are drawn one by one. */
const MAX_NOISE_BYTES = 1 << 28;

export interface DrawnWords {
  /** [T, N]; END ends a sentence, PAD follows it and fills the columns that do not count. */
  readonly ids: Int32Array;
  /** [T * N, V], what was added to the logits before the largest was chosen. */
  readonly noise: tf.Tensor2D;
}

export class CompiledDrawing {
  readonly #decoder: StepwiseDecoder;
  readonly #maxWords: number;
  readonly #compiled: Compiled;

  /** @param variables what the decoder reads */
  constructor(decoder: StepwiseDecoder, variables: readonly tf.Variable[], maxWords: number) {
    this.#decoder = decoder;
    this.#maxWords = maxWords;
    this.#compiled = new Compiled(variables, ({ topics, seeds, scale }) =>
      this.#draw(topics as tf.Tensor2D, seeds as tf.Tensor2D, scale as tf.Scalar),
    );
  }

  /** Whether this many sentences can be drawn so, here. */
  fits(sentences: number): boolean {
    return compiles() && sentences * this.#maxWords * this.#decoder.vocabulary * 4 <= MAX_NOISE_BYTES;
  }

  /**
   * Words for the first `count` of topics [N, E], from softmax(logits / temperature).
   * @returns the noise belongs to the enclosing tidy
   */
  draw(topics: tf.Tensor2D, count: number, temperature: number, random: Random): DrawnWords {
    const columns = topics.shape[0];
    const pairs = Array.from({ length: this.#maxWords }, () => random.seedPair());
    let ids: Int32Array = new Int32Array(0);
    const noise = tf.tidy(() => {
      const seeds = tf.tensor2d(pairs, [this.#maxWords, 2], 'int32');
      const drawn = this.#compiled.run({ topics, seeds, scale: tf.scalar(1 / temperature) });
      ids = ended(drawn['words']?.dataSync() as Int32Array, columns, count);
      return drawn['noise'] as tf.Tensor2D;
    });
    return { ids, noise };
  }

  dispose(): void {
    this.#compiled.dispose();
  }

  #draw(topics: tf.Tensor2D, seeds: tf.Tensor2D, scale: tf.Scalar): { words: tf.Tensor; noise: tf.Tensor } {
    const { vocabulary } = this.#decoder;
    const words: tf.Tensor1D[] = [];
    const noises: tf.Tensor2D[] = [];
    let decoding = tf.tidy(() => this.#decoder.begin(topics));
    for (let t = 0; t < this.#maxWords; t++) {
      const { logits } = decoding;
      const [word, noise] = tf.tidy((): [tf.Tensor1D, tf.Tensor2D] => {
        const seed = tf.reshape(tf.slice(seeds, [t, 0], [1, 2]), [2]) as tf.Tensor1D;
        const offsets = tf.add<tf.Tensor2D>(
          seededGumbelNoise(topics.shape[0], vocabulary, seed),
          forbiddenAt(t, vocabulary),
        );
        return [tf.argMax(tf.add(tf.mul(logits, scale), offsets), 1), offsets];
      });
      words.push(word);
      noises.push(noise);
      if (t === this.#maxWords - 1) break;
      const before = decoding;
      decoding = tf.tidy(() => this.#decoder.next(before, word));
      tf.dispose(before);
    }
    return { words: tf.concat(words), noise: tf.concat(noises, 0) };
  }
}

/** Every sentence goes on to the last word; what comes after its END, or belongs to no sentence, becomes PAD. */
function ended(words: Int32Array, columns: number, count: number): Int32Array {
  const ids = Int32Array.from(words);
  for (let n = 0; n < columns; n++) {
    let over = n >= count;
    for (let at = n; at < ids.length; at += columns) {
      if (over) ids[at] = PAD;
      else over = ids[at] === END;
    }
  }
  return ids;
}
