/** TLS 1.3 on both ends, and who is at the other one: identity is the certificate's, never a field of a message. */
import { X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import { ChannelCredentials, type ChannelOptions, ServerCredentials } from '@grpc/grpc-js';
import { FedError } from './errors.ts';

/** PEM texts; `keyPem` is the private key of `certPem`. */
export interface ServerIdentity {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
  /** True on the main listener, false on the enrolment listener (grpc-js can require certificates or never ask). */
  readonly requireClientCertificate: boolean;
}

export interface ClientIdentity {
  readonly caPem: string;
  /** Absent only while enrolling. */
  readonly certPem?: string;
  readonly keyPem?: string;
}

/** What a certificate says about the peer that proved to hold its key. */
export interface PeerIdentity {
  readonly commonName: string;
  /** Upper-case hexadecimal, as node:tls prints it. */
  readonly serialNumber: string;
  readonly publicKeyPem: string;
  readonly fingerprint256: string;
}

/** Options of every server and channel: bounded messages (a chunk is at most 4 MiB), dead peers noticed within 30 s. */
export const grpcOptions: ChannelOptions = {
  'grpc.max_receive_message_length': 16 * 1024 * 1024,
  'grpc.max_send_message_length': 16 * 1024 * 1024,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc-node.flow_control_window': 8 * 1024 * 1024,
  'grpc.enable_http_proxy': 0,
  // Reconnection and repetition are the callers': a silent retry would hide which attempt was counted.
  'grpc.enable_retries': 0,
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 5_000,
};

/** grpc-js passes no minimum version to its listeners, and Node's default still admits TLS 1.2. */
export function requireTls13(): void {
  tls.DEFAULT_MIN_VERSION = 'TLSv1.3';
}

/** Credentials of a listener. */
export function serverCredentials(identity: ServerIdentity): ServerCredentials {
  requireTls13();
  return ServerCredentials.createSsl(
    Buffer.from(identity.caPem),
    [{ cert_chain: Buffer.from(identity.certPem), private_key: Buffer.from(identity.keyPem) }],
    identity.requireClientCertificate,
  );
}

/**
 * Credentials of a channel: trusts only `caPem`, checks the server's name, presents `certPem` when given.
 * @throws FedError CONFIG_INVALID when the certificate or the key cannot be read, or do not belong together
 */
export function channelCredentials(identity: ClientIdentity): ChannelCredentials {
  requireTls13();
  const { caPem, certPem, keyPem } = identity;
  try {
    const context = tls.createSecureContext({
      ca: caPem,
      minVersion: 'TLSv1.3',
      ...(certPem === undefined ? {} : { cert: certPem }),
      ...(keyPem === undefined ? {} : { key: keyPem }),
    });
    return ChannelCredentials.createFromSecureContext(context);
  } catch (cause) {
    throw new FedError(
      'CONFIG_INVALID',
      `expected a PEM certificate and its private key; ${(cause as Error).message}`,
      'enrol again, or restore the identity files',
      { cause },
    );
  }
}

/** A server-side call as far as identity is concerned. */
export interface AuthenticatedCall {
  getAuthContext(): { readonly sslPeerCertificate?: tls.PeerCertificate | undefined };
  getPath(): string;
}

/**
 * The certificate of the caller, verified against the listener's CA during the handshake.
 * @throws FedError UNAUTHENTICATED when the connection carries none (the enrolment listener)
 */
export function peerCertificate(call: AuthenticatedCall): PeerIdentity {
  const certificate = call.getAuthContext().sslPeerCertificate;
  if (certificate?.raw === undefined) {
    throw new FedError(
      'UNAUTHENTICATED',
      `expected a client certificate for ${call.getPath()}; none came`,
      'enrol the site first, then connect to the main listener',
    );
  }
  return identityOf(new X509Certificate(certificate.raw));
}

/** @throws FedError UNAUTHENTICATED when the subject has no common name */
export function identityOf(certificate: X509Certificate): PeerIdentity {
  const commonName = /^CN=(.+)$/m.exec(certificate.subject ?? '')?.[1];
  if (commonName === undefined) {
    throw new FedError('UNAUTHENTICATED', 'expected a certificate with a common name; it has none', 'enrol again');
  }
  return {
    commonName,
    serialNumber: certificate.serialNumber,
    publicKeyPem: certificate.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    fingerprint256: certificate.fingerprint256,
  };
}
