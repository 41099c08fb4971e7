/** Fills a folder with all that a set-up without network needs: the wheels, and an npm cache for the lock file. */
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { npmCi } from './dependencies.mjs';
import { say, step } from './log.mjs';
import { cpuWheel, cudaWheels } from './pins.mjs';
import { checkedWheel, downloadWheel } from './wheels.mjs';

/**
 * @param {{ repository: string, directory: string, gpu: boolean, env: NodeJS.ProcessEnv }} job
 */
export async function fetchOffline({ repository, directory, gpu, env }) {
  const wheels = path.join(directory, 'wheels');
  await mkdir(wheels, { recursive: true });
  for (const wheel of gpu ? [cpuWheel, ...cudaWheels] : [cpuWheel]) {
    if (
      await checkedWheel(wheel, wheels).then(
        () => true,
        () => false,
      )
    )
      continue;
    await step(`download ${wheel.name} ${wheel.version} with pip`, () => downloadWheel(wheel, wheels, env));
    await rm(path.join(wheels, `${wheel.name}.txt`), { force: true });
  }
  // npm fills a cache only by installing; a scratch copy keeps the clone's own node_modules as it is.
  const scratch = await mkdtemp(path.join(os.tmpdir(), 'emixer-fetch-'));
  try {
    for (const name of ['package.json', 'package-lock.json', '.npmrc']) {
      await cp(path.join(repository, name), path.join(scratch, name));
    }
    await step('fill the npm cache for package-lock.json', () =>
      npmCi(scratch, env, ['--cache', path.join(directory, 'npm')]),
    );
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  say(`${directory} is complete; on the other machine: EMIXER_OFFLINE=${directory} npm run demo`);
}
