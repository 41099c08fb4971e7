/** A gRPC server on one address. */
import {
  Server,
  type ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { FedError } from '#proto/errors.ts';
import { grpcOptions } from '#proto/tls.ts';

export interface Listener {
  /** host:port, with the port that was given out for port 0. */
  readonly address: string;
  /** Lets calls in progress end for up to `graceMs`, then cuts them off. */
  close(graceMs: number): Promise<void>;
}

export interface ListenerLimits {
  /** Where a caller is not known, what it can make this process hold is small. */
  readonly maxMessageBytes?: number;
}

/** A site needs a session, a heartbeat stream and a few transfers: more on one connection is a mistake. */
const MAX_CALLS_PER_CONNECTION = 32;

/**
 * @param address host:port; port 0 lets the system choose
 * @throws FedError PORT_IN_USE
 */
export async function listen(
  address: string,
  credentials: ServerCredentials,
  service: ServiceDefinition,
  implementation: UntypedServiceImplementation,
  limits: ListenerLimits = {},
): Promise<Listener> {
  const { maxMessageBytes } = limits;
  const server = new Server({
    ...grpcOptions,
    'grpc.max_concurrent_streams': MAX_CALLS_PER_CONNECTION,
    ...(maxMessageBytes === undefined ? {} : { 'grpc.max_receive_message_length': maxMessageBytes }),
  });
  server.addService(service, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(cannotListen(address, error));
    });
  });
  return {
    address: `${address.slice(0, address.lastIndexOf(':'))}:${port}`,
    close: graceMs => shutdown(server, graceMs),
  };
}

const cannotListen = (address: string, cause: Error): FedError =>
  new FedError(
    'PORT_IN_USE',
    `expected to listen on ${address}; ${cause.message}`,
    'choose another address, or port 0',
    { cause },
  );

function shutdown(server: Server, graceMs: number): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(() => server.forceShutdown(), graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
