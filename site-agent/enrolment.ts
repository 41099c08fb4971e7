/** Enrolment: a key made here, a certificate request signed with it, and a one-time token exchanged for a certificate. */
import { createPrivateKey, createPublicKey, generateKeyPair, sign, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import forge from 'node-forge';
import { FedError } from '#proto/errors.ts';
import { type Invite, InviteSchema } from '#proto/invite.ts';
import { parseWith } from '#proto/validate.ts';
import { AuditLog } from './audit-log.ts';
import type { Clock } from './clock.ts';
import { sendEnrolment } from './egress.ts';
import { EgressLog } from './egress-log.ts';
import type { IdentityFile } from './identity.ts';
import { privateFolders, readIfThere, sitePaths, writePrivateFile } from './state.ts';

const KEY_BITS = 3072;
const MAXIMUM_INVITE_BYTES = 1 << 20;

export interface Enrolled {
  readonly site: string;
  readonly coordinator: string;
  readonly serialNumber: string;
  readonly validUntilMs: number;
}

/**
 * Enrols a site: its folder then holds key, certificate and CA. The key is kept when the exchange fails: an invite
 * whose token did not reach the coordinator can be tried again (one whose answer was lost is used, and needs another).
 * @throws FedError CONFIG_INVALID on a file that is no invite or a folder that is enrolled already; TOKEN_INVALID (wrong,
 * used, expired); UNREACHABLE
 */
export async function enroll(options: { inviteFile: string; dir: string; clock: Clock }): Promise<Enrolled> {
  const { dir, clock } = options;
  const paths = sitePaths(dir);
  const invite = await readInvite(options.inviteFile);
  if (invite.expiresMs <= clock.nowMs()) {
    throw new FedError(
      'TOKEN_INVALID',
      `expected an invite that is still valid; this one expired at ${new Date(invite.expiresMs).toISOString()}`,
      'ask the operator of the coordinator for a new invite',
    );
  }
  if ((await readIfThere(paths.certificate)) !== undefined) {
    throw new FedError(
      'CONFIG_INVALID',
      'expected a folder without an identity; this site is enrolled already',
      'use another folder, or move identity/certificate.pem away to enrol again (data.key must stay: it keeps the splits)',
    );
  }
  await privateFolders(dir, paths.data, paths.runs);
  const keyPem = (await readIfThere(paths.key)) ?? (await newKey(paths.key));
  const log = await EgressLog.open(dir, () => clock.nowMs());
  try {
    const response = await sendEnrolment({
      address: invite.enrolment,
      caPem: invite.caPem,
      token: invite.token,
      csrPem: certificateRequest(keyPem, invite.site),
      log,
    });
    const certificate = checkedCertificate(response.certificatePem, invite, keyPem);
    const identity: IdentityFile = { site: invite.site, coordinator: invite.coordinator };
    // The invite's CA, not the answer's: what was handed over in person is what is trusted from now on.
    await writePrivateFile(paths.ca, invite.caPem);
    await writePrivateFile(paths.identity, `${JSON.stringify(identity)}\n`);
    await writePrivateFile(paths.certificate, response.certificatePem);
    const audit = await AuditLog.open(dir);
    await audit.record('enrolled', { site: invite.site, serialNumber: certificate.serialNumber }, clock.nowMs());
    await audit.close();
    const validUntilMs = Date.parse(certificate.validTo);
    return { ...identity, serialNumber: certificate.serialNumber, validUntilMs };
  } finally {
    await log.close();
  }
}

async function readInvite(path: string): Promise<Invite> {
  const problem = (came: string): FedError =>
    new FedError('CONFIG_INVALID', `expected an invite file at ${path}; ${came}`, 'ask the operator for the file');
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw problem('there is none');
  if (found.size > MAXIMUM_INVITE_BYTES) throw problem(`it has ${found.size} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch {
    throw problem('it is not JSON');
  }
  return parseWith(InviteSchema, value, 'invite');
}

/** RSA, since node-forge, which reads the request at the coordinator, knows no other keys. */
async function newKey(path: string): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: KEY_BITS });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  await writePrivateFile(path, pem);
  return pem;
}

/** PKCS#10 (RFC 2986), signed by node:crypto: forge's own RSA takes a tenth of a second of the event loop. */
export function certificateRequest(keyPem: string, commonName: string): string {
  const key = createPrivateKey(keyPem);
  const csr = forge.pki.createCertificationRequest();
  const publicPem = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
  csr.publicKey = forge.pki.publicKeyFromPem(publicPem);
  csr.setSubject([{ name: 'commonName', value: commonName }]);
  // forge hands the encoded request to the digest and the digest to the key: these two pass the bytes on to node:crypto.
  let encoded = '';
  const digest = Object.assign(forge.md.sha256.create(), {
    update: (bytes: string) => {
      encoded = bytes;
    },
  });
  const signer = { sign: () => sign('sha256', Buffer.from(encoded, 'binary'), key).toString('binary') };
  csr.sign(signer as unknown as forge.pki.rsa.PrivateKey, digest);
  return forge.pki.certificationRequestToPem(csr);
}

function checkedCertificate(pem: string, invite: Invite, keyPem: string): X509Certificate {
  const certificate = new X509Certificate(pem);
  const fits =
    certificate.checkPrivateKey(createPrivateKey(keyPem)) &&
    certificate.verify(new X509Certificate(invite.caPem).publicKey);
  if (!fits) {
    throw new FedError(
      'UNAUTHENTICATED',
      "expected a certificate for this site's key by the CA of the invite; another came",
      'tell the operator of the coordinator',
    );
  }
  return certificate;
}
