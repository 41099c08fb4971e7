import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { allCommands } from '#cli/commands/index.ts';
import { replicaFolder } from '#cli/model/replica-folder.ts';
import { shareOf } from '#cli/model/replica-share.ts';
import { runProgram } from '#cli/program.ts';
import { openSnapshot } from '#model/training/state-file.ts';
import { fakeTerminal } from '../../support/fake-terminal.ts';
import { useNativeBackend } from '../../support/native-backend.ts';
import { phantomFolder, temporaryFolder } from '../../support/phantoms.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const running = new Set<ChildProcess>();
afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
});

/** A real process of the command, from the sources. */
function start(argv: readonly string[], env: Readonly<Record<string, string>>) {
  const { EMIXER_BACKEND: _, EMIXER_DATA: _data, CUDA_VISIBLE_DEVICES: _gpus, ...inherited } = process.env;
  const program = ['--conditions=source', '--import', 'tsx', join(root, 'cli/main.ts'), 'model', 'train'];
  const child = spawn(process.execPath, [...program, ...argv], {
    cwd: root,
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const said = { out: '', err: '' };
  let look = (): void => undefined;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.err += text;
    look();
  });
  const ended = new Promise<number | null>(resolve => {
    child.once('close', code => {
      running.delete(child);
      look();
      resolve(code);
    });
  });
  const until = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      look = () => {
        const found = pattern.exec(said.err);
        if (found !== null) resolve(found);
        else if (!running.has(child)) reject(new Error(`ended without ${pattern}: ${said.err}`));
      };
      look();
    });
  return { child, said, ended, until };
}

const small = (...overrides: string[]): string[] => [
  ...['--preset', 'phantom32', '--encoder-steps', '1', '--report-steps', '1', '--samples-every', '1000'],
  ...['report.hidden=16', 'report.embedding=16', 'batchSize=4', ...overrides].flatMap(field => ['--set', field]),
];

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function tensorsOf(path: string): Promise<Map<string, string>> {
  const file = await openSnapshot(path);
  const found = new Map<string, string>();
  for (const name of file.entries.keys()) found.set(name, Buffer.from(await file.read(name)).toString('base64'));
  await file.close();
  return found;
}

const lossesOf = async (path: string): Promise<unknown[]> =>
  (await readFile(path, 'utf8'))
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
    .filter(line => line.losses !== undefined)
    .map(({ losses, gradientNorms }) => ({ losses, gradientNorms }));

const native = await useNativeBackend();
let collection: string;
let folder: string;
beforeEach(async () => {
  collection = await phantomFolder(12);
  folder = await temporaryFolder();
});

describe.skipIf(!native)('emixer model train --replicas', () => {
  const given = (out: string, ...more: string[]) => [
    ...['--data', `mimic-cxr-jpg=${collection}`, ...small('microBatchSize=2'), '--out', join(folder, out), ...more],
  ];

  it('learns with two processes, to the bit, what one learns, in its checkpoint and its curves too', async () => {
    const cpu = (threads: string) => ({ EMIXER_BACKEND: 'native', EMIXER_THREADS: threads });
    const one = start(given('one', '--steps', '4', '--json'), cpu('1'));
    expect(await one.ended, one.said.err).toBe(0);
    // How many processes there are may change whenever a training goes on: the first adversarial step is one's alone.
    const begun = start(given('two', '--steps', '4', '--json', '--stop-after', '3'), cpu('1'));
    expect(await begun.ended, begun.said.err).toBe(0);
    const two = start(given('two', '--steps', '4', '--json', '--replicas', '2'), cpu('2'));
    expect(await two.ended, two.said.err).toBe(0);
    expect(two.said.err).toContain('the steps are shared out over 2 processes');
    expect(JSON.parse(two.said.out).model.sha256).toBe(JSON.parse(one.said.out).model.sha256);
    const [whole, shared] = await Promise.all(
      ['one', 'two'].map(out => tensorsOf(join(folder, out, 'checkpoint.safetensors'))),
    );
    expect([...(shared?.keys() ?? [])]).toContain('optimiser/D_image/second/0');
    expect(shared).toEqual(whole);
    const curves = await lossesOf(join(folder, 'one', 'metrics.jsonl'));
    expect(curves).toHaveLength(6);
    expect(await lossesOf(join(folder, 'two', 'metrics.jsonl'))).toEqual(curves);
  }, 240_000);

  it('ends with all its processes when one dies, and on Ctrl-C, and goes on from its checkpoint', async () => {
    const cpu = { EMIXER_BACKEND: 'native', EMIXER_THREADS: '2' };
    const endless = given('broken', '--steps', '100000', '--save-every', '1', '--replicas', '2');
    const first = start(endless, cpu);
    const [, pid] = await first.until(/2 processes: this one and (\d+)\n[\s\S]*checkpoint of step 3 written/);
    process.kill(Number(pid), 'SIGKILL');
    expect(await first.ended).toBe(1);
    expect(first.said.err).toContain('replica 1 ended with SIGKILL');
    expect((await stat(join(folder, 'broken', 'checkpoint.safetensors'))).size).toBeGreaterThan(0);

    const second = start(endless, cpu);
    const [, other] = await second.until(/going on after [\s\S]*2 processes: this one and (\d+)\n/);
    second.child.kill('SIGINT');
    expect(await second.ended, second.said.err).toBe(130);
    expect(second.said.err).toContain('the checkpoint is written');
    expect(isAlive(Number(other))).toBe(false);
    expect((await readdir(join(folder, 'broken'))).includes('replicas')).toBe(false);
  }, 240_000);
});

describe('what replicas need', () => {
  const run = async (...argv: string[]) => {
    const terminal = fakeTerminal({ now: Date.now });
    const data = ['--data', `mimic-cxr-jpg=${collection}`, '--out', join(folder, 'never'), '--replicas', '2'];
    const code = await runProgram(allCommands, ['model', 'train', ...data, ...argv], terminal);
    return [code, terminal.err()];
  };

  it('is micro-batches to share out, and a number of steps that all of them know', async () => {
    expect(await run(...small(), '--steps', '1')).toEqual([2, expect.stringContaining('is 1 micro-batch\n')]);
    expect(await run(...small(), '--minutes', '1')).toEqual([2, expect.stringContaining('expected --steps')]);
  });

  it('is a GPU each, where there are any, and a share of the cores', () => {
    expect(shareOf(1, 2, { threads: 7 }, {})).toEqual({ gpu: '1', threads: 3 });
    expect(shareOf(1, 2, { threads: 1 }, { CUDA_VISIBLE_DEVICES: '4, 6' })).toEqual({ gpu: '6', threads: 1 });
    expect(shareOf(2, 3, { threads: 3 }, { CUDA_VISIBLE_DEVICES: '4,6' })).toEqual({ gpu: '-1', threads: 1 });
  });

  it('is room on the RAM disk, or else in the training folder, emptied of what was left there', async () => {
    const [out, disk] = [join(folder, 'out'), join(folder, 'ram')];
    await Promise.all([out, disk].map(path => mkdir(path)));
    const made = await replicaFolder(out, 1, disk);
    expect(made.startsWith(disk)).toBe(true);
    expect((await stat(made)).mode & 0o777).toBe(0o700);
    await mkdir(join(made, 'left'));
    expect(await replicaFolder(out, 1, disk)).toBe(made);
    expect(await readdir(made)).toEqual([]);
    expect(await replicaFolder(out, Number.MAX_SAFE_INTEGER, disk)).toBe(join(out, 'replicas'));
    expect(await replicaFolder(out, 1, join(folder, 'none'))).toBe(join(out, 'replicas'));
  });
});

/** GPUs of this machine. */
function gpus(): number {
  try {
    return execFileSync('nvidia-smi', ['-L'], { encoding: 'utf8' }).trim().split('\n').length;
  } catch {
    return 0;
  }
}

describe.skipIf(gpus() < 2)('emixer model train --replicas on CUDA', () => {
  it('trains on two GPUs with the same weights on both', async () => {
    const argv = ['--data', `mimic-cxr-jpg=${collection}`, ...small('microBatchSize=2'), '--steps', '101'];
    // Weights are compared before step 100.
    const two = start([...argv, '--out', join(folder, 'cuda'), '--replicas', '2'], { EMIXER_BACKEND: 'cuda' });
    expect(await two.ended, two.said.err).toBe(0);
  }, 240_000);
});
