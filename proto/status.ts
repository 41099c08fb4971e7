/** FedError <-> gRPC status. Only public text crosses the wire: what may name local files or internals stays in the log. */
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { type ErrorCode, errorCatalogue, FedError, isErrorCode, toFedError } from './errors.ts';

const CODE_KEY = 'fed-code';
const REMEDY_KEY = 'fed-remedy-bin';
const MAX_TEXT = 1_000;

/** Codes whose message may hold paths or internals of this machine: the peer is told this instead. */
const publicTexts: Partial<Record<ErrorCode, string>> = {
  INTERNAL: 'internal error at the other end',
  DISK_FULL: 'no space left on the disk of the other end',
  PORT_IN_USE: 'the other end is not ready',
  FILE_CORRUPT: 'a stored file of the other end is damaged',
  WORKER_DIED: 'the worker of the other end died',
  BACKEND_UNAVAILABLE: 'the other end has no compute backend',
};
const PRIVATE_REMEDY = "its operator finds the reason in that end's log";

/** The public half of an error: what may be sent to a peer, or stored where a peer reads it. */
export function publicError(thrown: unknown): { code: ErrorCode; message: string; remedy: string } {
  const error = toFedError(thrown);
  const text = publicTexts[error.code];
  if (text !== undefined) return { code: error.code, message: text, remedy: PRIVATE_REMEDY };
  return { code: error.code, message: error.message.slice(0, MAX_TEXT), remedy: error.remedy.slice(0, MAX_TEXT) };
}

/** What a handler answers a failed call with. */
export function toServiceError(thrown: unknown): ServiceError {
  const { code, message, remedy } = publicError(thrown);
  const metadata = new Metadata();
  metadata.set(CODE_KEY, code);
  metadata.set(REMEDY_KEY, Buffer.from(remedy));
  return Object.assign(new Error(message), { code: errorCatalogue[code].grpcStatus, details: message, metadata });
}

/** Statuses that gRPC itself makes, without a code of ours. */
const transportCodes: Partial<Record<status, ErrorCode>> = {
  [status.CANCELLED]: 'CANCELLED',
  [status.DEADLINE_EXCEEDED]: 'UNREACHABLE',
  [status.UNAVAILABLE]: 'UNREACHABLE',
  [status.UNAUTHENTICATED]: 'UNAUTHENTICATED',
  [status.PERMISSION_DENIED]: 'UNAUTHENTICATED',
  [status.RESOURCE_EXHAUSTED]: 'LIMIT_EXCEEDED',
  [status.UNIMPLEMENTED]: 'PROTOCOL_MISMATCH',
  [status.INVALID_ARGUMENT]: 'MESSAGE_INVALID',
};

const transportRemedies: Partial<Record<ErrorCode, string>> = {
  UNREACHABLE: 'check that the other end runs, its address, and the firewall between',
  UNAUTHENTICATED: 'check that the certificate is of the same federation and not expired',
  PROTOCOL_MISMATCH: 'install the same version at both ends',
};

/** True for what a gRPC call rejects with. */
export const isServiceError = (thrown: unknown): thrown is ServiceError =>
  thrown instanceof Error &&
  typeof (thrown as Partial<ServiceError>).code === 'number' &&
  (thrown as Partial<ServiceError>).metadata instanceof Metadata;

/** The error of a failed call as the caller's FedError; anything else through `toFedError`. */
export function fromServiceError(thrown: unknown): FedError {
  if (!isServiceError(thrown)) return toFedError(thrown);
  const sent = thrown.metadata.get(CODE_KEY)[0]?.toString();
  if (sent !== undefined && isErrorCode(sent)) {
    const remedy = thrown.metadata.get(REMEDY_KEY)[0]?.toString().slice(0, MAX_TEXT) ?? '';
    return new FedError(sent, thrown.details.slice(0, MAX_TEXT), remedy, { cause: thrown });
  }
  const code = transportCodes[thrown.code] ?? 'INTERNAL';
  const name = status[thrown.code];
  return new FedError(code, `expected an answer; gRPC says ${name}: ${thrown.details}`, transportRemedies[code] ?? '', {
    cause: thrown,
  });
}
