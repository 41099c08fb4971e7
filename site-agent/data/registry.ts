/** The kinds of collections that `--data KIND=DIR` knows. */
import { FedError } from '#proto/errors.ts';
import { nearest } from '#proto/validate.ts';
import { mimicCxrJpg } from './mimic-cxr-jpg.ts';
import { openi } from './openi.ts';
import type { Loader } from './record.ts';

/** Every kind of the command line's contract; one without a loader is refused by name. */
const LOADERS: Readonly<Record<string, Loader | undefined>> = {
  'mimic-cxr-jpg': mimicCxrJpg,
  chexpert: undefined,
  openi,
  'nih-cxr14': undefined,
  'covid-ieee8023': undefined,
  'covid-hannover': undefined,
  kermany: undefined,
  'covid-radiography': undefined,
  dicom: undefined,
  folder: undefined,
};

export const DATA_KINDS: readonly string[] = Object.keys(LOADERS);
export const READABLE_KINDS: readonly string[] = DATA_KINDS.filter(kind => LOADERS[kind] !== undefined);

/** @throws FedError USAGE on an unknown kind, naming the nearest, and on one that this version cannot read */
export function loaderOf(kind: string): Loader {
  if (!Object.hasOwn(LOADERS, kind)) {
    const near = nearest(kind, DATA_KINDS);
    const hint = near === undefined ? `known kinds are ${DATA_KINDS.join(', ')}` : `did you mean "${near}"?`;
    throw new FedError('USAGE', `expected a known kind of collection, got "${kind.slice(0, 60)}"`, hint);
  }
  const loader = LOADERS[kind];
  if (loader === undefined) {
    const hint = `this version reads ${READABLE_KINDS.join(', ')}`;
    throw new FedError('USAGE', `"${kind}" is a known kind of collection, but it has no loader yet`, hint);
  }
  return loader;
}

/** @throws FedError USAGE when `argument` is not KIND=DIR, or as loaderOf */
export function parseDataArgument(argument: string): { readonly loader: Loader; readonly folder: string } {
  const at = argument.indexOf('=');
  if (at <= 0 || at === argument.length - 1) {
    throw new FedError(
      'USAGE',
      `expected --data KIND=DIR, got "${argument.slice(0, 100)}"`,
      'e.g. --data openi=/data/openi',
    );
  }
  return { loader: loaderOf(argument.slice(0, at)), folder: argument.slice(at + 1) };
}
