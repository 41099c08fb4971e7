/**
 * Fréchet Inception Distance between two sets of features (Heusel et al. 2017; paper 6.3.3):
 * |mu1 - mu2|^2 + Tr(S1 + S2 - 2 (S1 S2)^1/2), covariances with ddof 1 as pytorch-fid computes them.
 */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

export interface FeatureStatistics {
  readonly count: number;
  readonly mean: Float64Array;
  /** [D, D], ddof 1. */
  readonly covariance: Matrix;
}

/** Accumulates mean and covariance of [N, D] features batch by batch, in double precision. */
export class FeatureAccumulator {
  readonly #dimension: number;
  readonly #sum: Float64Array;
  readonly #products: Float64Array;
  #shift: Float64Array | undefined;
  #count = 0;

  constructor(dimension: number) {
    this.#dimension = dimension;
    this.#sum = new Float64Array(dimension);
    this.#products = new Float64Array(dimension * dimension);
  }

  /** @param features [N, D], row-major */
  add(features: ArrayLike<number>): void {
    const d = this.#dimension;
    // Sums of squares about the first row, not about zero: features with a large mean would cancel.
    this.#shift ??= Float64Array.from({ length: d }, (_, i) => features[i] ?? 0);
    const row = new Float64Array(d);
    for (let start = 0; start < features.length; start += d) {
      for (let i = 0; i < d; i++) row[i] = (features[start + i] as number) - (this.#shift[i] as number);
      for (let i = 0; i < d; i++) {
        const value = row[i] as number;
        this.#sum[i] = (this.#sum[i] as number) + value;
        for (let j = 0; j <= i; j++) {
          this.#products[i * d + j] = (this.#products[i * d + j] as number) + value * (row[j] as number);
        }
      }
      this.#count++;
    }
  }

  /** @throws RangeError with fewer than two rows, which have no covariance */
  statistics(): FeatureStatistics {
    const n = this.#count;
    const d = this.#dimension;
    if (n < 2 || this.#shift === undefined) throw new RangeError(`a covariance needs at least 2 rows, got ${n}`);
    const shift = this.#shift;
    const mean = this.#sum.map((sum, i) => sum / n + (shift[i] as number));
    const covariance = new Matrix(d, d);
    for (let i = 0; i < d; i++) {
      for (let j = 0; j <= i; j++) {
        const product = this.#products[i * d + j] as number;
        const value = (product - ((this.#sum[i] as number) * (this.#sum[j] as number)) / n) / (n - 1);
        covariance.set(i, j, value);
        covariance.set(j, i, value);
      }
    }
    return { count: n, mean, covariance };
  }
}

/** FID of two feature statistics of the same extractor. */
export function fid(a: FeatureStatistics, b: FeatureStatistics): number {
  const means = a.mean.reduce((sum, value, i) => sum + (value - (b.mean[i] as number)) ** 2, 0);
  const root = squareRoot(a.covariance);
  // Tr (S1 S2)^1/2 through the symmetric S1^1/2 S2 S1^1/2, which has the same eigenvalues and no complex ones.
  const inner = root.mmul(b.covariance).mmul(root);
  const trace = eigen(inner).realEigenvalues.reduce((sum, value) => sum + Math.sqrt(Math.max(value, 0)), 0);
  return means + a.covariance.trace() + b.covariance.trace() - 2 * trace;
}

const eigen = (matrix: Matrix): EigenvalueDecomposition => {
  const symmetric = Matrix.add(matrix, matrix.transpose()).mul(0.5);
  return new EigenvalueDecomposition(symmetric, { assumeSymmetric: true });
};

/** Symmetric positive semi-definite square root; eigenvalues that rounding made negative count as zero. */
function squareRoot(matrix: Matrix): Matrix {
  const { eigenvectorMatrix: vectors, realEigenvalues } = eigen(matrix);
  const roots = Matrix.diag(realEigenvalues.map(value => Math.sqrt(Math.max(value, 0))));
  return vectors.mmul(roots).mmul(vectors.transpose());
}
