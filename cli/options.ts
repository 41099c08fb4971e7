/** Options as data: each knows its flag, its placeholder and how its text becomes a value, whatever source it came from. */
import { FedError } from '#proto/errors.ts';

export interface OptionSpec<T> {
  readonly kind: 'value' | 'list' | 'flag';
  readonly placeholder: string;
  readonly description: string;
  /** @param texts what was given, in order; empty for nothing. @throws FedError USAGE */
  readonly parse: (texts: readonly string[], flag: string) => T;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec<unknown>>>;
export type OptionValues<S extends OptionSpecs> = {
  readonly [K in keyof S]: S[K] extends OptionSpec<infer T> ? T : never;
};

const usage = (message: string, remedy: string): FedError => new FedError('USAGE', message, remedy);
const single = (texts: readonly string[], flag: string): string | undefined => {
  if (texts.length > 1) throw usage(`${flag} was given ${texts.length} times; expected once`, 'keep one of them');
  return texts[0];
};
const required = <T>(value: T | undefined, flag: string, placeholder: string): T => {
  if (value === undefined) throw usage(`${flag} ${placeholder} is missing`, `give ${flag}, see --help`);
  return value;
};

export const optionalText = (placeholder: string, description: string): OptionSpec<string | undefined> => ({
  kind: 'value',
  placeholder,
  description,
  parse: single,
});

export const text = (placeholder: string, description: string, fallback?: string): OptionSpec<string> => ({
  kind: 'value',
  placeholder,
  description: fallback === undefined ? `${description} (required)` : `${description} (default ${fallback})`,
  parse: (texts, flag) => required(single(texts, flag) ?? fallback, flag, placeholder),
});

/** An integer within bounds; required where there is no fallback. */
export const integer = (
  placeholder: string,
  description: string,
  bounds: { readonly minimum: number; readonly maximum: number; readonly fallback?: number },
): OptionSpec<number> => ({
  kind: 'value',
  placeholder,
  description: `${description} (${bounds.fallback === undefined ? 'required' : `default ${bounds.fallback}`})`,
  parse: (texts, flag) => {
    const given = single(texts, flag);
    if (given === undefined) return required(bounds.fallback, flag, placeholder);
    return parseInteger(given, flag, bounds.minimum, bounds.maximum);
  },
});

/** The same, undefined where nothing is given. */
export const optionalInteger = (
  placeholder: string,
  description: string,
  bounds: { readonly minimum: number; readonly maximum: number },
): OptionSpec<number | undefined> => ({
  kind: 'value',
  placeholder,
  description,
  parse: (texts, flag) => {
    const given = single(texts, flag);
    return given === undefined ? undefined : parseInteger(given, flag, bounds.minimum, bounds.maximum);
  },
});

/** One of a few words. */
export const choice = <T extends string>(
  placeholder: string,
  description: string,
  choices: readonly T[],
  fallback: T,
): OptionSpec<T> => ({
  kind: 'value',
  placeholder,
  description: `${description}: ${choices.join(' or ')} (default ${fallback})`,
  parse: (texts, flag) => {
    const given = single(texts, flag) ?? fallback;
    const chosen = choices.find(word => word === given);
    if (chosen !== undefined) return chosen;
    throw usage(`${flag} is "${given}"; expected ${choices.join(' or ')}`, 'correct the value');
  },
});

export const flag = (description: string): OptionSpec<boolean> => ({
  kind: 'flag',
  placeholder: '',
  description,
  parse: (texts, name) => {
    const given = single(texts, name) ?? 'false';
    if (!['true', '1', 'false', '0'].includes(given))
      throw usage(`${name} is "${given}"; expected true or false`, 'use 1 or 0');
    return given === 'true' || given === '1';
  },
});

/** May be given several times; from the environment, items are separated by commas. */
export const list = <T>(
  placeholder: string,
  description: string,
  parseItem: (item: string, flag: string) => T,
): OptionSpec<readonly T[]> => ({
  kind: 'list',
  placeholder,
  description: `${description} (repeatable)`,
  parse: (texts, name) => texts.map(item => parseItem(item, name)),
});

/** As `list`, and at least one must be given. */
export const requiredList = <T>(
  placeholder: string,
  description: string,
  parseItem: (item: string, flag: string) => T,
): OptionSpec<readonly T[]> => {
  const optional = list(placeholder, `${description}, at least one`, parseItem);
  return {
    ...optional,
    parse: (texts, name) => {
      required(texts[0], name, placeholder);
      return optional.parse(texts, name);
    },
  };
};

/** @throws FedError USAGE naming flag, bounds and what came */
function parseInteger(given: string, flagName: string, minimum: number, maximum: number): number {
  const value = /^[+-]?\d{1,15}$/.test(given.trim()) ? Number(given) : Number.NaN;
  if (!(value >= minimum && value <= maximum)) {
    throw usage(`${flagName} is "${given}"; expected an integer from ${minimum} to ${maximum}`, 'correct the value');
  }
  return value;
}

const DURATION_UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** "90s", "15m", "24h", "7d" in milliseconds. @throws FedError USAGE */
export function parseDurationMs(given: string, flagName: string): number {
  const match = /^(\d{1,6})([smhd])$/.exec(given.trim());
  const amountMs =
    match === null ? 0 : Number(match[1]) * DURATION_UNITS_MS[match[2] as keyof typeof DURATION_UNITS_MS];
  if (amountMs <= 0)
    throw usage(`${flagName} is "${given}"; expected a duration such as 90s, 15m, 24h or 7d`, 'correct the value');
  return amountMs;
}

export interface DataSource {
  readonly kind: string;
  readonly dir: string;
}

/** "KIND=DIR". @throws FedError USAGE */
export function parseDataSource(given: string, flagName: string): DataSource {
  const at = given.indexOf('=');
  if (at < 1 || at === given.length - 1) {
    throw usage(`${flagName} is "${given}"; expected KIND=DIR`, 'e.g. --data openi=/data/openi');
  }
  return { kind: given.slice(0, at), dir: given.slice(at + 1) };
}

/** camelCase key -> "--kebab-case". */
export const flagOf = (key: string): string => `--${key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`;
/** camelCase key -> "EMIXER_SNAKE_CASE". */
export const environmentNameOf = (key: string): string =>
  `EMIXER_${key.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()}`;
