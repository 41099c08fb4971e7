import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { countCalls } from '#model/backend/count-calls.ts';
import { loadBackend } from '#model/backend/load-backend.ts';
import { measureSteps, median } from '#model/bench/measure.ts';
import { syntheticData, syntheticWords } from '#model/bench/synthetic-data.ts';
import { resolveModelConfig } from '#model/config.ts';
import { parseReport } from '#model/text/report-cleaner.ts';
import { useNativeBackend } from '../../support/native-backend.ts';
import { tinyConfig } from '../../support/tiny-training.ts';

const native = await useNativeBackend();

describe('countCalls', () => {
  it.runIf(native)('counts kernels until it is stopped, and changes no result', () => {
    const backend = tf.backend() as unknown as { binding: object };
    const binding = backend.binding;
    const counter = countCalls();
    const x = tf.tensor1d([1, 2, 3]);
    const y = tf.mul(tf.add(x, 1), x);
    expect(counter.calls).toBe(2);
    expect([...y.dataSync()]).toEqual([2, 6, 12]);
    counter.stop();
    expect(backend.binding).toBe(binding);
    tf.dispose([tf.add(x, 1), x, y]);
    expect(counter.calls).toBe(2);
  });

  it('says that it cannot count where there is no TensorFlow', async () => {
    await loadBackend({ demand: 'cpu' });
    const counter = countCalls();
    expect(counter.calls).toBeUndefined();
    counter.stop();
    if (native) await useNativeBackend();
  });
});

describe('measureSteps', () => {
  // A clock that a test can tell: every look at it is a second later.
  const clock = () => {
    let looked = 10;
    return () => 1000 * looked++;
  };
  const common = { vocabulary: 40, iterations: 3, seed: 1, processStartMs: 4000, signal: new AbortController().signal };

  it.each(['image', 'all'] as const)('times the steps after two of warm-up, part %s', async part => {
    const result = await measureSteps({ ...common, config: tinyConfig, part, nowMs: clock() });
    expect(result.secondsPerIteration).toEqual({ median: 1, min: 1, max: 1 });
    // The first step begins at 10 s and ends at 11 s; the process began at 4 s.
    expect(result.firstStepSeconds).toBe(7);
    expect(result.tensorsAfter).toBe(result.tensorsBefore);
    expect(result.tensorsBefore).toBeGreaterThan(0);
    expect(result.peakRssBytes).toBeGreaterThan(50e6);
    if (native) expect(result.opsPerIteration).toBeGreaterThan(0);
    else expect(result.opsPerIteration).toBeNull();
  });

  it('gives back every tensor but those that are made once a process', async () => {
    const measure = () => measureSteps({ ...common, config: tinyConfig, part: 'image', nowMs: clock() });
    await measure();
    const before = tf.memory().numTensors;
    await measure();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('ends when it is told to', async () => {
    const signal = AbortSignal.abort();
    const measured = measureSteps({ ...common, config: tinyConfig, part: 'image', nowMs: clock(), signal });
    await expect(measured).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('median', () => {
  it('is the middle, or between the two middle ones', () => {
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
});

describe('syntheticData', () => {
  const config = resolveModelConfig('openi64');

  it('is the same for the same seed, with uniform pixels and labels of zeros and ones', async () => {
    const [a, b] = [syntheticData(config, [], 1), syntheticData(config, [], 1)];
    expect(b.records).toEqual(a.records);
    const pixels = await a.readImages([3, 0]);
    expect(pixels).toEqual(await b.readImages([3, 0]));
    expect(pixels).toHaveLength(2 * 64 * 64);
    const mean = pixels.reduce((sum, value) => sum + value, 0) / pixels.length;
    expect(Math.abs(mean - 127.5)).toBeLessThan(3);
    expect(a.records.every(({ report, labels }) => report === null && labels.length === 14)).toBe(true);
    expect(new Set(a.records.flatMap(({ labels }) => labels))).toEqual(new Set([0, 1]));
  });

  it("writes reports within Open-i's limits over the whole vocabulary", () => {
    const words = syntheticWords(1000);
    const reports = syntheticData(config, words, 1).records.map(({ report }) => parseReport(report ?? ''));
    const sentences = reports.flat();
    expect(Math.max(...reports.map(report => report.length))).toBeLessThanOrEqual(8);
    expect(Math.max(...sentences.map(sentence => sentence.length))).toBeLessThanOrEqual(20);
    const used = new Set(sentences.flat());
    expect(used.size).toBeGreaterThan(900);
    expect([...used].every(word => words.includes(word))).toBe(true);
  });
});
