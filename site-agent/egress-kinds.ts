/** Every kind of thing that may leave a site. What is not in this list cannot leave. */
export const EGRESS_KINDS = [
  /** One-time token and certificate request. */
  'enrolment',
  /** Protocol version, software version, clock. */
  'session',
  /** Task id, step, number of steps. */
  'heartbeat',
  /** Losses and their like, by known names. */
  'metrics',
  /** Hashes of chunks, asked for or offered. */
  'chunk-addresses',
  /** Bytes of G and F. */
  'weights',
  /** Bytes of generated pairs. */
  'synthetic',
  /** Results of tasks. */
  'statistics',
  'contribution',
  'evaluation',
  'generation',
  'audit',
  /** An error's code and text. */
  'failure',
] as const;

export type EgressKind = (typeof EGRESS_KINDS)[number];
