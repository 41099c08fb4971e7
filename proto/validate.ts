/** Validation of configuration, files and JSON that came over the wire: unknown keys are errors that name the nearest known one. */
import type { Static, TSchema } from 'typebox';
import { Clean, Default, Errors } from 'typebox/value';
import { FedError } from './errors.ts';

/**
 * Checks `value` against `schema` (objects must be closed with additionalProperties: false) and fills in defaults.
 * @param what names the document in the error, e.g. 'run configuration run.yaml'
 * @throws FedError CONFIG_INVALID naming the field, what was expected and the nearest known key
 */
export function parseWith<S extends TSchema>(schema: S, value: unknown, what: string): Static<S> {
  const filled = Default(schema, structuredClone(value ?? {}));
  const problems = Errors(schema, filled);
  // An unknown key is reported twice: first as a value where the schema is `false`, then with its name.
  const problem = problems.find(({ keyword }) => keyword !== 'boolean') ?? problems[0];
  if (problem === undefined) return Clean(schema, filled) as Static<S>;
  const params = problem.params as { additionalProperties?: readonly string[]; requiredProperties?: readonly string[] };
  const unknown = params.additionalProperties?.[0];
  const at = problem.instancePath === '' ? 'the top level' : problem.instancePath.slice(1).replaceAll('/', '.');
  if (unknown !== undefined) {
    const near = nearest(unknown, propertiesAt(schema, problem.instancePath));
    const hint = near === undefined ? 'remove it' : `did you mean "${near}"?`;
    throw new FedError('CONFIG_INVALID', `${what}: unknown key "${unknown}" at ${at}`, hint);
  }
  throw new FedError('CONFIG_INVALID', `${what}: ${at} ${problem.message}`, 'correct the value');
}

/** The keys a closed object schema knows at a JSON pointer. */
function propertiesAt(schema: TSchema, pointer: string): string[] {
  let node: unknown = schema;
  for (const part of pointer.split('/').slice(1)) {
    const object = node as { properties?: Record<string, unknown>; items?: unknown };
    node = object.properties?.[part] ?? object.items;
  }
  return Object.keys((node as { properties?: object } | undefined)?.properties ?? {});
}

/** The candidate closest to `word` by edit distance, if any is close enough to be a slip of the keyboard. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map(candidate => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(2, Math.ceil(word.length / 2)) ? best.candidate : undefined;
}

/** Levenshtein distance of two short words, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
