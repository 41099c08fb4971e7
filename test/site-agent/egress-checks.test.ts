import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeSafetensors } from '#model/checkpoint/safetensors.ts';
import { parseRunConfig } from '#model/federated.ts';
import { FedError } from '#proto/errors.ts';
import type { Manifest } from '#proto/gen/fed/v1/tensors.ts';
import { TensorType } from '#proto/gen/fed/v1/tensors.ts';
import { checkFailure, checkMetrics, checkStatistics, checkSynthetic } from '#site-agent/egress-checks.ts';
import { checkOutcome } from '#site-agent/egress-results.ts';
import { Outgoing } from '#site-agent/outgoing.ts';
import { checkTask } from '#site-agent/policy.ts';
import { UntrustedFailure } from '#site-agent/untrusted-failure.ts';
import { taskOf } from '../support/tasks.ts';
import { writeWeights } from '../support/weights.ts';

const run = parseRunConfig({ sites: ['a', 'b'], pairs: 4 });
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'emixer-egress-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const weights = async (tensors: Parameters<typeof writeWeights>[1], reference?: Manifest) => {
  const path = join(dir, 'w.safetensors');
  await writeWeights(path, tensors);
  return Outgoing.read({ kind: 'weights', runId: 'r', run, path, reference });
};
const refusal = (text: string) => ({ code: 'POLICY_REFUSED', message: expect.stringContaining(text) });

describe('weights', () => {
  it.each(['D_image/conv1/w', 'D_report/lstm', 'D_joint/x', 'E/encoder/w', 'optimiser/G/w', 'G', 'F/other/w', 'Gx/w'])(
    'named %s stay at the site',
    async name => {
      await expect(
        weights({ 'G/w': { elements: 2, value: 0 }, [name]: { elements: 2, value: 0 } }),
      ).rejects.toMatchObject(refusal(name));
    },
  );

  it('of G and F may leave', async () => {
    const { manifest } = await weights({ 'G/w': { elements: 2, value: 0 }, 'F/encoder/w': { elements: 3, value: 0 } });
    expect(manifest.tensors.map(({ name }) => name)).toEqual(['F/encoder/w', 'G/w']);
  });

  it('with NaN or infinity are named', async () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      await expect(
        weights({ 'G/w': { elements: 2, value: 0 }, 'F/decoder/v': { elements: 2, value } }),
      ).rejects.toMatchObject({
        code: 'NON_FINITE',
        message: expect.stringContaining('F/decoder/v'),
      });
    }
  });

  it('keep the shapes of the global weights', async () => {
    const { manifest } = await weights({ 'G/w': { elements: 2, value: 0 } });
    await expect(weights({ 'G/w': { elements: 3, value: 0 } }, manifest)).rejects.toMatchObject(refusal('G/w'));
  });

  it('are the tensors of the global weights and no others; what generated also has the buffers of G', async () => {
    const { manifest } = await weights({ 'G/w': { elements: 2, value: 0 } });
    const more = { 'G/w': { elements: 2, value: 0 }, 'G/mean': { elements: 9, value: 0 } };
    await expect(weights(more, manifest)).rejects.toMatchObject(refusal('G/mean'));
    const source = { kind: 'weights', runId: 'r', run, path: join(dir, 'w.safetensors'), reference: manifest } as const;
    await expect(Outgoing.read({ ...source, buffersOfG: true })).resolves.toBeDefined();
    await weights({ ...more, 'F/decoder/v': { elements: 1, value: 0 } });
    await expect(Outgoing.read({ ...source, buffersOfG: true })).rejects.toMatchObject(refusal('F/decoder/v'));
  });

  it('are F32', async () => {
    const path = join(dir, 'w.safetensors');
    await writeSafetensors(path, [{ name: 'G/w', dtype: 'U8', shape: [2], data: new Uint8Array(2) }]);
    await expect(Outgoing.read({ kind: 'weights', runId: 'r', run, path })).rejects.toMatchObject(refusal('F32'));
  });
});

describe('generated pairs', () => {
  const manifest = (tensors: Record<string, number[]>): Manifest => ({
    chunkBytes: 1024,
    tensors: Object.entries(tensors).map(([name, shape]) => ({ name, shape, dtype: TensorType.U8, chunkSha256: [] })),
  });
  const whole = { images: [4, 32, 32, 1], labels: [4, 14], reports: [100] };

  it('are as many and as large as the run says', () => {
    expect(checkSynthetic(manifest(whole), run).tensors).toHaveLength(3);
    expect(() => checkSynthetic(manifest({ ...whole, images: [5, 32, 32, 1] }), run)).toThrow(/images/);
    expect(() => checkSynthetic(manifest({ ...whole, images: [4, 512, 512, 1] }), run)).toThrow(/images/);
    expect(() => checkSynthetic(manifest({ ...whole, patients: [4] }), run)).toThrow(/patients/);
    expect(() => checkSynthetic(manifest({ images: whole.images, labels: whole.labels }), run)).toThrow(/2 tensors/);
  });
});

describe('the bytes of generated pairs', () => {
  const line = (report: string): string => `${JSON.stringify({ report })}\n`;
  const fine = [line('heart .'), line(''), line('heart lung . lung .'), line('lung .')].join('');
  const read = async (reports: string | Buffer, labels: Uint8Array<ArrayBuffer> = new Uint8Array(4 * 14)) => {
    const path = join(dir, 's.safetensors');
    const data = Buffer.from(reports);
    await writeSafetensors(path, [
      { name: 'images', dtype: 'U8', shape: [4, 32, 32, 1], data: new Uint8Array(4 * 1024) },
      { name: 'labels', dtype: 'U8', shape: [4, 14], data: labels },
      { name: 'reports', dtype: 'U8', shape: [data.length], data },
    ]);
    return Outgoing.read({ kind: 'synthetic', runId: 'r', run, path, vocabulary: ['heart', 'lung'] });
  };

  it('are words of the vocabulary, a line a pair, and labels of 0 and 1', async () => {
    expect((await read(fine)).manifest.tensors).toHaveLength(3);
  });

  it.each<[string, string | Buffer, Uint8Array<ArrayBuffer>?]>([
    ['a word of one site', fine.replace('heart', 'smith')],
    ['another key', fine.replace('{"report":"heart ."}', '{"report":"heart .","of":"p1234"}')],
    ['a space that no audit reads', fine.replace('{"report"', '{ "report"')],
    ['a pair too many', fine + line('heart .')],
    ['an unfinished line', fine.slice(0, -1)],
    ['text behind the reports', `${fine}\n`],
    ['a report without an end', Buffer.alloc(200_000, 'a')],
    [
      'bytes that are no text',
      Buffer.concat([Buffer.from(fine.slice(0, -4)), Buffer.from([0xff]), Buffer.from('"}\n')]),
    ],
    ['labels that are none', fine, new Uint8Array(4 * 14).fill(65, 20, 21)],
  ])('with %s stay', async (_name, reports, labels) => {
    await expect(read(reports, labels)).rejects.toMatchObject({ code: 'POLICY_REFUSED' });
  });
});

describe('metrics', () => {
  it.each([
    [{ 'report/mle': Number.NaN }, 'report/mle'],
    [{ 'report/mle': Number.POSITIVE_INFINITY }, 'report/mle'],
    [{ 'report/mle': '0.5' }, 'report/mle'],
    [{ 'patient 1234 loss': 1 }, 'patient 1234'],
    [{ __proto__x: 1 }, '__proto__x'],
  ])('%j stays', (metrics, named) => {
    expect(() => checkMetrics(metrics)).toThrow(expect.objectContaining(refusal(named)));
  });

  it('under known names leave', () => {
    expect(checkMetrics({ 'G/rotation': 0.5, step: 3 })).toEqual({ 'G/rotation': 0.5, step: 3 });
  });
});

describe('statistics', () => {
  const json = (change: object): string =>
    JSON.stringify({ patients: 40, records: 60, recordsWithReport: 50, labels: {}, tokens: { heart: 7 }, ...change });
  const check = (change: object, minimumCell = 5) => checkStatistics(json(change), run, minimumCell);

  it('leave with suppressed cells', () => {
    expect(() => check({ labels: { Edema: null, Pneumonia: 5 } })).not.toThrow();
  });

  it.each<[string, object, string]>([
    ['a small cell', { labels: { Edema: 4 } }, 'Edema'],
    ['an unknown label', { labels: { 'John Smith': 40 } }, 'John Smith'],
    ['few patients', { patients: 3 }, 'patients'],
    ['a token of few patients', { tokens: { smith: 2 } }, 'fewer than 3'],
    ['another key', { names: ['x'] }, 'names'],
  ])('with %s stay', (_name, change, named) => {
    expect(() => check(change)).toThrow(expect.objectContaining(refusal(named)));
  });

  it('obey the stricter of run and policy', () => {
    expect(() => check({ labels: { Edema: 8 } }, 10)).toThrow(/below 10/);
  });
});

describe('results', () => {
  const statistics = { $case: 'statistics', value: { statisticsJson: '{}' } } as const;
  it('are of the kind of their task', () => {
    expect(() => checkOutcome(checkTask(taskOf('audit')), statistics, 5)).toThrow(/expected the result of a task/);
  });

  it('of an audit hold aggregates by schema only', () => {
    const outcome = {
      $case: 'audit',
      value: { auditJson: JSON.stringify({ nearest: 'the report of a patient' }) },
    } as const;
    expect(() => checkOutcome(checkTask(taskOf('audit')), outcome, 5)).toThrow(
      expect.objectContaining({ code: 'POLICY_REFUSED' }),
    );
  });

  it('of an evaluation hold sums only', () => {
    const sums = { nllSum: 1, tokens: 2, unigramNllSum: 3, fid: null, fidUntrained: null };
    const evaluation = { ...sums, extractorSha256: '', images: 0 };
    const fine = { $case: 'evaluate', value: { metricsJson: JSON.stringify(evaluation) } } as const;
    expect(() => checkOutcome(checkTask(taskOf('evaluate')), fine, 5)).not.toThrow();
    const value = { metricsJson: JSON.stringify({ ...evaluation, worstReport: 'text' }) };
    expect(() => checkOutcome(checkTask(taskOf('evaluate')), { $case: 'evaluate', value }, 5)).toThrow(/worstReport/);
  });
});

describe('failures', () => {
  it('go out without paths, and without the words of unexpected errors', () => {
    expect(checkFailure(new FedError('DATA_INVALID', 'expected /data/p10/p1234/s1.txt to be text'))).toEqual({
      code: 'DATA_INVALID',
      message: 'expected <path> to be text',
    });
    const nan = new UntrustedFailure(new FedError('NON_FINITE', 'the loss D_image/rotation of Mrs Smith is NaN'));
    expect(checkFailure(nan)).toEqual({ code: 'NON_FINITE', message: 'a number is not finite (D_image/rotation)' });
    const internal = checkFailure(new FedError('INTERNAL', 'Unexpected token in "Mrs Smith, 54"'));
    expect(internal.message).not.toContain('Smith');
  });
});
