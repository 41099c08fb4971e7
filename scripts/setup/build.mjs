/** The TypeScript build, repeated only when a source changed. */
import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { filesUnder } from './checksum.mjs';
import { SetupError } from './error.mjs';
import { step } from './log.mjs';
import { npmCli } from './npm.mjs';
import { lastWords, run } from './run.mjs';

const sourceFolders = ['proto', 'privacy', 'model', 'coordinator', 'site-agent', 'cli'];

/**
 * @param {{ repository: string, env: NodeJS.ProcessEnv }} context
 * @throws {SetupError} when the compiler reports an error
 */
export async function buildTypeScript({ repository, env }) {
  const sources = (
    await Promise.all(
      sourceFolders.map(async folder => {
        const names = await filesUnder(path.join(repository, folder));
        return names.filter(name => /\.(ts|json)$/.test(name)).map(name => path.join(folder, name));
      }),
    )
  ).flat();
  const wanted = await hashOf(repository, [...sources, 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json']);
  const dist = path.join(repository, 'dist');
  const marker = path.join(dist, '.sources.sha256');
  if ((await readFile(marker, 'utf8').catch(() => '')) === wanted) return;
  await step('build TypeScript (npm run build)', async () => {
    await rm(marker, { force: true });
    const result = await run(process.execPath, [await npmCli(env), 'run', '--silent', 'build'], {
      cwd: repository,
      env,
    });
    if (result.code !== 0) {
      throw new SetupError(`the build failed: ${lastWords(result)}`, 'run npm run typecheck for all messages');
    }
    await removeOrphans(dist, new Set(sources));
  });
  await writeFile(marker, wanted);
}

/** The output of a source that is gone would still be found by an import. */
async function removeOrphans(dist, sources) {
  for (const name of await filesUnder(dist)) {
    const source = name.replace(/\.js(\.map)?$/, '.ts');
    if (source !== name && !sources.has(source)) await rm(path.join(dist, name), { force: true });
  }
}

async function hashOf(repository, names) {
  const hash = createHash('sha256');
  for (const name of names.sort()) {
    const content = await readFile(path.join(repository, name));
    hash.update(`${name} ${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}
