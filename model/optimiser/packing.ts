/**
 * Many tensors as a few flat ones and back. An optimiser's arithmetic is the same for every number it moves, so it is
 * done on flat buckets: a dozen kernels instead of a dozen for each of a hundred variables.
 */
import * as tf from '@tensorflow/tfjs-core';

/** Largest bucket: big enough to make calls negligible, small enough to bound the copies that live at once. */
const BUCKET_SIZE = 1 << 22;

interface ShapeGroup {
  readonly shape: readonly number[];
  /** Positions in the list that is packed. */
  readonly members: readonly number[];
}

/** How one bucket is laid out: groups of tensors of one shape, one after the other. */
export interface Bucket {
  readonly groups: readonly ShapeGroup[];
  /** Numbers in the bucket. */
  readonly size: number;
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, side) => product * side, 1);
const groupSize = ({ shape, members }: ShapeGroup): number => sizeOf(shape) * members.length;

/** Lays tensors of these shapes out in buckets; the order depends on the shapes alone. */
export function bucketsOf(shapes: readonly (readonly number[])[]): Bucket[] {
  const groups = new Map<string, ShapeGroup & { members: number[] }>();
  for (const [i, shape] of shapes.entries()) {
    const key = shape.join('x');
    const group = groups.get(key) ?? { shape, members: [] };
    group.members.push(i);
    groups.set(key, group);
  }
  const buckets: { groups: ShapeGroup[]; size: number }[] = [];
  for (const group of groups.values()) {
    const open = buckets.at(-1);
    const size = groupSize(group);
    if (open === undefined || open.size + size > BUCKET_SIZE) buckets.push({ groups: [group], size });
    else {
      open.groups.push(group);
      open.size += size;
    }
  }
  return buckets;
}

/** [bucket.size] from the full list of tensors. */
export function pack(bucket: Bucket, tensors: readonly tf.Tensor[]): tf.Tensor1D {
  const flat = bucket.groups.map(({ members }) => {
    const chosen = members.map(i => tensors[i] as tf.Tensor);
    return tf.reshape<tf.Rank.R1>(chosen.length === 1 ? (chosen[0] as tf.Tensor) : tf.stack(chosen), [-1]);
  });
  return flat.length === 1 ? (flat[0] as tf.Tensor1D) : tf.concat1d(flat);
}

/** The bucket's tensors with their positions in the full list. */
export function unpack(bucket: Bucket, flat: tf.Tensor1D): [number, tf.Tensor][] {
  const parts = bucket.groups.length === 1 ? [flat] : tf.split(flat, bucket.groups.map(groupSize));
  return bucket.groups.flatMap(({ shape, members }, g) => {
    const part = parts[g] as tf.Tensor;
    if (members.length === 1) return [[members[0] as number, tf.reshape(part, [...shape])] as [number, tf.Tensor]];
    const stacked = tf.unstack(tf.reshape(part, [members.length, ...shape]));
    return members.map((position, i) => [position, stacked[i] as tf.Tensor] as [number, tf.Tensor]);
  });
}
