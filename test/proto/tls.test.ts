import { X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callUnary } from '#proto/calls.ts';
import { type EnrollRequest, EnrolmentServiceClient, EnrolmentServiceService } from '#proto/gen/fed/v1/federation.ts';
import { handleUnary } from '#proto/handlers.ts';
import { channelCredentials, grpcOptions, type PeerIdentity } from '#proto/tls.ts';
import { testAuthority } from '../support/certificates.ts';
import { startServer, type TestServer } from '../support/rpc-server.ts';

const authority = testAuthority();
const site = authority.issue('site-a');
let mutual: TestServer;
let open: TestServer;
let lastPeer: PeerIdentity | undefined;

beforeAll(async () => {
  const service = {
    enroll: handleUnary(
      async (_request: EnrollRequest, context) => {
        lastPeer = context.peer();
        return { site: lastPeer.commonName, certificatePem: '', caPem: '' };
      },
      () => {},
    ),
  };
  mutual = await startServer(authority, EnrolmentServiceService, service, true);
  open = await startServer(authority, EnrolmentServiceService, service, false);
});
afterAll(() => {
  mutual.stop();
  open.stop();
});

async function enroll(address: string, identity: Parameters<typeof channelCredentials>[0]) {
  const client = new EnrolmentServiceClient(address, channelCredentials(identity), grpcOptions);
  try {
    return await callUnary(client, EnrolmentServiceService.enroll, { token: '', csrPem: '' }, { timeoutMs: 5_000 });
  } finally {
    client.close();
  }
}
const handshake = (address: string, options: tls.ConnectionOptions): Promise<string | null> =>
  new Promise((resolve, reject) => {
    const [host = '', port = ''] = address.split(':');
    const socket = tls.connect(
      { host, port: Number(port), ca: authority.caPem, ALPNProtocols: ['h2'], ...options },
      () => {
        const protocol = socket.getProtocol();
        // Under TLS 1.3 the server refuses a missing certificate after the client believes that it is connected.
        socket.on('data', () => {
          socket.destroy();
          resolve(protocol);
        });
      },
    );
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed')));
  });

describe('mutual TLS', () => {
  it('tells the handler who the caller is, from the certificate alone', async () => {
    expect((await enroll(mutual.address, { caPem: authority.caPem, ...site })).site).toBe('site-a');
    const certificate = new X509Certificate(site.certPem);
    expect(lastPeer).toEqual({
      commonName: 'site-a',
      serialNumber: certificate.serialNumber,
      fingerprint256: certificate.fingerprint256,
      publicKeyPem: certificate.publicKey.export({ type: 'spki', format: 'pem' }),
    });
  });

  it('refuses a client without a certificate, and one of another authority under the same name', async () => {
    await expect(enroll(mutual.address, { caPem: authority.caPem })).rejects.toMatchObject({ code: 'UNREACHABLE' });
    const impostor = testAuthority().issue('site-a');
    await expect(enroll(mutual.address, { caPem: authority.caPem, ...impostor })).rejects.toMatchObject({
      code: 'UNREACHABLE',
    });
  });

  it('refuses a server of another authority', async () => {
    const stranger = { caPem: testAuthority().caPem, ...site };
    await expect(enroll(mutual.address, stranger)).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('a listener that asks for no certificate knows no peer', async () => {
    await expect(enroll(open.address, { caPem: authority.caPem })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    // Presenting one there changes nothing: it was not asked for, so it proves nothing.
    await expect(enroll(open.address, { caPem: authority.caPem, ...site })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
  });

  it('speaks TLS 1.3 and refuses 1.2 on both listeners', async () => {
    const identity = { cert: site.certPem, key: site.keyPem };
    for (const { address } of [mutual, open]) {
      expect(await handshake(address, identity)).toBe('TLSv1.3');
      await expect(handshake(address, { ...identity, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })).rejects.toThrow(
        /protocol version/,
      );
    }
  });
});

describe('channelCredentials', () => {
  it('says what is wrong with a certificate that does not fit its key', () => {
    const other = authority.issue('b');
    expect(() => channelCredentials({ caPem: authority.caPem, certPem: site.certPem, keyPem: other.keyPem })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('mismatch') }),
    );
  });
});
