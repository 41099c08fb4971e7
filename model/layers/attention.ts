/**
 * softmax(query key') value, in tiles of queries: the N x M weights (16 MB an image at 64 x 64 places) are never whole in
 * memory, neither in the forward pass nor for the gradient, which makes each tile again (Dao et al. 2022). That bounds
 * what a step holds; the softmax it costs a second time is some 15 % of the layer.
 */
import * as tf from '@tensorflow/tfjs-core';
import { withGradient } from './custom-gradient.ts';

/** Weights a tile: 16 MB on a CPU (smaller ones cost more calls than they save); a GPU wants few large kernels. */
const CPU_TILE = 1 << 22;
const GPU_TILE = 1 << 26;

type Parts = readonly [query: tf.Tensor3D, key: tf.Tensor3D, value: tf.Tensor3D];

/** [B, N, d], [B, M, d], [B, M, e] -> [B, N, e] */
export function attention(query: tf.Tensor3D, key: tf.Tensor3D, value: tf.Tensor3D): tf.Tensor3D {
  return withGradient([query, key, value], save => {
    const tiles = tilesOf(query, key);
    const outputs = tiles.map(tile => tf.tidy(() => tf.matMul<tf.Tensor3D>(weights(rows(query, tile), key), value)));
    const output = outputs.length === 1 ? (outputs[0] as tf.Tensor3D) : tf.concat3d(outputs, 1);
    save([query, key, value, output]);
    const gradient = (dOutput: tf.Tensor3D, saved: tf.Tensor[]) => {
      const [q, k, v, o] = saved as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
      return gradients([q, k, v], o, dOutput, tiles);
    };
    return { value: output, gradient };
  });
}

/**
 * For P = softmax(S): dS = P (dP - sum_m dP P), and sum_m dP P = <dO, O>, a sum over e instead of M places. The
 * subtraction is part of one product, dP - <dO, O> = [dO, -<dO, O>] [v, 1]', so the tile is passed over once less.
 */
function gradients([query, key, value]: Parts, output: tf.Tensor3D, dOutput: tf.Tensor3D, tiles: Tile[]): tf.Tensor[] {
  const inner = tf.sum<tf.Tensor3D>(tf.mul(dOutput, output), 2, true); // [B, N, 1]
  const extended = tf.concat3d([dOutput, tf.neg(inner)], 2); // [B, N, e + 1]
  const extendedValue = tf.concat3d([value, tf.ones([value.shape[0], value.shape[1], 1])], 2); // [B, M, e + 1]
  const dQueries: tf.Tensor3D[] = [];
  let sums: [tf.Tensor3D, tf.Tensor3D] | undefined;
  for (const tile of tiles) {
    const [dQuery, dKey, dValue] = tf.tidy((): [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D] => {
      const q = rows(query, tile);
      const p = weights(q, key); // [B, n, M]
      const dScores = tf.mul<tf.Tensor3D>(p, tf.matMul(rows(extended, tile), extendedValue, false, true));
      const dKeyPart = tf.matMul<tf.Tensor3D>(dScores, q, true, false);
      const dValuePart = tf.matMul<tf.Tensor3D>(p, rows(dOutput, tile), true, false);
      const dQueryPart = tf.matMul<tf.Tensor3D>(dScores, key);
      if (sums === undefined) return [dQueryPart, dKeyPart, dValuePart];
      return [dQueryPart, tf.add(sums[0], dKeyPart), tf.add(sums[1], dValuePart)];
    });
    if (sums !== undefined) tf.dispose(sums);
    sums = [dKey, dValue];
    dQueries.push(dQuery);
  }
  return [dQueries.length === 1 ? (dQueries[0] as tf.Tensor3D) : tf.concat3d(dQueries, 1), ...(sums ?? [])];
}

/** Queries from `begin`, `count` of them. */
interface Tile {
  readonly begin: number;
  readonly count: number;
}

function tilesOf(query: tf.Tensor3D, key: tf.Tensor3D): Tile[] {
  const [batch, queries] = query.shape;
  const onGpu = (tf.backend() as { readonly isUsingGpuDevice?: boolean }).isUsingGpuDevice === true;
  const fitting = Math.max(1, Math.floor((onGpu ? GPU_TILE : CPU_TILE) / (batch * key.shape[1])));
  const tiles = Math.ceil(queries / fitting);
  const count = Math.ceil(queries / tiles);
  return Array.from({ length: Math.ceil(queries / count) }, (_, i) => ({
    begin: i * count,
    count: Math.min(count, queries - i * count),
  }));
}

const rows = (x: tf.Tensor3D, { begin, count }: Tile): tf.Tensor3D =>
  count === x.shape[1] ? x : tf.slice3d(x, [0, begin, 0], [-1, count, -1]);

const weights = (query: tf.Tensor3D, key: tf.Tensor3D): tf.Tensor3D =>
  tf.softmax(tf.matMul<tf.Tensor3D>(query, key, false, true));
