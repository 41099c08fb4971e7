import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Crew } from '#cli/demo/crew.ts';
import { runCommand } from '#cli/demo/service.ts';
import type { FedError } from '#proto/errors.ts';

/** Stands for the binary: a small script that behaves as its first argument says. */
const SCRIPT = `
import { spawn } from 'node:child_process';
const [how, ...rest] = process.argv.slice(2);
const say = value => process.stdout.write(JSON.stringify(value) + '\\n');
const stay = () => setInterval(() => {}, 1000);
const alive = pid => { try { process.kill(pid, 0); return true; } catch { return false; } };
if (how === 'document') say({ how, rest, out: process.env.EMIXER_OUT ?? null, backend: process.env.EMIXER_BACKEND ?? null });
if (how === 'noise') { process.stdout.write('a plain line\\n{broken\\n'); say({ fine: true }); }
if (how === 'refuses') { say({ error: { code: 'TOKEN_INVALID', message: 'used up', remedy: 'ask again' } }); process.exitCode = 4; }
if (how === 'crashes') { process.stderr.write('first\\nthe reason\\n'); process.exitCode = 3; }
if (how === 'serves') { say({ event: 'listening', pid: process.pid }); stay(); }
if (how === 'dies-later') { say({ event: 'listening' }); process.stdin.resume(); setTimeout(() => { process.stderr.write('ran out of luck\\n'); process.exit(9); }, 100); }
if (how === 'stubborn') {
  process.on('SIGTERM', () => say({ event: 'ignored' }));
  const child = spawn(process.execPath, ['-e', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"], { stdio: 'ignore' });
  say({ event: 'listening', pid: process.pid, child: child.pid });
  stay();
}
`;
let dir: string;
let binary: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'crew-'));
  binary = join(dir, 'fake.mjs');
  await writeFile(binary, SCRIPT);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const isAlive = (pid: unknown): boolean => {
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch {
    return false;
  }
};
const command = (args: string[], signal = new AbortController().signal) =>
  runCommand({ name: 'helper', args, env: process.env, logPath: join(dir, 'helper.log'), binary }, signal);

describe('runCommand', () => {
  it('gives back the document, asked for with --json', async () => {
    expect(await command(['document', 'a b'])).toMatchObject({ how: 'document', rest: ['a b', '--json'] });
  });

  it('keeps what is no document in the log', async () => {
    expect(await command(['noise'])).toEqual({ fine: true });
    expect(await readFile(join(dir, 'helper.log'), 'utf8')).toContain('a plain line\n{broken\n');
  });

  it('keeps the document out of the log: it may name files of patients', async () => {
    await command(['document', 'files/p10/p10000032']);
    expect(await readFile(join(dir, 'helper.log'), 'utf8')).not.toContain('p10000032');
  });

  it('throws the error that the command printed, with its code', async () => {
    const error: FedError = await command(['refuses']).catch(thrown => thrown);
    expect(error).toMatchObject({ code: 'TOKEN_INVALID', remedy: 'ask again', exitCode: 4 });
    expect(error.message).toBe('helper ended with exit code 4: used up');
  });

  it('says how it ended and its last lines when it printed none', async () => {
    await expect(command(['crashes'])).rejects.toThrow(/helper ended with exit code 3; it said: first \| the reason/);
  });

  it('ends the process when the signal aborts', async () => {
    const controller = new AbortController();
    const running = command(['serves'], controller.signal);
    setTimeout(() => controller.abort(), 50);
    await expect(running).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('Crew', () => {
  let interrupt: AbortController;
  let crew: Crew;
  beforeEach(() => {
    interrupt = new AbortController();
    const env = { ...process.env, EMIXER_OUT: 'elsewhere', EMIXER_BACKEND: 'cpu' };
    crew = new Crew({ logs: dir, env, signal: interrupt.signal, binary });
  });

  it('hands down the backend, and no option of the demo', async () => {
    expect(await crew.command('a', ['document'])).toMatchObject({ out: null, backend: 'cpu' });
    await crew.stop();
  });

  it('waits for events, past and to come, and leaves no process', async () => {
    const member = crew.start('a', ['serves']);
    const { pid } = await member.waitFor(event => event.event === 'listening');
    expect(await member.waitFor(event => event.event === 'listening')).toMatchObject({ pid });
    expect(isAlive(pid)).toBe(true);
    await crew.stop();
    expect(isAlive(pid)).toBe(false);
  });

  it('says which service died and why, to everybody who waits', async () => {
    const fine = crew.start('fine', ['serves']);
    const { pid } = await fine.waitFor(event => event.event === 'listening');
    crew.start('unlucky', ['dies-later']);
    await expect(fine.waitFor(event => event.event === 'never')).rejects.toThrow(
      /unlucky ended with exit code 9; it said: ran out of luck/,
    );
    await expect(crew.command('late', ['document'])).rejects.toThrow();
    await crew.stop();
    expect(isAlive(pid)).toBe(false);
  });

  it('Ctrl-C is CANCELLED for everybody who waits', async () => {
    const member = crew.start('a', ['serves']);
    const waiting = member.waitFor(event => event.event === 'never');
    interrupt.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED', exitCode: 130 });
    await crew.stop();
  });

  it('ends the whole group of a service that ignores SIGTERM, its children too', async () => {
    const member = crew.start('a', ['stubborn']);
    const { pid, child } = await member.waitFor(event => event.event === 'listening');
    await member.service.stop(300);
    expect([isAlive(pid), isAlive(child)]).toEqual([false, false]);
    await crew.stop();
  });
});
