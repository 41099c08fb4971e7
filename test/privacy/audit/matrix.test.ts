import { describe, expect, it } from 'vitest';
import { plainMultiply } from '#privacy/audit/matrix.ts';
import { seededRandom } from '#privacy/random.ts';

describe('plainMultiply', () => {
  it.each([
    [1, 1, 1],
    [3, 3, 8],
    [4, 7, 5],
    [50, 101, 33],
    [2, 97, 64],
  ])('a [%i, d] times b [%i, d] transposed, d = %i, equals the sum written out', async (n, m, d) => {
    const random = seededRandom(1, `${n} ${m} ${d}`);
    const a = Float32Array.from({ length: n * d }, () => random.gaussian());
    const b = Float32Array.from({ length: m * d }, () => random.gaussian());
    const product = await plainMultiply(a, b, d);
    expect(product.length).toBe(n * m);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < m; j++) {
        let sum = 0;
        for (let k = 0; k < d; k++) sum += (a[i * d + k] ?? 0) * (b[j * d + k] ?? 0);
        expect(product[i * m + j]).toBeCloseTo(sum, 4);
      }
    }
  });

  it('lets other work have a turn while it computes', async () => {
    const a = new Float32Array(300 * 1024).fill(0.5);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await plainMultiply(a, a, 1024);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
  });
});
