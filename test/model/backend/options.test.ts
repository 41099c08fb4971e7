import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { nativeDirectories } from '#model/backend/native-cache.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { setupModule } from '../../scripts/setup-module.ts';

describe('options from the environment', () => {
  it('takes the cache from XDG_CACHE_HOME only where that is absolute', () => {
    expect(backendOptionsFromEnvironment({ XDG_CACHE_HOME: '/x', HOME: '/h' })).toEqual({ cacheRoot: '/x/emixer' });
    expect(backendOptionsFromEnvironment({ XDG_CACHE_HOME: 'x', HOME: '/h' })).toEqual({
      cacheRoot: '/h/.cache/emixer',
    });
  });

  it('reads demand, threads and library', () => {
    const env = { HOME: '/h', EMIXER_BACKEND: 'wasm', EMIXER_THREADS: '4', EMIXER_LIBTENSORFLOW: '/opt/tf' };
    expect(backendOptionsFromEnvironment(env)).toMatchObject({ demand: 'wasm', threads: 4, libraryDir: '/opt/tf' });
  });

  it.each([{ EMIXER_BACKEND: 'tpu' }, { EMIXER_THREADS: '0' }, { EMIXER_THREADS: '1.5' }, { EMIXER_THREADS: 'two' }])(
    'refuses %o',
    env => {
      expect(() => backendOptionsFromEnvironment(env)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    },
  );
});

describe('the folders of prepared backends', () => {
  it('are those that the set-up writes', async () => {
    const { nativeDirectory } = await setupModule<{
      nativeDirectory(env: object, variant: { cuda: boolean; libraryDir?: string }): string;
    }>('cache');
    const env = { XDG_CACHE_HOME: '/x' };
    const { cacheRoot } = backendOptionsFromEnvironment(env);
    expect(nativeDirectories({ cacheRoot: cacheRoot ?? '' })).toEqual([
      nativeDirectory(env, { cuda: true }),
      nativeDirectory(env, { cuda: false }),
    ]);
    expect(nativeDirectories({ cacheRoot: cacheRoot ?? '', libraryDir: '/opt/tf' })).toEqual([
      nativeDirectory(env, { cuda: false, libraryDir: '/opt/tf' }),
    ]);
  });
});

describe('the ladder', () => {
  let cacheRoot: string;
  beforeEach(() => {
    cacheRoot = mkdtempSync(path.join(tmpdir(), 'emixer-ladder-'));
  });
  afterEach(() => {
    rmSync(cacheRoot, { recursive: true });
  });

  it('falls to wasm and says why each better backend is not in use', async () => {
    const [cuda = '', cpu = ''] = nativeDirectories({ cacheRoot });
    writeFileSync(`${cuda}.failed.json`, JSON.stringify({ reason: 'no NVIDIA driver answers on this machine' }));
    writeFileSync(`${cpu}.failed.json`, JSON.stringify({ reason: 'no g++ was found' }));
    expect(await loadBackend({ cacheRoot })).toMatchObject({
      name: 'wasm',
      threads: 1,
      rejected: [
        { name: 'cuda', reason: 'no NVIDIA driver answers on this machine' },
        { name: 'native-cpu', reason: 'no g++ was found' },
      ],
    });
  });

  it('does not load a truncated library', async () => {
    const [, cpu = ''] = nativeDirectories({ cacheRoot });
    mkdirSync(cpu);
    const files = { 'tfjs_binding.node': { bytes: 10, sha256: '' } };
    const manifest = { cuda: false, frameworkLibrary: 'tensorflow/libtensorflow_framework.so.2', files };
    writeFileSync(path.join(cpu, 'manifest.json'), JSON.stringify(manifest));
    writeFileSync(path.join(cpu, 'tfjs_binding.node'), 'short');
    await expect(loadBackend({ cacheRoot, demand: 'native' })).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringContaining('is damaged'),
    });
  });

  it('is an error where a backend is demanded that cannot run', async () => {
    await expect(loadBackend({ cacheRoot, demand: 'cuda' })).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  });
});
