import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { setupModule } from './setup-module.ts';

interface LockModule {
  withLock<T>(file: string, work: () => Promise<T>, limits?: { waitMs?: number; pollMs?: number }): Promise<T>;
}

describe('the lock of the set-up', () => {
  let withLock: LockModule['withLock'];
  let folder: string;
  let file: string;

  beforeAll(async () => {
    ({ withLock } = await setupModule<LockModule>('lock'));
  });
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'emixer-lock-'));
    file = path.join(folder, 'a.lock');
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const owner = (pid: number, startTicks: string | null = null, host = hostname()) =>
    writeFileSync(file, JSON.stringify({ pid, startTicks, host, id: 'x' }));

  async function deadPid(): Promise<number> {
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    return child.pid ?? 0;
  }

  it('lets one piece of work run at a time and leaves nothing behind', async () => {
    let running = 0;
    let most = 0;
    const work = async () => {
      running++;
      most = Math.max(most, running);
      await new Promise(resolve => setImmediate(resolve));
      running--;
    };
    await Promise.all(Array.from({ length: 5 }, () => withLock(file, work, { pollMs: 2 })));
    expect(most).toBe(1);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is given back when the work fails', async () => {
    await expect(withLock(file, () => Promise.reject(new Error('no disk')))).rejects.toThrow('no disk');
    expect(existsSync(file)).toBe(false);
  });

  it('is taken over from a process that is dead', async () => {
    owner(await deadPid());
    expect(await withLock(file, async () => 'done', { waitMs: 0 })).toBe('done');
  });

  it('is taken over when the number belongs to a later process', async () => {
    owner(process.pid, '1');
    expect(await withLock(file, async () => 'done', { waitMs: 0 })).toBe('done');
  });

  it('is taken over when it is not readable as a lock', async () => {
    writeFileSync(file, '{"pid": 12');
    expect(await withLock(file, async () => 'done', { waitMs: 0 })).toBe('done');
  });

  it('is taken over by one of many, every time', async () => {
    const pid = await deadPid();
    for (let round = 0; round < 40; round++) {
      owner(pid);
      let running = 0;
      const work = async () => {
        running++;
        expect(running).toBe(1);
        await new Promise(resolve => setImmediate(resolve));
        running--;
      };
      await Promise.all(Array.from({ length: 8 }, () => withLock(file, work, { pollMs: 2 })));
    }
  });

  it('is taken over although a process died while it took it over', async () => {
    owner(await deadPid());
    mkdirSync(`${file}.takeover`);
    utimesSync(`${file}.takeover`, 0, 0);
    expect(await withLock(file, async () => 'done', { pollMs: 2 })).toBe('done');
  });

  it.each([
    ['a living process', process.pid, hostname()],
    ['another machine', 1, 'elsewhere'],
  ])('is not taken from %s; the wait is bounded and the error names it', async (_name, pid, host) => {
    owner(pid, null, host);
    const attempt = withLock(file, async () => 'done', { waitMs: 5, pollMs: 2 });
    await expect(attempt).rejects.toMatchObject({
      name: 'SetupError',
      message: expect.stringContaining(`process ${pid}`),
    });
    expect(existsSync(file)).toBe(true);
  });
});
