/** Where option values come from: command line, then EMIXER_* variables, then the --config file, then defaults. */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { FedError } from '#proto/errors.ts';
import { nearest } from '#proto/validate.ts';
import { environmentNameOf, flagOf, type OptionSpec, type OptionSpecs, type OptionValues } from './options.ts';

/** Of two meanings: KIND=DIR, as for the option --data; or the folder of all collections, for the tests alone. */
const COLLECTIONS = 'EMIXER_DATA';

/** Read elsewhere: the backend, the set-up scripts, the tests. */
const OTHER_VARIABLES = [
  'EMIXER_BACKEND',
  'EMIXER_THREADS',
  'EMIXER_OFFLINE',
  'EMIXER_LIBTENSORFLOW',
  'EMIXER_CONFIG',
  'EMIXER_END_WITH_STDIN',
  COLLECTIONS,
];
const MAX_CONFIG_BYTES = 1024 * 1024;

export interface OptionSources {
  /** Keys as in the specs; what was given on the command line, in order. */
  readonly commandLine: Readonly<Record<string, readonly string[]>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Parsed content of the --config file, or undefined. */
  readonly config: Readonly<Record<string, unknown>> | undefined;
  readonly configPath: string | undefined;
}

/** @throws FedError USAGE | CONFIG_INVALID on a value that does not parse, a missing one, an unknown key of the file */
export function resolveOptions<S extends OptionSpecs>(specs: S, sources: OptionSources): OptionValues<S> {
  const config = sources.config ?? {};
  for (const key of Object.keys(config)) {
    if (Object.hasOwn(specs, key)) continue;
    throw unknownKey(`${sources.configPath}: unknown key "${key}"`, key, Object.keys(specs));
  }
  const values = Object.entries(specs).map(([key, spec]) => {
    const commandLine = sources.commandLine[key];
    if (commandLine !== undefined && commandLine.length > 0) return [key, spec.parse(commandLine, flagOf(key))];
    const variable = environmentNameOf(key);
    const given = sources.env[variable];
    const fromEnv = variable === COLLECTIONS && !given?.includes('=') ? undefined : given;
    if (fromEnv !== undefined && fromEnv !== '') {
      return [key, spec.parse(spec.kind === 'list' ? fromEnv.split(',') : [fromEnv], variable)];
    }
    if (Object.hasOwn(config, key)) {
      const where = `${sources.configPath}: ${key}`;
      return [key, spec.parse(textsOf(spec, config[key], where), where)];
    }
    return [key, spec.parse([], flagOf(key))];
  });
  return Object.fromEntries(values) as OptionValues<S>;
}

function textsOf(spec: OptionSpec<unknown>, value: unknown, where: string): string[] {
  const items = spec.kind === 'list' && Array.isArray(value) ? value : [value];
  return items.map(item => {
    if (typeof item === 'string' || typeof item === 'number' || typeof item === 'boolean') return String(item);
    throw new FedError('CONFIG_INVALID', `${where} is no text, number or boolean`, 'correct the value');
  });
}

/**
 * A misspelt EMIXER_ variable would silently do nothing.
 * @throws FedError CONFIG_INVALID naming the nearest known one
 */
export function checkEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  optionKeys: Iterable<string>,
): void {
  const known = new Set([...OTHER_VARIABLES, ...[...optionKeys].map(environmentNameOf)]);
  for (const name of Object.keys(env)) {
    if (name.startsWith('EMIXER_') && !known.has(name)) {
      throw unknownKey(`unknown environment variable ${name}`, name, [...known]);
    }
  }
}

/** @throws FedError CONFIG_INVALID when the file is missing, too large, or no YAML mapping */
export async function readConfigFile(path: string): Promise<Record<string, unknown>> {
  const fail = (came: string, cause?: unknown): FedError =>
    new FedError('CONFIG_INVALID', `expected a YAML file of options at ${path}; ${came}`, 'check --config', { cause });
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (cause) {
    throw fail((cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is none' : (cause as Error).message, cause);
  }
  if (content.length > MAX_CONFIG_BYTES) throw fail('it has more than 1 MiB');
  let value: unknown;
  try {
    value = parse(content);
  } catch (cause) {
    throw fail((cause as Error).message.split('\n')[0] ?? 'it does not parse', cause);
  }
  if (value === null || value === undefined) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw fail('it is no mapping');
  return value as Record<string, unknown>;
}

function unknownKey(what: string, key: string, known: readonly string[]): FedError {
  const near = nearest(key, known);
  const hint = near === undefined ? `known are ${known.join(', ')}` : `did you mean "${near}"?`;
  return new FedError('CONFIG_INVALID', what, hint);
}
