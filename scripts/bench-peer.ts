/**
 * This program's training step against the same step in PyTorch, in turns on this machine: one Markdown table, and exit
 * code 1 where a goal is missed.
 *
 *     npm run bench:peer -- --python venv/bin/python --peer torch_step.py [--rows image | --rows 64/32/8,...]
 *
 * The peer is run as PYTHON torch_step.py RESOLUTION CHANNELS BATCH --iters N and prints "median S". Nothing else should run.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import type { BenchDocument } from '#cli/model/bench.ts';

interface Row {
  readonly resolution: number;
  readonly channels: number;
  readonly batch: number;
  /** This program's seconds over the peer's. */
  readonly goal: number;
}

interface Measured {
  readonly seconds: number;
  readonly peakRssBytes: number;
}

const ROWS: readonly Row[] = [
  { resolution: 128, channels: 8, batch: 4, goal: 0.6 },
  { resolution: 64, channels: 8, batch: 8, goal: 0.9 },
  { resolution: 64, channels: 32, batch: 8, goal: 0.9 },
  { resolution: 32, channels: 16, batch: 8, goal: 0.9 },
];
const PRESETS: Readonly<Record<number, string>> = { 128: 'biggan128', 64: 'openi64', 32: 'phantom32' };
const MEMORY_GOAL = 1.2;
const CALLS_GOAL = 2500;
const FIRST_STEP_GOAL_S = 8;
const COMPLETE_GOAL = 2;
const PAIRS = 3;
const ITERATIONS = 5;

/** Runs a program and tells, as the operating system knows it, how much memory it had at most. */
const WATCHED = `import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print("peak_rss_kib", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)`;

const run = promisify(execFile);
const emixer = fileURLToPath(new URL('../bin/emixer.mjs', import.meta.url));

const { python, peer, rows } = parseArgs({
  options: { python: { type: 'string' }, peer: { type: 'string' }, rows: { type: 'string', default: 'all' } },
}).values;
if (python === undefined || peer === undefined) {
  console.error('expected --python PYTHON (with torch) and --peer torch_step.py');
  process.exit(2);
}

const name = ({ resolution, channels, batch }: Row): string => `${resolution}/${channels}/${batch}`;
const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

async function measurePeer({ resolution, channels, batch }: Row): Promise<Measured> {
  const size = [resolution, channels, batch].map(String);
  const watched = ['-c', WATCHED, python as string, peer as string, ...size, '--iters', String(ITERATIONS)];
  const { stdout } = await run(python as string, watched);
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? Number.NaN);
  return { seconds: number(/median ([\d.]+)/), peakRssBytes: 1024 * number(/peak_rss_kib (\d+)/) };
}

async function measureOurs({ resolution, channels, batch }: Row, part: 'image' | 'all'): Promise<BenchDocument> {
  const size = ['--resolution', resolution, '--channels', channels, '--batch', batch, '--iterations', ITERATIONS];
  const preset = ['--preset', PRESETS[resolution] ?? 'biggan128'];
  const argv = [emixer, 'model', 'bench', ...preset, ...size.map(String), '--part', part, '--json'];
  const { stdout } = await run(process.execPath, argv);
  return JSON.parse(stdout) as BenchDocument;
}

const missed: string[] = [];
/** A figure as the table shows it; bold where it misses its goal. */
function judged(what: string, value: number, goal: number, shown: string): string {
  // Not `value > goal`: what could not be measured misses its goal too.
  if (value <= goal) return shown;
  missed.push(`${what}: ${shown}, the goal is ${goal}`);
  return `**${shown}**`;
}

async function compare(row: Row): Promise<string> {
  const peers: Measured[] = [];
  const ours: BenchDocument[] = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    peers.push(await measurePeer(row));
    ours.push(await measureOurs(row, 'image'));
    console.error(`${name(row)}: pair ${pair + 1} of ${PAIRS}`);
  }
  const peerSeconds = median(peers.map(({ seconds }) => seconds));
  const seconds = median(ours.map(({ secondsPerIteration }) => secondsPerIteration.median));
  const peerRss = median(peers.map(({ peakRssBytes }) => peakRssBytes));
  const rss = median(ours.map(({ peakRssBytes }) => peakRssBytes));
  const calls = median(ours.map(({ opsPerIteration }) => opsPerIteration ?? Number.NaN));
  const first = median(ours.map(({ firstStepSeconds }) => firstStepSeconds));
  const [ratio, memory] = [seconds / peerSeconds, rss / peerRss];
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
  return `| ${[
    name(row),
    peerSeconds.toFixed(3),
    seconds.toFixed(3),
    judged(`${name(row)} time`, ratio, row.goal, ratio.toFixed(2)),
    row.goal,
    judged(`${name(row)} calls`, calls, CALLS_GOAL, String(calls)),
    mib(peerRss),
    mib(rss),
    judged(`${name(row)} memory`, memory, MEMORY_GOAL, memory.toFixed(2)),
    judged(`${name(row)} first step`, first, FIRST_STEP_GOAL_S, first.toFixed(1)),
  ].join(' | ')} |`;
}

/** The complete step over its image half, in turns, at the size that the goal names. */
async function completeStep(row: Row): Promise<string> {
  const [complete, image]: [number[], number[]] = [[], []];
  for (let pair = 0; pair < PAIRS; pair++) {
    image.push((await measureOurs(row, 'image')).secondsPerIteration.median);
    complete.push((await measureOurs(row, 'all')).secondsPerIteration.median);
  }
  const ratio = median(complete) / median(image);
  const shown = judged(`${name(row)} complete step`, ratio, COMPLETE_GOAL, ratio.toFixed(2));
  const seconds = `${median(complete).toFixed(3)} s to ${median(image).toFixed(3)} s`;
  return `Complete step to image half at ${name(row)}: ${shown} (${seconds}; goal ${COMPLETE_GOAL}).`;
}

const chosen = rows === 'all' || rows === 'image' ? ROWS : ROWS.filter(row => rows.split(',').includes(name(row)));
if (chosen.length === 0) {
  console.error(`expected --rows image, or some of ${ROWS.map(name).join(',')}; "${rows}" came`);
  process.exit(2);
}
console.log(
  '| px / ch / batch | PyTorch s | here s | ratio | goal | calls | PyTorch MiB | here MiB | ratio | first step s |',
);
console.log('|---|---|---|---|---|---|---|---|---|---|');
for (const row of chosen) console.log(await compare(row));
if (rows === 'all') console.log(`\n${await completeStep(ROWS[2] as Row)}`);
for (const line of missed) console.error(`missed: ${line}`);
process.exitCode = missed.length === 0 ? 0 : 1;
