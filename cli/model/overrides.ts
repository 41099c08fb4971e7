/** `--set key.path=value`: fields of a preset, changed from the command line. */
import { parse } from 'yaml';
import { FedError } from '#proto/errors.ts';

export interface Override {
  readonly path: readonly string[];
  readonly value: unknown;
}

/** "report.hidden=256"; the value is YAML: a number, a word, [1, 2, 3]. @throws FedError USAGE */
export function parseOverride(given: string, flagName: string): Override {
  const at = given.indexOf('=');
  const path = given.slice(0, Math.max(0, at)).split('.');
  if (path.some(part => !/^[A-Za-z][A-Za-z0-9]*$/.test(part))) {
    throw new FedError(
      'USAGE',
      `${flagName} is "${given.slice(0, 100)}"; expected key.path=value`,
      'e.g. --set channels=16 --set report.hidden=256',
    );
  }
  try {
    return { path, value: parse(given.slice(at + 1)) };
  } catch (cause) {
    throw new FedError('USAGE', `${flagName} ${path.join('.')} has a value that is no YAML`, 'quote it', { cause });
  }
}

/** The overrides as one object; a later one of the same field wins. Which fields there are is the preset's to say. */
export function overridesOf(overrides: readonly Override[]): Record<string, unknown> {
  let result: Record<string, unknown> = {};
  for (const { path, value } of overrides) result = withField(result, path, value);
  return result;
}

function withField(
  object: Record<string, unknown>,
  [key = '', ...rest]: readonly string[],
  value: unknown,
): Record<string, unknown> {
  const current = Object.hasOwn(object, key) ? object[key] : {};
  const inner = typeof current === 'object' && current !== null ? (current as Record<string, unknown>) : {};
  return { ...object, [key]: rest.length === 0 ? value : withField(inner, rest, value) };
}
