/** What a checkpoint belongs to: weights go on only under the configuration and the vocabulary that they were trained with. */
import { createHash } from 'node:crypto';
import { FedError } from '#proto/errors.ts';
import type { Emixer } from '../emixer/emixer.ts';
import { canonicalJson } from '../federated.ts';

/** Metadata keys of a checkpoint. */
export interface StateIdentity {
  /** Canonical JSON of the model's configuration. */
  readonly configuration: string;
  readonly vocabularySha256: string;
}

export const vocabularySha256 = (tokens: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(tokens)).digest('hex');

export const identityOf = ({ config, vocabulary }: Pick<Emixer, 'config' | 'vocabulary'>): StateIdentity => ({
  configuration: canonicalJson(config),
  vocabularySha256: vocabularySha256(vocabulary.tokens),
});

const REMEDY = 'go on with the options that it was made with, or begin in another folder';

/**
 * @param what names the checkpoint in the error
 * @throws FedError CONFIG_INVALID naming the first field that differs, or the vocabulary
 */
export function requireIdentity(
  metadata: Readonly<Record<string, string>>,
  expected: StateIdentity,
  what: string,
): void {
  const { configuration, vocabularySha256: vocabulary } = metadata;
  if (configuration !== expected.configuration) {
    const { field, made, asked } = firstDifference(configuration, expected.configuration);
    throw new FedError('CONFIG_INVALID', `${what} was made with ${field} = ${made}; expected ${asked}`, REMEDY);
  }
  if (vocabulary !== expected.vocabularySha256) {
    throw new FedError(
      'CONFIG_INVALID',
      `${what} was made with the vocabulary of SHA-256 ${vocabulary}; expected ${expected.vocabularySha256}`,
      REMEDY,
    );
  }
}

function firstDifference(made: string | undefined, asked: string): { field: string; made: string; asked: string } {
  const left = flattened(parsed(made));
  const right = flattened(parsed(asked));
  for (const field of new Set([...right.keys(), ...left.keys()])) {
    if (left.get(field) === right.get(field)) continue;
    return { field, made: left.get(field) ?? 'nothing', asked: right.get(field) ?? 'nothing' };
  }
  return { field: 'configuration', made: 'another text', asked };
}

function parsed(json: string | undefined): unknown {
  try {
    return JSON.parse(json ?? '{}');
  } catch {
    return {};
  }
}

/** "report.hidden" -> "512". */
function flattened(value: unknown, prefix = '', into = new Map<string, string>()): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return into.set(prefix, JSON.stringify(value));
  for (const [key, inner] of Object.entries(value)) flattened(inner, prefix === '' ? key : `${prefix}.${key}`, into);
  return into;
}
