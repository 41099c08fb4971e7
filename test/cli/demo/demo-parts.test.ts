import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { demoRunConfig } from '#cli/demo/demo-config.ts';
import { createFolders, removeWork } from '#cli/demo/folders.ts';
import { parsePeakRss, peakRssBytes } from '#cli/demo/memory.ts';
import { createProgress } from '#cli/demo/progress.ts';
import { RunRecord } from '#cli/demo/run-record.ts';
import { WorkEstimate } from '#cli/demo/work-estimate.ts';
import type { Notice } from '#coordinator/notices.ts';
import { fakeTerminal } from '../../support/fake-terminal.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'demo-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const settings = { sites: 3, rounds: 2, steps: 10, preset: 'phantom32', seed: 1 };
const train = (round: number, sites: [string, number, Record<string, number>][]): Notice => ({
  event: 'step-closed',
  run: 'r',
  stage: 'adversarial',
  round,
  kind: 'train',
  seconds: 10,
  sites: sites.map(([site, g, metrics]) => ({ site, records: { G: g, 'F/decoder': 1 }, metrics })),
  leftOut: [],
  evaluation: [],
});
const evaluation = (site: string, over: object = {}) => ({
  site,
  nllSum: 100,
  tokens: 50,
  unigramNllSum: 200,
  fid: 30,
  fidUntrained: 60,
  extractorSha256: 'e',
  images: 100,
  ...over,
});
const evaluate = (round: number, evaluations: ReturnType<typeof evaluation>[]): Notice => ({
  event: 'step-closed',
  run: 'r',
  stage: 'adversarial',
  round,
  kind: 'evaluate',
  seconds: 5,
  sites: [],
  leftOut: [],
  evaluation: evaluations,
});
const progress = (site: string, round: number, step: number, metrics: Record<string, number>): Notice => ({
  event: 'progress',
  run: 'r',
  stage: 'adversarial',
  round,
  kind: 'train',
  site,
  step,
  steps: 10,
  metrics,
});

describe('RunRecord', () => {
  it('weights losses by records and sums likelihoods before it divides', () => {
    const record = new RunRecord();
    record.add(
      train(1, [
        ['a', 300, { 'G/adversarial': 1, seconds: 9 }],
        ['b', 100, { 'G/adversarial': 5 }],
      ]),
    );
    record.add(
      evaluate(1, [
        evaluation('a'),
        evaluation('b', { nllSum: 300, tokens: 150, images: 300, fid: 70, unigramNllSum: 600 }),
      ]),
    );
    const [round] = record.rounds();
    expect(round).toMatchObject({
      round: 1,
      seconds: 15,
      sites: [
        { name: 'a', records: 300 },
        { name: 'b', records: 100 },
      ],
      losses: { 'G/adversarial': 2 },
      evaluation: { fid: 60, fidUntrained: 60 },
    });
    expect(round?.losses).not.toHaveProperty('seconds');
    expect(round?.evaluation?.perplexity).toBeCloseTo(Math.exp(400 / 200), 10);
    expect(round?.evaluation?.unigramPerplexity).toBeCloseTo(Math.exp(800 / 200), 10);
  });

  it('says null where nothing was measured', () => {
    const record = new RunRecord();
    record.add(train(1, [['a', 3, {}]]));
    expect(record.rounds()[0]?.evaluation).toBeNull();
    record.add(
      evaluate(1, [evaluation('a', { tokens: 0, nllSum: 0, unigramNllSum: 0, fid: null, fidUntrained: null })]),
    );
    expect(record.rounds()[0]?.evaluation).toMatchObject({ perplexity: null, fid: null, fidUntrained: null });
  });

  it('draws a line a site over all rounds, perplexity and FID with their baselines before them', () => {
    const record = new RunRecord();
    for (const [round, step] of [
      [1, 5],
      [1, 10],
      [2, 5],
    ] as const) {
      record.add(progress('a', round, step, { 'G/adversarial': round + step }));
      record.add(progress('b', round, step, { 'G/adversarial': Number.NaN }));
    }
    record.add(train(1, [['a', 1, {}]]));
    record.add(evaluate(1, [evaluation('a')]));
    const panels = record.panels();
    expect(panels.map(panel => panel.title)).toEqual([
      'Perplexity of F on held-out reports',
      "FID of G, by each site's own extractor",
      'adversarial: G/adversarial',
    ]);
    expect(panels[2]?.series[0]).toEqual({
      name: 'a',
      points: [
        { x: 5, y: 6 },
        { x: 10, y: 11 },
        { x: 15, y: 7 },
      ],
    });
    expect(panels[0]?.references?.[0]?.y).toBeCloseTo(Math.exp(4), 10);
    expect(panels[1]?.references).toEqual([{ name: 'untrained G (mean)', y: 60 }]);
  });
});

describe('WorkEstimate', () => {
  it('grows to one and says how much time is left', () => {
    let nowMs = 0;
    const config = demoRunConfig(settings);
    const estimate = new WorkEstimate(config, () => nowMs);
    expect(estimate.text()).toBe('');
    let before = 0;
    const notices = [progress('hospital-1', 1, 5, {}), train(1, []), evaluate(1, []), train(2, []), evaluate(2, [])];
    for (const notice of notices) {
      nowMs += 10_000;
      estimate.add(notice);
      expect(estimate.fraction()).toBeGreaterThan(before);
      before = estimate.fraction();
    }
    expect(before).toBeLessThan(1);
    expect(estimate.text()).toMatch(/^about \d+ (s|min) left$/);
  });
});

describe('progress', () => {
  it('off a terminal is plain lines: sites at intervals, every step at its end, rejected sites by name', () => {
    let nowMs = 0;
    const terminal = fakeTerminal({ now: () => nowMs });
    const lines = createProgress(terminal, demoRunConfig(settings));
    for (let step = 1; step <= 10; step++) {
      nowMs += 3_000;
      lines.notice(progress('hospital-1', 1, step, { 'G/adversarial': 0.1234, step }));
    }
    lines.notice({
      event: 'site-answered',
      run: 'r',
      stage: 'adversarial',
      round: 1,
      kind: 'train',
      site: 'hospital-2',
      accepted: false,
      reason: 'NON_FINITE lossD',
    });
    lines.notice(train(1, [['hospital-1', 1, {}]]));
    lines.notice(evaluate(1, [evaluation('hospital-1')]));
    lines.close();
    const told = terminal.err().trimEnd().split('\n');
    expect(terminal.err()).not.toContain('\x1b');
    expect(told.filter(line => line.includes('step '))).toHaveLength(3);
    expect(told[0]).toMatch(/^round 1 training {2}hospital-1 {2}step 1\/10 {2}G\/adversarial 0\.123$/);
    expect(told).toContain('round 1 training: hospital-2 is left out: NON_FINITE lossD');
    expect(told).toContain('round 1 training done in 10.0 s, 1 sites');
    expect(told.at(-1)).toContain('perplexity 7.389 (unigram 54.60), FID 30.00 (untrained 60.00)');
  });
});

describe('folders', () => {
  it("refuses a folder that is not a demo's, and leaves it as it is", async () => {
    const out = join(dir, 'precious');
    await mkdir(out);
    await writeFile(join(out, 'thesis.txt'), 'years of work');
    await expect(createFolders(out)).rejects.toMatchObject({ code: 'USAGE', exitCode: 2 });
    expect(await readdir(out)).toEqual(['thesis.txt']);
  });

  it("empties that of an earlier demo; the work folder is its owner's and goes", async () => {
    const out = join(dir, 'demo');
    const first = await createFolders(out);
    await writeFile(join(out, 'demo.json'), '{}');
    expect((await stat(first.work)).mode & 0o777).toBe(0o700);
    const second = await createFolders(out);
    expect(await readdir(out)).not.toContain('demo.json');
    await removeWork(second);
    expect((await readdir(out)).sort()).toEqual(['.emixer-demo', 'logs']);
  });
});

describe('demoRunConfig', () => {
  it('names the sites, and takes rounds and steps as given', () => {
    const config = demoRunConfig(settings);
    expect(config.sites).toEqual(['hospital-1', 'hospital-2', 'hospital-3']);
    expect(config.adversarial).toEqual({ rounds: 2, steps: 10 });
    expect(config.evaluationImages).toBeGreaterThanOrEqual(600);
    expect(demoRunConfig({ ...settings, sites: 1 }).vocabulary.minSites).toBe(1);
  });

  it('refuses an unknown preset', () => {
    expect(() => demoRunConfig({ ...settings, preset: 'phantom33' })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });
});

describe('peak memory', () => {
  it('is the high-water mark in bytes, and null where there is none', async () => {
    expect(parsePeakRss('VmPeak:\t 9 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 5 kB\n')).toBe(2 * 2 ** 20);
    expect(parsePeakRss('')).toBeNull();
    if (process.platform === 'linux') expect(await peakRssBytes(process.pid)).toBeGreaterThan(10 * 2 ** 20);
  });
});
