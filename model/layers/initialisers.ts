/** Starting values of weights, drawn from a seeded stream: the same seed gives every site the same start. */
import * as tf from '@tensorflow/tfjs-core';
import { executeOp, hasNativeOps, opAttr } from '#model/backend/execute-op.ts';
import type { Random } from '#model/random.ts';

/** Above this many multiply-adds the factorisation goes to TensorFlow, where there is one. */
const NATIVE_ABOVE = 1e6;

/**
 * A weight [..., O] that, as a matrix [K, O], has orthonormal columns (O <= K) or rows (O > K), uniform over such
 * matrices (Saxe et al. 2014; the initialisation of BigGAN).
 */
export function orthogonal(shape: readonly number[], random: Random): tf.Tensor {
  const outputs = shape.at(-1) ?? 1;
  const inputs = shape.reduce((product, side) => product * side, 1) / outputs;
  const [long, short] = inputs >= outputs ? [inputs, outputs] : [outputs, inputs];
  // Row r of `rows` is column r of the long [long, short] matrix.
  const rows = random.normals(long * short);
  const basis =
    long * short * short > NATIVE_ABOVE && hasNativeOps()
      ? nativeRows(rows, long, short)
      : gramSchmidt(rows, long, short);
  return tf.tidy(() => {
    const matrix = tf.tensor2d(basis, [short, long]);
    return tf.reshape(inputs >= outputs ? tf.transpose(matrix) : matrix, [...shape]);
  });
}

/** Modified Gram-Schmidt in float64; equal to QR with a positive diagonal of R, which makes Q uniform. */
function gramSchmidt(gaussian: Float32Array, long: number, short: number): Float32Array {
  const rows = Float64Array.from(gaussian);
  for (let i = 0; i < short; i++) {
    const row = rows.subarray(i * long, (i + 1) * long);
    let square = 0;
    for (const value of row) square += value * value;
    const scale = 1 / Math.sqrt(square);
    for (let k = 0; k < long; k++) row[k] = (row[k] as number) * scale;
    for (let j = i + 1; j < short; j++) {
      const other = rows.subarray(j * long, (j + 1) * long);
      let inner = 0;
      for (let k = 0; k < long; k++) inner += (row[k] as number) * (other[k] as number);
      for (let k = 0; k < long; k++) other[k] = (other[k] as number) - inner * (row[k] as number);
    }
  }
  return Float32Array.from(rows);
}

/** The same by TensorFlow. */
function nativeRows(gaussian: Float32Array, long: number, short: number): Float32Array {
  const result = tf.tidy(() => {
    const rows = tf.tensor2d(gaussian, [short, long]);
    return long >= 2 * short ? choleskyRows(rows) : householderRows(rows);
  });
  const values = result.dataSync() as Float32Array;
  result.dispose();
  return values;
}

const float = [opAttr.type('T', 'float32')];

/**
 * L^-1 A of A A' = L L', the Q of the factorisation with the positive diagonal, in a tenth of Householder's time. Its error
 * grows with the square of A's condition, which for a Gaussian matrix with twice as many columns as rows is below 6.
 */
function choleskyRows(rows: tf.Tensor2D): tf.Tensor {
  const [lower] = executeOp('Cholesky', float, [tf.matMul(rows, rows, false, true)]) as [tf.Tensor2D];
  const attributes = [...float, opAttr.bool('lower', true), opAttr.bool('adjoint', false)];
  return executeOp('MatrixTriangularSolve', attributes, [lower, rows])[0] as tf.Tensor;
}

function householderRows(rows: tf.Tensor2D): tf.Tensor {
  const attributes = [...float, opAttr.bool('full_matrices', false)];
  const [q, r] = executeOp('Qr', attributes, [tf.transpose(rows)], 2) as [tf.Tensor2D, tf.Tensor2D];
  const diagonal = tf.sum(tf.mul(r, tf.eye(rows.shape[0])), 1);
  return tf.transpose(tf.mul(q, tf.sign(diagonal)));
}
