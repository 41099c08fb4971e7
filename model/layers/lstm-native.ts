/**
 * An LSTM over time on TensorFlow. Forward it is one kernel, BlockLSTMV2. Its own gradient, BlockLSTMGradV2, multiplies the
 * transposed weights anew at every step and adds up their gradient step by step, which costs two to four times the rest of
 * the layer; so the way back is written by hand: a step is the gates' kernel and one product, and what the steps have in
 * common (the gradients of x, W_x, W_h and b) is one product each over all of them.
 */
import * as tf from '@tensorflow/tfjs-core';
import { executeOp, opAttr } from '#model/backend/execute-op.ts';
import { withGradient } from './custom-gradient.ts';
import type { LstmRun, LstmState, LstmWeights } from './lstm.ts';

const float = opAttr.type('T', 'float32');
const noPeephole = opAttr.bool('use_peephole', false);
/** A clip of 0 is none. */
const noClip = opAttr.float('cell_clip', 0);

/** h [T, B, H] of x [T, B, I] from `state`; differentiable in x, the weights and the state. */
export function nativeLstm(x: tf.Tensor3D, weights: LstmWeights, state: LstmState): tf.Tensor3D {
  const { wx, wh, b } = weights;
  return withGradient<tf.Tensor3D>([x, wx, wh, b, state.h, state.c], save => {
    const gates = forward(x, weights, state);
    save([x, wx, wh, state.h, state.c, gates.hidden, ...stepwise(gates)]);
    const gradient = (dy: tf.Tensor3D, saved: tf.Tensor[]) => {
      const [input, toGates, recurrent, h0, c0, hidden, ...kept] = saved as [
        tf.Tensor3D,
        tf.Tensor2D,
        tf.Tensor2D,
        tf.Tensor2D,
        tf.Tensor2D,
        tf.Tensor3D,
        ...tf.Tensor3D[],
      ];
      const back = backThroughTime(dy, recurrent, c0, kept);
      const [steps, batch, inputs] = input.shape;
      const rows = tf.reshape<tf.Rank.R2>(input, [steps * batch, inputs]);
      const before = tf.reshape<tf.Rank.R2>(shifted(h0, hidden), [steps * batch, h0.shape[1]]);
      const db = executeOp('BiasAddGrad', [float], [back.gates])[0] as tf.Tensor1D;
      return [
        tf.reshape(tf.matMul(back.gates, toGates, false, true), input.shape),
        tf.matMul(rows, back.gates, true, false),
        tf.matMul(before, back.gates, true, false),
        db,
        back.h,
        back.c,
      ];
    };
    return { value: gates.hidden, gradient };
  });
}

/** The same with the state after the last step, and without a gradient. */
export function nativeLstmRun(x: tf.Tensor3D, weights: LstmWeights, state: LstmState): LstmRun {
  const { cell, hidden } = forward(x, weights, state);
  return { hidden, state: { h: lastStep(hidden), c: lastStep(cell) } };
}

/** What BlockLSTMV2 gives, each [T, B, H]. */
interface Gates {
  readonly input: tf.Tensor3D;
  readonly cell: tf.Tensor3D;
  readonly forget: tf.Tensor3D;
  readonly output: tf.Tensor3D;
  readonly candidate: tf.Tensor3D;
  /** tanh(cell) */
  readonly cellOut: tf.Tensor3D;
  readonly hidden: tf.Tensor3D;
}

function forward(x: tf.Tensor3D, { wx, wh, b }: LstmWeights, { h, c }: LstmState): Gates {
  // Peephole weights are wanted though they are not used.
  const none = tf.zeros([h.shape[1]]);
  const given = [sequenceLength(x), x, c, h, tf.concat([wx, wh], 0), none, none, none, b];
  const outputs = executeOp('BlockLSTMV2', [float, noClip, noPeephole], given, 7) as tf.Tensor3D[];
  const [input, cell, forget, output, candidate, cellOut, hidden] = outputs as [
    tf.Tensor3D,
    tf.Tensor3D,
    tf.Tensor3D,
    tf.Tensor3D,
    tf.Tensor3D,
    tf.Tensor3D,
    tf.Tensor3D,
  ];
  return { input, cell, forget, output, candidate, cellOut, hidden };
}

/** In the order in which LSTMBlockCellGrad takes them. */
const stepwise = ({ input, cell, forget, output, candidate, cellOut }: Gates): tf.Tensor3D[] => [
  input,
  cell,
  forget,
  output,
  candidate,
  cellOut,
];

interface Back {
  /** With respect to the gates before their nonlinearities, [T * B, 4H] in the order of LstmWeights. */
  readonly gates: tf.Tensor2D;
  /** With respect to the first state, [B, H]. */
  readonly h: tf.Tensor2D;
  readonly c: tf.Tensor2D;
}

/** @param kept as `stepwise` gives them */
function backThroughTime(dy: tf.Tensor3D, wh: tf.Tensor2D, c0: tf.Tensor2D, kept: readonly tf.Tensor3D[]): Back {
  const [steps, batch, width] = dy.shape;
  // Transposed once: a product that transposes packs the weights at every step, and takes up to three times as long.
  const swapped = swapGates(wh);
  const transposed = tf.transpose(swapped);
  // The kernel checks the shapes of x, h and the bias, and uses none of them.
  const noInput = tf.zeros([batch, 0]);
  const noPeep = tf.zeros([width]);
  const noBias = tf.zeros([4 * width]);
  const cells = unstacked(shifted(c0, kept[1] as tf.Tensor3D));
  const parts = kept.map(unstacked);
  const dys = unstacked(dy);
  const dGates: tf.Tensor2D[] = [];
  let dc: tf.Tensor2D = tf.zeros([batch, width]);
  let dh = dys.at(-1) as tf.Tensor2D;
  for (let t = steps - 1; t >= 0; t--) {
    const before = cells[t] as tf.Tensor2D;
    const constants = [noInput, before, before, swapped, noPeep, noPeep, noPeep, noBias];
    const given = [...constants, ...parts.map(part => part[t] as tf.Tensor2D), dc, dh];
    const [dCell, dGate] = executeOp('LSTMBlockCellGrad', [float, noPeephole], given, 5) as [tf.Tensor2D, tf.Tensor2D];
    dGates[t] = dGate;
    dc = dCell;
    const recurrent = tf.matMul<tf.Tensor2D>(dGate, transposed);
    dh = t === 0 ? recurrent : tf.add(recurrent, dys[t - 1] as tf.Tensor2D);
  }
  return { gates: swapGates(tf.concat2d(dGates, 0)), h: dh, c: dc };
}

/** LSTMBlockCellGrad has the candidate second and the forget gate third: [R, 4H] from one order to the other. */
function swapGates(x: tf.Tensor2D): tf.Tensor2D {
  const [input, second, third, output] = tf.split(x, 4, 1) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
  return tf.concat2d([input, third, second, output], 1);
}

/** The values before each step: `first` [B, H], then all but the last of [T, B, H]. */
const shifted = (first: tf.Tensor2D, sequence: tf.Tensor3D): tf.Tensor3D => {
  const [steps] = sequence.shape;
  const start = tf.expandDims<tf.Tensor3D>(first, 0);
  return steps === 1 ? start : tf.concat3d([start, tf.slice3d(sequence, [0, 0, 0], [steps - 1, -1, -1])], 0);
};

/** [T, B, H] -> T times [B, H] */
const unstacked = (sequence: tf.Tensor3D): tf.Tensor2D[] =>
  sequence.shape[0] === 1 ? [lastStep(sequence)] : (tf.unstack(sequence) as tf.Tensor2D[]);

/** [T, B, H] -> [B, H] */
const lastStep = (sequence: tf.Tensor3D): tf.Tensor2D => {
  const [steps, batch, width] = sequence.shape;
  return tf.reshape(tf.slice(sequence, [steps - 1, 0, 0], [1, batch, width]), [batch, width]);
};

/**
 * TensorFlow handles of int64 scalars by binding (a recording has one of its own) and value, made once: tfjs frees no int64
 * that it makes for a call.
 */
const int64Scalars = new WeakMap<object, Map<number, tf.Tensor>>();

/** T as the int64 scalar that the kernel takes; tfjs has no such type, but its backend stores one. */
function sequenceLength(x: tf.Tensor): tf.Tensor {
  const steps = x.shape[0] ?? 0;
  const backend = tf.backend() as tf.KernelBackend & { readonly binding: object };
  const known = int64Scalars.get(backend.binding) ?? new Map<number, tf.Tensor>();
  int64Scalars.set(backend.binding, known);
  let scalar = known.get(steps);
  if (scalar === undefined) {
    const dataId = backend.write(Int32Array.of(steps, 0), [], 'int64' as tf.DataType);
    // The kernels read no more of an input than where its data lies.
    scalar = { dataId, shape: [], dtype: 'int32' } as unknown as tf.Tensor;
    known.set(steps, scalar);
  }
  return scalar;
}
