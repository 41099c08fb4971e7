/** Who is let in: real listeners, real TLS. */

import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { revoke } from '#coordinator/commands.ts';
import { callUnary } from '#proto/calls.ts';
import {
  EnrolmentServiceClient,
  EnrolmentServiceService,
  FederationServiceClient,
  FederationServiceService,
} from '#proto/gen/fed/v1/federation.ts';
import { channelCredentials, grpcOptions } from '#proto/tls.ts';
import { testAuthority } from '../../support/certificates.ts';
import {
  type Coordinator,
  enrolTestSites,
  initTestCoordinator,
  inviteTestSite,
  startTestCoordinator,
} from '../../support/coordinator-fixture.ts';
import { enrolFake, type FakeIdentity, FakeSite } from '../../support/fake-site.ts';

let dir: string;
let coordinator: Coordinator;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'emixer-identity-'));
  await initTestCoordinator(dir);
  coordinator = await startTestCoordinator(dir);
}, 60_000);
afterAll(async () => {
  await coordinator.close();
  await rm(dir, { recursive: true, force: true });
});

const welcome = async (identity: FakeIdentity, overrides: { protocolVersion?: number; clockMs?: bigint } = {}) => {
  const site = new FakeSite({ identity, address: coordinator.grpcAddress, records: 1 });
  try {
    for await (const { event } of site.openSession(overrides)) return event?.value;
    return undefined;
  } finally {
    await site.stop();
  }
};

/** What a TLS client gets from a listener before any gRPC. */
function handshake(address: string, options: object): Promise<string> {
  const [host, port] = address.split(':');
  return new Promise(resolve => {
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'], ...options });
    socket.setTimeout(5_000, () => socket.destroy(new Error('no answer')));
    // Under TLS 1.3 the client is done before the server has looked at its certificate: the refusal comes as the next read.
    socket.on('data', () => {
      resolve(`served ${socket.getProtocol()}`);
      socket.destroy();
    });
    socket.on('error', error => resolve((error as NodeJS.ErrnoException).code ?? error.message));
    socket.on('close', () => resolve('closed'));
  });
}

describe('the main listener', () => {
  it('refuses a client without a certificate, and one whose certificate somebody else signed', async () => {
    expect(await handshake(coordinator.grpcAddress, {})).toMatch(/CERTIFICATE_REQUIRED|closed|ECONNRESET/);
    const [identity] = await enrolTestSites(dir, ['tls-ok']);
    const { certPem, keyPem } = identity as FakeIdentity;
    expect(await handshake(coordinator.grpcAddress, { cert: certPem, key: keyPem })).toBe('served TLSv1.3');

    const stranger = testAuthority().issue('tls-ok');
    expect(await handshake(coordinator.grpcAddress, { cert: stranger.certPem, key: stranger.keyPem })).not.toContain(
      'served',
    );
  });

  it('speaks TLS 1.3 only', async () => {
    expect(await handshake(coordinator.grpcAddress, { maxVersion: 'TLSv1.2' })).toMatch(/PROTOCOL|ECONNRESET|closed/);
    expect(await handshake(coordinator.enrolAddress, { maxVersion: 'TLSv1.2' })).toMatch(/PROTOCOL|ECONNRESET|closed/);
  });

  it('welcomes an enrolled site under the name of its certificate', async () => {
    const [identity] = await enrolTestSites(dir, ['north']);
    expect(await welcome(identity as FakeIdentity)).toMatchObject({ site: 'north', protocolVersion: 1 });
  });

  it('refuses another protocol version and a clock that is off, in words', async () => {
    const [identity] = await enrolTestSites(dir, ['versions']);
    await expect(welcome(identity as FakeIdentity, { protocolVersion: 99 })).rejects.toMatchObject({
      code: 'PROTOCOL_MISMATCH',
      message: expect.stringContaining('protocol 1'),
    });
    await expect(welcome(identity as FakeIdentity, { clockMs: BigInt(Date.now() - 3_600_000) })).rejects.toMatchObject({
      code: 'CLOCK_SKEW',
    });
  });

  it('ends the older session of a site when a newer one opens', async () => {
    const [identity] = await enrolTestSites(dir, ['twice']);
    const options = { identity: identity as FakeIdentity, address: coordinator.grpcAddress, records: 1 };
    const older = new FakeSite(options).start();
    await expect
      .poll(() => coordinator.notices.filter(n => n.event === 'site-connected' && n.site === 'twice'))
      .toHaveLength(1);
    const newer = new FakeSite(options).start();
    await older.ended();
    expect(older.errors).toEqual([]);
    expect(coordinator.notices.some(n => n.event === 'site-disconnected' && n.site === 'twice')).toBe(false);
    await Promise.all([older.stop(), newer.stop()]);
  });

  it('refuses a revoked serial at its next call, ends its session, and lets the site back in with a new invite', async () => {
    const [identity] = await enrolTestSites(dir, ['leaver']);
    const site = new FakeSite({
      identity: identity as FakeIdentity,
      address: coordinator.grpcAddress,
      records: 1,
    }).start();
    await expect
      .poll(() => coordinator.notices.some(n => n.event === 'site-connected' && n.site === 'leaver'))
      .toBe(true);
    const { serials } = await revoke({ dir, siteOrSerial: 'leaver' });
    expect(serials).toHaveLength(1);
    const call = callUnary(
      site.client,
      FederationServiceService.missingChunks,
      { runId: 'x', sha256: [] },
      { timeoutMs: 5_000 },
    );
    await expect(call).rejects.toMatchObject({ code: 'CERTIFICATE_REVOKED' });
    await site.ended();
    await site.stop();
    await expect(welcome(identity as FakeIdentity)).rejects.toMatchObject({ code: 'CERTIFICATE_REVOKED' });
    await expect(revoke({ dir, siteOrSerial: 'leaver' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const [again] = await enrolTestSites(dir, ['leaver']);
    expect(await welcome(again as FakeIdentity)).toMatchObject({ site: 'leaver' });
  });

  it('does not take a certificate of the enrolment listener for granted: no client certificate, no call', async () => {
    const { caPem } = await inviteTestSite(dir, 'nobody');
    const client = new FederationServiceClient(coordinator.enrolAddress, channelCredentials({ caPem }), grpcOptions);
    const call = callUnary(
      client,
      FederationServiceService.missingChunks,
      { runId: 'x', sha256: [] },
      { timeoutMs: 5_000 },
    );
    await expect(call).rejects.toMatchObject({ code: 'PROTOCOL_MISMATCH' });
    client.close();
  });
});

describe('enrolment', () => {
  it('refuses a wrong, a used and an expired token', async () => {
    const invite = await inviteTestSite(dir, 'east');
    await expect(enrolFake({ ...invite, token: 'A'.repeat(43) })).rejects.toMatchObject({
      code: 'TOKEN_INVALID',
      message: expect.stringContaining('not issued here'),
    });
    await enrolFake(invite);
    await expect(enrolFake(invite)).rejects.toMatchObject({
      code: 'TOKEN_INVALID',
      message: expect.stringContaining('used'),
    });
    const expired = await inviteTestSite(dir, 'east', 0);
    await expect(enrolFake(expired)).rejects.toMatchObject({
      code: 'TOKEN_INVALID',
      message: expect.stringContaining('expired'),
    });
  });

  it('holds little of what a stranger sends', async () => {
    const { enrolment, caPem, token } = await inviteTestSite(dir, 'talker');
    const client = new EnrolmentServiceClient(enrolment, channelCredentials({ caPem }), grpcOptions);
    const enrol = (csrPem: string) =>
      callUnary(client, EnrolmentServiceService.enroll, { token, csrPem }, { timeoutMs: 5_000 });
    await expect(enrol('x'.repeat(100_000))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    await expect(enrol('x'.repeat(20_000))).rejects.toMatchObject({ code: 'MESSAGE_INVALID' });
    client.close();
  });

  it("gives the invite's name, whatever the request asks for", async () => {
    const invite = await inviteTestSite(dir, 'south');
    const identity = await enrolFake({ ...invite, site: 'coordinator' });
    expect(identity.site).toBe('south');
    expect(await welcome(identity)).toMatchObject({ site: 'south' });
  });

  it('keeps the token out of the database, and the keys to their owner', async () => {
    const { token } = await inviteTestSite(dir, 'west');
    for (const file of ['coordinator.db', 'coordinator.db-wal']) {
      expect((await readFile(join(dir, file))).includes(token)).toBe(false);
    }
    for (const file of ['ca-key.pem', 'server-key.pem']) {
      expect((await stat(join(dir, 'identity', file))).mode & 0o077).toBe(0);
    }
  });
});

describe('starting', () => {
  it('says that a port is in use, that the folder is taken, and that http stays on loopback', {
    timeout: 120_000,
  }, async () => {
    await expect(startTestCoordinator(dir)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('only coordinator'),
    });
    const other = await mkdtemp(join(tmpdir(), 'emixer-port-'));
    await initTestCoordinator(other);
    for (const key of ['listen', 'enrolListen', 'http'] as const) {
      const address = {
        listen: coordinator.grpcAddress,
        enrolListen: coordinator.enrolAddress,
        http: coordinator.httpAddress,
      }[key];
      await expect(startTestCoordinator(other, { [key]: address })).rejects.toMatchObject({
        code: 'PORT_IN_USE',
        exitCode: 2,
      });
    }
    await expect(startTestCoordinator(other, { http: '0.0.0.0:0' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    // Nothing of the failed starts is left: it can start now.
    await (await startTestCoordinator(other)).close();
    await expect(initTestCoordinator(other)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await rm(other, { recursive: true });
  });
});
