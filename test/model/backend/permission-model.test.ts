/** A process under Node's permission model, allowed to read what backendReadPaths names and nothing else. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { backendReadPaths, repositoryRoot } from '#model/backend/read-paths.ts';

const root = repositoryRoot();
const options = backendOptionsFromEnvironment(process.env);
const permissionFlag = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission';

/** Starts the built backend in such a process; `attempt` is a file that it then tries to read. */
function start(demand: string, entry: string, attempt: string) {
  const readable = [...backendReadPaths(options), entry].map(allowed => `--allow-fs-read=${allowed}`);
  const args = [permissionFlag, '--allow-addons', '--no-warnings', ...readable, entry, demand, attempt];
  return spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { HOME: process.env['HOME'], ...cacheVariable() },
  });
}

const cacheVariable = () => (process.env['XDG_CACHE_HOME'] ? { XDG_CACHE_HOME: process.env['XDG_CACHE_HOME'] } : {});

describe.skipIf(!existsSync(path.join(root, 'dist/model/backend/load-backend.js')))(
  'under the permission model (needs the build: npm run setup)',
  () => {
    let folder: string;
    let entry: string;
    let secret: string;

    beforeAll(() => {
      folder = mkdtempSync(path.join(tmpdir(), 'emixer-permission-'));
      secret = path.join(folder, 'site.key');
      writeFileSync(secret, 'key');
      entry = path.join(folder, 'entry.mjs');
      const module = (name: string) => JSON.stringify(path.join(root, 'dist/model/backend', name));
      writeFileSync(
        entry,
        `import { readFileSync } from 'node:fs';
import { loadBackend } from ${module('load-backend.js')};
import { backendOptionsFromEnvironment } from ${module('options.js')};
const [demand, attempt] = process.argv.slice(2);
const { tf, ...facts } = await loadBackend({ ...backendOptionsFromEnvironment(process.env), demand });
const product = tf.matMul(tf.ones([2, 3]), tf.ones([3, 2])).dataSync()[0];
const gradient = tf.grad(x => tf.sum(tf.square(x)))(tf.tensor1d([3])).dataSync()[0];
let read = 'allowed';
try { readFileSync(attempt); } catch (error) { read = error.code; }
process.stdout.write(JSON.stringify({ ...facts, product, gradient, read }));
`,
      );
    });
    afterAll(() => {
      rmSync(folder, { recursive: true });
    });

    it.each(['native', 'wasm'])('%s loads, computes, and a file beside is out of reach', demand => {
      const result = start(demand, entry, secret);
      expect(result.stderr).toBe('');
      expect(JSON.parse(result.stdout)).toMatchObject({
        name: demand === 'native' ? 'native-cpu' : 'wasm',
        product: 3,
        gradient: 6,
        read: 'ERR_ACCESS_DENIED',
      });
    });
  },
);
