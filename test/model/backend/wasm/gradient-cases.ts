/** The ops that EMIXER is made of, as functions of their differentiable inputs. */
import * as tf from '@tensorflow/tfjs-core';

export interface GradientCase {
  readonly shapes: readonly (readonly number[])[];
  /** Inputs at least 0.3, for logarithms and roots. */
  readonly positive?: boolean;
  readonly apply: (inputs: readonly tf.Tensor[]) => tf.Tensor;
}

type Op = (...inputs: never[]) => tf.Tensor;

const of = (shapes: readonly (readonly number[])[], apply: Op, positive = false): GradientCase => ({
  shapes,
  positive,
  apply: inputs => (apply as (...inputs: readonly tf.Tensor[]) => tf.Tensor)(...inputs),
});

const words = () => tf.tensor1d([0, 2, 2, 1, 4], 'int32');
const [image, filter] = [
  [2, 8, 8, 3],
  [3, 3, 3, 5],
] as const;

const convolution = (x: readonly number[], w: readonly number[], stride: number, pad: 'same' | 'valid') =>
  of([x, w], (a: tf.Tensor4D, b: tf.Tensor4D) => tf.conv2d(a, b, stride, pad));

export const gradientCases: Readonly<Record<string, GradientCase>> = {
  'conv2d 3x3 same': convolution(image, filter, 1, 'same'),
  'conv2d 3x3 same, height over 16': convolution([2, 20, 18, 3], filter, 1, 'same'),
  'conv2d 3x2 valid': convolution([2, 9, 8, 3], [3, 2, 3, 5], 1, 'valid'),
  'conv2d 3x3 stride 2 same': convolution([2, 9, 8, 3], filter, 2, 'same'),
  'conv2d 3x3 stride 2 same, height over 16': convolution([2, 40, 41, 3], filter, 2, 'same'),
  'conv2d 3x3 stride 2 valid, a row unused': convolution([2, 10, 10, 3], filter, 2, 'valid'),
  'conv2d 1x1': convolution([2, 20, 20, 3], [1, 1, 3, 5], 1, 'same'),
  'conv2d 1x1 stride 2': convolution([2, 9, 9, 3], [1, 1, 3, 5], 2, 'same'),
  'conv2d 7x7 stride 2': convolution([2, 32, 32, 1], [7, 7, 1, 5], 2, 'same'),
  conv2dTranspose: of(
    [
      [2, 4, 4, 3],
      [3, 3, 5, 3],
    ],
    (x: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2dTranspose(x, w, [2, 8, 8, 5], 2, 'same'),
  ),
  'avgPool 2x2': of([image], (x: tf.Tensor4D) => tf.avgPool(x, 2, 2, 'valid')),
  'avgPool 3x3 padded': of([[2, 7, 7, 3]], (x: tf.Tensor4D) => tf.avgPool(x, 3, 2, 'same')),
  'maxPool 2x2': of([image], (x: tf.Tensor4D) => tf.maxPool(x, 2, 2, 'valid')),
  'maxPool 3x3 padded, overlapping': of([[2, 9, 9, 3]], (x: tf.Tensor4D) => tf.maxPool(x, 3, 2, 'same')),
  'maxPool with ties': of([image], (x: tf.Tensor4D) => tf.maxPool(tf.relu(x), 2, 2, 'valid')),
  resizeNearestNeighbor: of([[2, 4, 4, 3]], (x: tf.Tensor4D) => tf.image.resizeNearestNeighbor(x, [8, 8])),
  resizeBilinear: of([[2, 4, 4, 3]], (x: tf.Tensor4D) => tf.image.resizeBilinear(x, [7, 9])),
  matMul: of(
    [
      [4, 5],
      [5, 6],
    ],
    (a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b),
  ),
  'matMul of transposed operands': of(
    [
      [5, 4],
      [6, 5],
    ],
    (a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b, true, true),
  ),
  'batched matMul': of(
    [
      [3, 4, 5],
      [3, 6, 5],
    ],
    (a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b, false, true),
  ),
  softmax: of([[2, 4, 7]], (x: tf.Tensor) => tf.softmax(x)),
  logSoftmax: of([[4, 7]], (x: tf.Tensor) => tf.logSoftmax(x)),
  logSumExp: of([[4, 7]], (x: tf.Tensor) => tf.logSumExp(x, 1)),
  'gather rows': of([[5, 6]], (x: tf.Tensor) => tf.gather(x, words(), 0)),
  'gather along axis 1': of([[3, 5, 2]], (x: tf.Tensor) => tf.gather(x, words(), 1)),
  'gather by a matrix of ids': of([[5, 6]], (x: tf.Tensor) =>
    tf.gather(
      x,
      tf.tensor2d(
        [
          [0, 1],
          [4, 4],
        ],
        [2, 2],
        'int32',
      ),
    ),
  ),
  'product with one-hot rows': of([[5, 6]], (x: tf.Tensor) => tf.matMul(tf.cast(tf.oneHot(words(), 5), 'float32'), x)),
  'concat and split': of(
    [
      [2, 3],
      [2, 5],
    ],
    (a: tf.Tensor, b: tf.Tensor) => {
      const [left, right] = tf.split(tf.concat([a, b], 1), 2, 1);
      return tf.mul(left as tf.Tensor, right as tf.Tensor);
    },
  ),
  'stack and unstack': of([[2, 3, 4]], (x: tf.Tensor) => tf.stack(tf.unstack(x, 1).reverse(), 0)),
  pad: of([[2, 3]], (x: tf.Tensor2D) =>
    tf.pad(x, [
      [1, 0],
      [2, 1],
    ]),
  ),
  mirrorPad: of([[3, 4]], (x: tf.Tensor2D) =>
    tf.mirrorPad(
      x,
      [
        [1, 1],
        [2, 1],
      ],
      'reflect',
    ),
  ),
  slice: of([[4, 5]], (x: tf.Tensor2D) => tf.slice(x, [1, 1], [2, 3])),
  'tile and transpose': of([[2, 3, 4]], (x: tf.Tensor3D) => tf.transpose(tf.tile(x, [2, 1, 3]), [2, 0, 1])),
  broadcastTo: of([[2, 1, 3]], (x: tf.Tensor) => tf.broadcastTo(x, [2, 4, 3])),
  'sum, mean, max, min': of([[2, 3, 4]], (x: tf.Tensor) =>
    tf.addN([tf.sum(x, [1]), tf.mean(x, [1]), tf.max(x, 1), tf.min(x, 1)]),
  ),
  norm: of([[2, 3, 4]], (x: tf.Tensor) => tf.norm(x, 'euclidean', [1, 2])),
  moments: of([image], (x: tf.Tensor) => {
    const { mean, variance } = tf.moments(x, [0, 1, 2]);
    return tf.add(mean, variance);
  }),
  batchNorm: of([image, [3], [3]], (x: tf.Tensor4D, offset: tf.Tensor1D, mean: tf.Tensor1D) =>
    tf.batchNorm(x, mean, tf.fill([3], 1.5), offset, tf.fill([3], 0.7), 1e-5),
  ),
  'relu, leakyRelu, elu': of([[3, 4]], (x: tf.Tensor) => tf.addN([tf.relu(x), tf.leakyRelu(x, 0.2), tf.elu(x)])),
  'sigmoid, tanh, softplus': of([[3, 4]], (x: tf.Tensor) => tf.addN([tf.sigmoid(x), tf.tanh(x), tf.softplus(x)])),
  'exp, square, abs, sin, erf': of([[3, 4]], (x: tf.Tensor) =>
    tf.addN([tf.exp(x), tf.square(x), tf.abs(x), tf.sin(x), tf.erf(x)]),
  ),
  'log, log1p, sqrt, rsqrt, reciprocal, pow': of(
    [[3, 4]],
    (x: tf.Tensor) => tf.addN([tf.log(x), tf.log1p(x), tf.sqrt(x), tf.rsqrt(x), tf.reciprocal(x), tf.pow(x, 3)]),
    true,
  ),
  'clip and where': of(
    [
      [3, 4],
      [3, 4],
    ],
    (a: tf.Tensor, b: tf.Tensor) =>
      tf.where(tf.tensor2d([1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 1], [3, 4], 'bool'), tf.clipByValue(a, -0.5, 0.5), b),
  ),
  'maximum, minimum, squaredDifference': of(
    [
      [3, 4],
      [3, 4],
    ],
    (a: tf.Tensor, b: tf.Tensor) => tf.addN([tf.maximum(a, b), tf.minimum(a, b), tf.squaredDifference(a, b)]),
  ),
  'arithmetic that broadcasts': of([[3, 4], [4], [3, 1]], (a: tf.Tensor, b: tf.Tensor, c: tf.Tensor) =>
    tf.div(tf.sub(tf.mul(a, b), c), tf.add(tf.square(b), 1)),
  ),
  'cumsum and reverse': of([[3, 4]], (x: tf.Tensor) => tf.reverse(tf.cumsum(x, 1), 1)),
  'one LSTM step': of(
    [
      [2, 6],
      [2, 3],
      [6, 12],
    ],
    (x: tf.Tensor, cell: tf.Tensor, kernel: tf.Tensor2D) => {
      const [input, candidate, forget, output] = tf.split(tf.matMul(x, kernel), 4, 1) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      const next = tf.add(tf.mul(tf.sigmoid(forget), cell), tf.mul(tf.sigmoid(input), tf.tanh(candidate)));
      return tf.mul(tf.tanh(next), tf.sigmoid(output));
    },
  ),
};
