import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Contribution, RejectedContribution, type StoredWeights } from '#coordinator/strategies/contribution.ts';
import { emaChunk, emaDecayOver } from '#coordinator/strategies/ema.ts';
import { fedAvg, floats } from '#coordinator/strategies/fedavg.ts';
import { sha256 } from '#proto/chunks.ts';
import { buildManifest, type TensorDtype } from '#proto/manifest.ts';

interface Tensor {
  readonly name: string;
  readonly values: readonly number[];
  readonly shape?: readonly number[];
  readonly dtype?: TensorDtype;
}

async function weightsOf(tensors: readonly Tensor[], chunkBytes = 8): Promise<StoredWeights> {
  const chunks = new Map<string, Buffer>();
  const manifest = await buildManifest(
    tensors.map(({ name, values, shape = [values.length], dtype = 'F32' }) => ({
      name,
      dtype,
      shape,
      bytes: [new Uint8Array(dtype === 'F32' ? Float32Array.from(values).buffer : Int32Array.from(values).buffer)],
    })),
    (hash, data) => void chunks.set(hash.toString('hex'), data),
    chunkBytes,
  );
  return { manifest, chunk: async address => chunks.get(address) as Buffer };
}

const contribution = async (
  site: string,
  records: Contribution['records'],
  tensors: readonly Tensor[],
  chunkBytes?: number,
): Promise<Contribution> => ({ site, records, ...(await weightsOf(tensors, chunkBytes)) });

/** name -> values of the average. */
async function average(contributions: readonly Contribution[], previous?: StoredWeights) {
  const result: Record<string, number[]> = {};
  for await (const { tensor, index, bytes } of fedAvg(contributions, previous)) {
    const values = result[tensor.name] ?? [];
    result[tensor.name] = values;
    expect(index * 2).toBe(values.length);
    values.push(...new Float32Array(new Uint8Array(bytes).buffer));
  }
  return result;
}

const rejection = async (contributions: readonly Contribution[], previous?: StoredWeights) => {
  const error = await average(contributions, previous).then(
    () => undefined,
    thrown => thrown as RejectedContribution,
  );
  expect(error).toBeInstanceOf(RejectedContribution);
  return { site: error?.site, code: error?.code, message: error?.message };
};

const float = fc.float({ noNaN: true, noDefaultInfinity: true, min: -1000, max: 1000 });

describe('fedAvg', () => {
  it('equals a weighted mean computed independently, whatever the order of arrival, bit for bit', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            records: fc.integer({ min: 1, max: 100_000 }),
            decoder: fc.integer({ min: 0, max: 1_000 }),
            g: fc.array(float, { minLength: 5, maxLength: 5 }),
            f: fc.array(float, { minLength: 3, maxLength: 3 }),
          }),
          { minLength: 1, maxLength: 6 },
        ),
        async sites => {
          const contributions = await Promise.all(
            sites.map(({ records, decoder, g, f }, i) =>
              contribution(`site-${i}`, { G: records, 'F/decoder': decoder }, [
                { name: 'F/decoder/b', values: f },
                { name: 'G/w', values: g },
              ]),
            ),
          );
          const result = await average(contributions);
          const mean = (
            values: (site: (typeof sites)[number]) => number,
            weight: (site: (typeof sites)[number]) => number,
          ) =>
            sites.reduce((sum, site) => sum + values(site) * weight(site), 0) /
            sites.reduce((sum, site) => sum + weight(site), 0);
          for (const i of [0, 1, 2, 3, 4]) {
            const expected = mean(
              site => Math.fround(site.g[i] as number),
              site => site.records,
            );
            expect(Math.abs((result['G/w']?.[i] as number) - expected)).toBeLessThanOrEqual(
              1e-6 * Math.max(1, Math.abs(expected)),
            );
          }
          if (sites.some(({ decoder }) => decoder > 0)) {
            const expected = mean(
              site => Math.fround(site.f[1] as number),
              site => site.decoder,
            );
            expect(Math.abs((result['F/decoder/b']?.[1] as number) - expected)).toBeLessThanOrEqual(
              1e-6 * Math.max(1, Math.abs(expected)),
            );
          }
          expect(await average([...contributions].reverse())).toEqual(result);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('gives a site without records of a group no weight in it', async () => {
    const a = await contribution('a', { G: 1 }, [
      { name: 'F/decoder/b', values: [100] },
      { name: 'G/w', values: [1] },
    ]);
    const b = await contribution('b', { G: 3, 'F/decoder': 7 }, [
      { name: 'F/decoder/b', values: [4] },
      { name: 'G/w', values: [5] },
    ]);
    expect(await average([a, b])).toEqual({ 'F/decoder/b': [4], 'G/w': [4] });
  });

  it('keeps what nobody trained, and what nobody sent', async () => {
    const previous = await weightsOf([
      { name: 'F/encoder/w', values: [9, 8, 7] },
      { name: 'G/old', values: [6] },
    ]);
    const a = await contribution('a', { G: 1 }, [
      { name: 'F/encoder/w', values: [1, 1, 1] },
      { name: 'G/w', values: [2] },
    ]);
    expect(await average([a], previous)).toEqual({ 'F/encoder/w': [9, 8, 7], 'G/old': [6], 'G/w': [2] });
  });

  it('takes the common initial value where nobody trained and there is no previous one', async () => {
    const tensors = [{ name: 'G/w', values: [0.1, -0.3] }];
    const sites = await Promise.all(['a', 'b', 'c'].map(site => contribution(site, { 'F/encoder': 5 }, tensors)));
    expect(await average(sites)).toEqual({ 'G/w': [Math.fround(0.1), Math.fround(-0.3)] });
  });

  it('names the site whose numbers are not finite, even where it has no weight', async () => {
    const good = await contribution('a', { G: 1 }, [{ name: 'G/w', values: [1, 2, 3] }]);
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const bad = await contribution('b', {}, [{ name: 'G/w', values: [1, 2, value] }]);
      expect(await rejection([bad, good])).toEqual({
        site: 'b',
        code: 'NON_FINITE',
        message: 'tensor G/w is not finite',
      });
    }
  });

  it('refuses modules that may not leave a site, and types that have no mean', async () => {
    const good = await contribution('a', { G: 1 }, [{ name: 'G/w', values: [1] }]);
    const discriminator = await contribution('b', { G: 1 }, [{ name: 'D_image/w', values: [1] }]);
    expect(await rejection([good, discriminator])).toMatchObject({ site: 'b', code: 'MESSAGE_INVALID' });
    const integers = await contribution('b', { G: 1 }, [{ name: 'G/w', values: [1], dtype: 'I32' }]);
    expect((await rejection([good, integers])).message).toContain('not float32');
    expect((await rejection([await contribution('b', { G: 1 }, [])])).message).toContain('no tensor');
  });

  it('refuses who differs from most, and from the weights so far', async () => {
    const like = (site: string) => contribution(site, { G: 1 }, [{ name: 'G/w', values: [1, 2] }]);
    const odd = await contribution('a', { G: 1 }, [{ name: 'G/v', values: [1, 2] }]);
    expect(await rejection([odd, await like('b'), await like('c')])).toMatchObject({ site: 'a' });
    // Two against two: the first by name is right.
    expect(await rejection([odd, await like('b')])).toMatchObject({ site: 'b' });
    const previous = await weightsOf([{ name: 'G/w', values: [1, 2, 3] }]);
    expect(await rejection([await like('a')], previous)).toMatchObject({ site: 'a' });
    const reshaped = await contribution('a', { G: 1 }, [{ name: 'G/w', values: [1, 2], shape: [1, 2] }]);
    expect(await rejection([reshaped, await like('b'), await like('c')])).toMatchObject({ site: 'a' });
    const cut = await contribution('a', { G: 1 }, [{ name: 'G/w', values: [1, 2] }], 16);
    expect(await rejection([cut, await like('b'), await like('c')])).toMatchObject({ site: 'a' });
  });

  it('reads one chunk a site at a time', async () => {
    let open = 0;
    let most = 0;
    const base = await Promise.all(
      ['a', 'b', 'c', 'd'].map(site => contribution(site, { G: 1 }, [{ name: 'G/w', values: Array(100).fill(1) }])),
    );
    const counted = base.map(one => ({
      ...one,
      async chunk(address: string) {
        most = Math.max(most, ++open);
        await Promise.resolve();
        open--;
        return one.chunk(address);
      },
    }));
    await average(counted);
    expect(most).toBe(1);
  });
});

describe('floats', () => {
  it('reads numbers wherever in a pooled buffer they begin', () => {
    const pool = Buffer.alloc(13);
    pool.writeFloatLE(1.5, 1);
    pool.writeFloatLE(-2, 5);
    expect([...floats(pool.subarray(1, 9))]).toEqual([1.5, -2]);
  });
});

describe('the average over rounds', () => {
  it('keeps the product of min(decay, (1 + n) / (10 + n)) over the steps of the round', () => {
    expect(emaDecayOver(0.9999, 0, 2)).toBeCloseTo((2 / 11) * (3 / 12), 15);
    expect(emaDecayOver(0.5, 1_000, 3)).toBeCloseTo(0.125, 15);
    expect(emaDecayOver(0.9999, 10, 5) * emaDecayOver(0.9999, 15, 5)).toBeCloseTo(emaDecayOver(0.9999, 10, 10), 15);
  });

  it('moves towards the new weights, and not where both agree', () => {
    const bytes = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
    const smoothed = new Float32Array(emaChunk(bytes(0, 4, 0.1), bytes(1, 8, 0.1), 0.75).buffer);
    expect([...smoothed]).toEqual([0.25, 5, Math.fround(0.1)]);
    const current = bytes(1, 2);
    expect(sha256(emaChunk(undefined, current, 0.9))).toEqual(sha256(current));
  });
});
