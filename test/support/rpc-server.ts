/** A real gRPC server on a free port of 127.0.0.1, with mutual TLS, for tests of what crosses the wire. */
import { Server, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { grpcOptions, serverCredentials } from '#proto/tls.ts';
import type { TestAuthority } from './certificates.ts';

export interface TestServer {
  readonly address: string;
  stop(): void;
}

export async function startServer(
  authority: TestAuthority,
  service: ServiceDefinition,
  implementation: UntypedServiceImplementation,
  requireClientCertificate = true,
): Promise<TestServer> {
  const server = new Server(grpcOptions);
  server.addService(service, implementation);
  const credentials = serverCredentials({
    caPem: authority.caPem,
    ...authority.issue('coordinator'),
    requireClientCertificate,
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return { address: `127.0.0.1:${port}`, stop: () => server.forceShutdown() };
}
