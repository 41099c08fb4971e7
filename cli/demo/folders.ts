/** The demo's output folder: marked as one, so that a second demo may replace it and nothing else is ever deleted. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FedError } from '#proto/errors.ts';

const MARKER = '.emixer-demo';

export interface DemoFolders {
  readonly out: string;
  readonly logs: string;
  /** Keys, databases and prepared data of the processes; mode 0700, removed at the end. */
  readonly work: string;
}

/**
 * Empties the folder of an earlier demo, or makes it.
 * @throws FedError USAGE when the folder holds anything that is not a demo's
 */
export async function createFolders(out: string): Promise<DemoFolders> {
  await mkdir(out, { recursive: true });
  const present = await readdir(out);
  if (present.length > 0 && !present.includes(MARKER)) {
    throw new FedError(
      'USAGE',
      `expected an empty folder or one of an earlier demo at ${out}; it holds other files`,
      'choose another with --out',
    );
  }
  for (const name of present) await rm(join(out, name), { recursive: true, force: true });
  await writeFile(join(out, MARKER), 'made by "emixer demo"; the next demo into this folder replaces it\n');
  const logs = join(out, 'logs');
  await mkdir(logs);
  // mkdtemp makes it for the owner only.
  return { out, logs, work: await mkdtemp(join(out, 'work-')) };
}

export const removeWork = ({ work }: DemoFolders): Promise<void> => rm(work, { recursive: true, force: true });
