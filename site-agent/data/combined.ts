/** Several collections of one site, read as one. */
import { dirname, relative, resolve } from 'node:path';
import { FedError } from '#proto/errors.ts';
import type { Loader, Skipped, SourceRecord } from './record.ts';

export interface Source {
  readonly loader: Loader;
  readonly folder: string;
}

/**
 * One source as it is; of several, one that reads them in turn. Then ids carry their collection ("openi:CXR7"), since
 * two collections may use the same id for two people, and `folder` is the folder that holds them all.
 * @throws FedError USAGE without any source, or when two are the same collection in the same folder
 */
export function combineSources(sources: readonly Source[]): Source {
  const [first] = sources;
  if (first === undefined) throw new FedError('USAGE', 'expected at least one --data KIND=DIR, got none', 'see --help');
  if (sources.length === 1) return first;
  const names = new Set(sources.map(({ loader, folder }) => `${loader.kind}=${resolve(folder)}`));
  if (names.size < sources.length) throw new FedError('USAGE', 'the same collection is given twice', 'give it once');
  const folder = sources.map(source => resolve(source.folder)).reduce(commonAncestor);
  const kind = [...new Set(sources.map(source => source.loader.kind))].join('+');
  return { folder, loader: { kind, records: (_, skip) => inTurn(sources, folder, skip) } };
}

async function* inTurn(
  sources: readonly Source[],
  root: string,
  skip: (skipped: Skipped) => void,
): AsyncGenerator<SourceRecord> {
  for (const { loader, folder } of sources) {
    const place = relative(root, resolve(folder));
    const here = place === '' ? '' : `${place}/`;
    const named = (id: string) => `${loader.kind}:${id}`;
    for await (const record of loader.records(folder, ({ path, reason }) => skip({ path: here + path, reason }))) {
      yield {
        ...record,
        patient: named(record.patient),
        study: named(record.study),
        imagePath: resolve(record.imagePath),
      };
    }
  }
}

function commonAncestor(a: string, b: string): string {
  let ancestor = a;
  while (relative(ancestor, b).startsWith('..')) ancestor = dirname(ancestor);
  return ancestor;
}
