import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { issueCertificate, type KeyPairPem, makeKeyPair, privateKeyOf } from '#coordinator/enrolment/certificates.ts';
import { publicKeyOf } from '#coordinator/enrolment/signing-request.ts';
import { makeRequest } from '../../support/fake-site.ts';

const DAY_MS = 24 * 3_600_000;
const nowMs = Date.UTC(2026, 0, 15);

describe('certificates', () => {
  let ca: KeyPairPem;
  let caPem: string;
  const request = (use: Parameters<typeof issueCertificate>[0]['use'], publicPem: string) => ({
    commonName: 'north',
    publicPem,
    use,
    serialBytes: Buffer.alloc(16, 0xff),
    nowMs,
    days: 30,
  });
  beforeAll(async () => {
    ca = await makeKeyPair();
    caPem = issueCertificate(
      { ...request({ use: 'ca' }, ca.publicPem), commonName: 'federation CA' },
      { certificatePem: '', key: privateKeyOf(ca.privatePem) },
    );
  });
  const issue = (use: Parameters<typeof issueCertificate>[0]['use']) =>
    new X509Certificate(
      issueCertificate(request(use, ca.publicPem), { certificatePem: caPem, key: privateKeyOf(ca.privatePem) }),
    );

  it('are signed by the CA, as OpenSSL checks it', () => {
    const authority = new X509Certificate(caPem);
    const site = issue({ use: 'site' });
    expect(authority.ca).toBe(true);
    expect(authority.verify(authority.publicKey)).toBe(true);
    expect(site.verify(authority.publicKey)).toBe(true);
    expect(site.checkIssued(authority)).toBe(true);
    expect(site.ca).toBe(false);
    expect(site.subject).toBe('CN=north');
    expect(site.publicKey.asymmetricKeyDetails?.modulusLength).toBe(3072);
  });

  it('say what they are for', () => {
    expect(issue({ use: 'site' }).keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    const server = issue({ use: 'server', hosts: ['localhost', '127.0.0.1', 'fed.example'] });
    expect(server.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(server.checkHost('fed.example')).toBe('fed.example');
    expect(server.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(server.checkHost('elsewhere.example')).toBeUndefined();
  });

  it('have a positive serial and the stated lifetime', () => {
    const site = issue({ use: 'site' });
    expect(site.serialNumber).toBe(`7F${'FF'.repeat(15)}`);
    expect(new Date(site.validTo).getTime()).toBe(nowMs + 30 * DAY_MS);
    expect(new Date(site.validFrom).getTime()).toBe(nowMs - DAY_MS);
  });

  it('do not hold up the event loop while they are signed', () => {
    issue({ use: 'site' });
    const started = process.cpuUsage();
    for (let i = 0; i < 5; i++) issue({ use: 'site' });
    const { user, system } = process.cpuUsage(started);
    expect((user + system) / 1000 / 5).toBeLessThan(50);
  });
});

describe('signing requests', () => {
  it('give only the key, and only when its owner signed them', () => {
    const { csrPem } = makeRequest('whoever');
    expect(publicKeyOf(csrPem)).toContain('BEGIN PUBLIC KEY');
    const lines = csrPem.split(/\r?\n/);
    const changed = lines.map((line, i) =>
      i === 3 ? `${line.slice(0, 10)}${line[10] === 'A' ? 'B' : 'A'}${line.slice(11)}` : line,
    );
    for (const wrong of [
      changed.join('\n'),
      '',
      'x'.repeat(20_000),
      '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----',
    ]) {
      expect(() => publicKeyOf(wrong)).toThrow(expect.objectContaining({ code: 'MESSAGE_INVALID' }));
    }
  });
});
