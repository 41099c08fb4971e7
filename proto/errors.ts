/**
 * The one error catalogue: every failure that crosses a process, a wire or a terminal has a code here.
 * A code fixes the exit code of the command line, the gRPC status and the HTTP status; the message says what was
 * expected and what came, the remedy what to do. Neither may hold patient data: both end up in logs.
 */
import { status } from '@grpc/grpc-js';

export type ErrorCode = keyof typeof errorCatalogue;

interface CatalogueEntry {
  /** Exit code of the command line. */
  readonly exitCode: number;
  readonly grpcStatus: status;
  readonly httpStatus: number;
}

const entry = (exitCode: number, grpcStatus: status, httpStatus: number): CatalogueEntry => ({
  exitCode,
  grpcStatus,
  httpStatus,
});

export const errorCatalogue = {
  INTERNAL: entry(1, status.INTERNAL, 500),
  CONFIG_INVALID: entry(2, status.INVALID_ARGUMENT, 400),
  USAGE: entry(2, status.INVALID_ARGUMENT, 400),
  PORT_IN_USE: entry(2, status.UNAVAILABLE, 503),
  DATA_INVALID: entry(3, status.FAILED_PRECONDITION, 422),
  NO_USABLE_RECORDS: entry(3, status.FAILED_PRECONDITION, 422),
  FILE_CORRUPT: entry(3, status.DATA_LOSS, 422),
  NOT_FOUND: entry(3, status.NOT_FOUND, 404),
  DISK_FULL: entry(1, status.RESOURCE_EXHAUSTED, 507),
  UNREACHABLE: entry(4, status.UNAVAILABLE, 503),
  UNAUTHENTICATED: entry(4, status.UNAUTHENTICATED, 401),
  TOKEN_INVALID: entry(4, status.UNAUTHENTICATED, 401),
  CERTIFICATE_REVOKED: entry(4, status.PERMISSION_DENIED, 403),
  PROTOCOL_MISMATCH: entry(4, status.FAILED_PRECONDITION, 412),
  CLOCK_SKEW: entry(4, status.FAILED_PRECONDITION, 412),
  LIMIT_EXCEEDED: entry(4, status.RESOURCE_EXHAUSTED, 413),
  MESSAGE_INVALID: entry(4, status.INVALID_ARGUMENT, 400),
  POLICY_REFUSED: entry(7, status.PERMISSION_DENIED, 403),
  NON_FINITE: entry(1, status.ABORTED, 409),
  TRAINING_COLLAPSED: entry(1, status.ABORTED, 409),
  WORKER_DIED: entry(1, status.ABORTED, 500),
  BACKEND_UNAVAILABLE: entry(1, status.UNAVAILABLE, 503),
  CANCELLED: entry(130, status.CANCELLED, 499),
} as const satisfies Record<string, CatalogueEntry>;

/** An expected failure: what was expected and what came (`message`), and what to do (`remedy`). */
export class FedError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string;

  constructor(code: ErrorCode, message: string, remedy = '', options?: ErrorOptions) {
    super(message, options);
    this.name = 'FedError';
    this.code = code;
    this.remedy = remedy;
  }

  get exitCode(): number {
    return errorCatalogue[this.code].exitCode;
  }
}

export const isErrorCode = (value: string): value is ErrorCode => Object.hasOwn(errorCatalogue, value);

/** Any thrown value as a FedError; system errors that a user can act on get their own code. */
export function toFedError(thrown: unknown): FedError {
  if (thrown instanceof FedError) return thrown;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const systemCode = (error as NodeJS.ErrnoException).code;
  if (systemCode === 'ENOSPC') {
    return new FedError('DISK_FULL', `no space left on the disk: ${error.message}`, 'free space, then run it again', {
      cause: error,
    });
  }
  if (systemCode === 'EADDRINUSE') {
    return new FedError('PORT_IN_USE', `the port is in use: ${error.message}`, 'choose another, or port 0', {
      cause: error,
    });
  }
  return new FedError('INTERNAL', error.message, '', { cause: error });
}
