/** site.yaml: what a hospital decides about its agent. */
import { stat } from 'node:fs/promises';
import { type Static, Type } from 'typebox';
import { parse, stringify } from 'yaml';
import { STAGES } from '#model/federated.ts';
import { FedError } from '#proto/errors.ts';
import { parseWith } from '#proto/validate.ts';
import { EGRESS_KINDS } from './egress-kinds.ts';
import { readIfThere, sitePaths, writePrivateFile } from './state.ts';

const closed = { additionalProperties: false };
const integer = (minimum: number, maximum: number, fallback: number, description: string) =>
  Type.Integer({ minimum, maximum, default: fallback, description });

const PolicySchema = Type.Object(
  {
    approval: Type.Union([Type.Literal('automatic'), Type.Literal('person')], {
      default: 'person',
      description: 'person: a run waits until someone runs "emixer site approve RUN"',
    }),
    allowedRuns: Type.Array(Type.String({ pattern: '^[0-9a-f]{64}$' }), {
      default: [],
      maxItems: 1_000,
      description: 'SHA-256 of run configurations, in hex; with any listed, no other run is accepted',
    }),
    minimumCohort: integer(1, 64, 2, 'fewest sites a run must have, this one counted'),
    stages: Type.Array(Type.Enum([...STAGES]), {
      default: [...STAGES],
      uniqueItems: true,
      description: 'stages this site takes part in',
    }),
    minimumCell: integer(
      1,
      1_000,
      5,
      'counts of labels and of patients below this never leave, whatever the run asks for',
    ),
    minimumTokenPatients: integer(
      1,
      1_000,
      3,
      'a run is refused that would reveal words which fewer patients than this used',
    ),
    blockedEgress: Type.Array(Type.Enum([...EGRESS_KINDS]), {
      default: [],
      uniqueItems: true,
      description: 'kinds of outgoing data that are blocked',
    }),
  },
  { ...closed, default: {} },
);

const WorkerSchema = Type.Object(
  {
    backend: Type.Enum(['auto', 'cuda', 'native', 'wasm', 'cpu'], {
      default: 'auto',
      description: 'what computes; auto takes EMIXER_BACKEND, or the best there is',
    }),
    threads: integer(
      0,
      1_024,
      0,
      'threads of the numeric kernels; 0 takes EMIXER_THREADS, or as many as there are cores',
    ),
    checkpointEverySteps: integer(1, 1_000_000, 10, 'steps between local checkpoints inside a round'),
    stallTimeoutMs: integer(
      1_000,
      24 * 3_600_000,
      1_800_000,
      'a worker that reports no progress for this long is ended and started again',
    ),
    idleMs: integer(
      100,
      24 * 3_600_000,
      120_000,
      'a worker without a task for this long is ended: that gives its memory back',
    ),
    maximumRestarts: integer(0, 100, 3, 'how often one task is given to a new worker after its worker died'),
  },
  { ...closed, default: {} },
);

export const SiteConfigSchema = Type.Object(
  {
    coordinator: Type.Optional(
      Type.String({
        pattern: '^[^\\s/]+:[0-9]{1,5}$',
        description: "host:port of the coordinator's main listener; from the invite where absent",
      }),
    ),
    policy: PolicySchema,
    worker: WorkerSchema,
  },
  closed,
);
export type SiteConfig = Static<typeof SiteConfigSchema>;
export type SitePolicy = SiteConfig['policy'];

const MAXIMUM_CONFIG_BYTES = 1 << 20;

/**
 * Reads site.yaml of a site's folder; where there is none, the defaults: a person approves every run.
 * @throws FedError CONFIG_INVALID naming the key and the nearest known one
 */
export async function readSiteConfig(dir: string): Promise<SiteConfig> {
  const path = sitePaths(dir).config;
  const size = await stat(path).then(
    found => found.size,
    () => 0,
  );
  if (size > MAXIMUM_CONFIG_BYTES) {
    throw new FedError('CONFIG_INVALID', `site.yaml: expected at most 1 MiB; got ${size} bytes`, 'shorten it');
  }
  const text = (await readIfThere(path)) ?? '';
  return parseSiteConfig(text);
}

/** @throws FedError CONFIG_INVALID */
export function parseSiteConfig(text: string): SiteConfig {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new FedError('CONFIG_INVALID', `site.yaml: expected YAML; ${firstLine(error)}`, 'correct the file');
  }
  return parseWith(SiteConfigSchema, value ?? {}, 'site.yaml');
}

/** Writes site.yaml, validated; used at enrolment and by the demo. */
export async function writeSiteConfig(dir: string, config: unknown): Promise<SiteConfig> {
  const checked = parseWith(SiteConfigSchema, config, 'site.yaml');
  await writePrivateFile(sitePaths(dir).config, stringify(checked));
  return checked;
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
