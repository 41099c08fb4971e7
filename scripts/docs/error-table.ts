/** The table of error codes in docs/protocol.md, made from the catalogue. */
import { status } from '@grpc/grpc-js';
import { type ErrorCode, errorCatalogue } from '#proto/errors.ts';
import { markdownTable } from './markdown.ts';

const BEGIN = '<!-- error codes: made by "npm run docs" from proto/errors.ts -->';
const END = '<!-- end of error codes -->';

const meanings: Record<ErrorCode, string> = {
  INTERNAL: 'a fault of the program; the log has its stack',
  CONFIG_INVALID: 'a configuration file, an option or a folder is not what it must be',
  USAGE: 'the command line cannot be understood',
  PORT_IN_USE: 'a listener cannot have its address',
  DATA_INVALID: 'a collection or prepared set as a whole cannot be used',
  NO_USABLE_RECORDS: 'nothing in a collection can be used',
  FILE_CORRUPT: 'a file is not what was written',
  NOT_FOUND: 'a run, chunk or folder does not exist, or is not for the caller',
  DISK_FULL: 'no space left; waits and tries again where that makes sense',
  UNREACHABLE: 'the other end does not answer; tried again with back-off',
  UNAUTHENTICATED: 'no certificate of this federation, or a signature by another key',
  TOKEN_INVALID: 'the invite is unknown, used or expired',
  CERTIFICATE_REVOKED: 'the operator of the coordinator revoked the certificate',
  PROTOCOL_MISMATCH: 'the two ends speak different versions',
  CLOCK_SKEW: 'the clocks are more than five minutes apart',
  LIMIT_EXCEEDED: 'a message or an upload is larger than allowed',
  MESSAGE_INVALID: 'a message does not have the shape it must have',
  POLICY_REFUSED: "the hospital's policy or its egress refuses",
  NON_FINITE: 'a loss or a weight is NaN or infinite',
  TRAINING_COLLAPSED: 'a training at one site shows signs of a collapse, and was to end then',
  WORKER_DIED: 'the training process died more often than allowed',
  BACKEND_UNAVAILABLE: 'the demanded compute backend cannot run',
  CANCELLED: 'interrupted, or no longer wanted',
};

export function errorTable(): string {
  const codes = Object.keys(errorCatalogue) as ErrorCode[];
  return markdownTable(
    ['code', 'exit', 'gRPC', 'HTTP', 'meaning'],
    codes.map(code => {
      const { exitCode, grpcStatus, httpStatus } = errorCatalogue[code];
      return [`\`${code}\``, String(exitCode), status[grpcStatus] ?? '', String(httpStatus), meanings[code]];
    }),
  );
}

/**
 * The page with the table between its two marks.
 * @throws Error when a mark is missing
 */
export function withErrorTable(page: string): string {
  const from = page.indexOf(BEGIN);
  const to = page.indexOf(END);
  if (from < 0 || to < from) throw new Error(`expected "${BEGIN}" and "${END}" in docs/protocol.md`);
  return `${page.slice(0, from + BEGIN.length)}\n\n${errorTable()}\n\n${page.slice(to)}`;
}
