/** The set-up's native part where it cannot succeed: it says why, records it, and does not fail the command. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/setup.mjs', import.meta.url));
const key = `2.21.0-${process.versions.modules}-${process.arch}`;

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('the native set-up that cannot succeed', () => {
  let folder: string;
  let cache: string;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'emixer-native-'));
    cache = path.join(folder, 'emixer');
    mkdirSync(path.join(folder, 'bin'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  /** `only` names the programs that exist; without it, those of this machine. */
  function setUp(env: Record<string, string>, only?: readonly string[]) {
    for (const name of only ?? []) symlinkSync('/bin/true', path.join(folder, 'bin', name));
    const PATH = only === undefined ? (process.env['PATH'] ?? '') : path.join(folder, 'bin');
    return spawnSync(process.execPath, [script, '--only', 'native'], {
      encoding: 'utf8',
      env: { PATH, HOME: folder, XDG_CACHE_HOME: folder, EMIXER_BACKEND: 'native', ...env },
    });
  }

  const recorded = () => JSON.parse(readFileSync(path.join(cache, `${key}.failed.json`), 'utf8'));

  it.each([
    ['no g++', [], /no g\+\+ was found/],
    ['no make', ['g++'], /no make was found/],
    ['no python3', ['g++', 'make'], /no python3 was found/],
  ])('with %s: the reason, what to do, and the fallback', (_name, programs, reason) => {
    const result = setUp({}, programs);
    expect(result.status).toBe(0);
    expect(result.stderr).toMatch(reason);
    expect(result.stderr).toMatch(/slow wasm fallback will run/);
    expect(result.stderr).toMatch(/fix: install/);
    expect(recorded().reason).toMatch(reason);
  });

  it('with a wheel that is not the pinned one: it is not unpacked, and nothing half-made stays', () => {
    const wheels = path.join(folder, 'offline/wheels');
    mkdirSync(wheels, { recursive: true });
    writeFileSync(path.join(wheels, 'tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl'), 'not a wheel');
    const result = setUp({ EMIXER_OFFLINE: path.join(folder, 'offline') });
    expect(result.status).toBe(0);
    expect(recorded().reason).toMatch(/has SHA-256 [0-9a-f]{64} instead of 2b847d21/);
    expect(readdirSync(cache)).toEqual([`${key}.failed.json`]);
  });

  it('says that a damaged backend is made again', () => {
    mkdirSync(path.join(cache, key), { recursive: true });
    writeFileSync(path.join(cache, key, 'manifest.json'), '{"inputs":"older","files":{}}');
    const result = setUp({ EMIXER_OFFLINE: path.join(folder, 'offline') });
    expect(result.stderr).toMatch(/is made again: it was made from other sources/);
    expect(recorded().reason).toMatch(/is missing/);
  });

  it('with a library folder that holds none', () => {
    const result = setUp({ EMIXER_LIBTENSORFLOW: folder });
    expect(result.status).toBe(0);
    expect(result.stderr).toMatch(/holds no libtensorflow with its headers/);
  });

  it('leaves it out where another backend is demanded', () => {
    const result = setUp({ EMIXER_BACKEND: 'wasm' }, []);
    expect(result.stderr).toMatch(/left out: EMIXER_BACKEND=wasm/);
    expect(readdirSync(cache)).toEqual([]);
  });
});
