/** The federation's certificate authority: a key and a certificate in the coordinator's folder. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FedError } from '#proto/errors.ts';
import { issueCertificate, makeKeyPair, privateKeyOf } from './certificates.ts';

const CA_DAYS = 3_650;
const SERVER_DAYS = 825;
const SITE_DAYS = 365;

export interface Authority {
  readonly caPem: string;
  /** A certificate for a site that has proved to hold the key. */
  issueSite(site: string, publicPem: string, nowMs: number): string;
}

export interface ServerFiles {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

const folderOf = (dir: string): string => join(dir, 'identity');

/** Makes a CA, and the server's key and certificate. Private keys are readable by their owner only. */
export async function createAuthority(dir: string, name: string, nowMs: number): Promise<void> {
  const folder = folderOf(dir);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [ca, server] = await Promise.all([makeKeyPair(), makeKeyPair()]);
  const key = privateKeyOf(ca.privatePem);
  const serial = () => randomBytes(16);
  const caRequest = { commonName: `${name} federation CA`, publicPem: ca.publicPem, use: { use: 'ca' } as const };
  const caPem = issueCertificate(
    { ...caRequest, serialBytes: serial(), nowMs, days: CA_DAYS },
    { certificatePem: '', key },
  );
  const hosts = [...new Set(['localhost', '127.0.0.1', name])];
  const certPem = issueCertificate(
    {
      commonName: name,
      publicPem: server.publicPem,
      use: { use: 'server', hosts },
      serialBytes: serial(),
      nowMs,
      days: SERVER_DAYS,
    },
    { certificatePem: caPem, key },
  );
  const write = (file: string, text: string, mode: number) => writeFile(join(folder, file), text, { mode, flag: 'wx' });
  await write('ca-key.pem', ca.privatePem, 0o600);
  await write('ca.pem', caPem, 0o644);
  await write('server-key.pem', server.privatePem, 0o600);
  await write('server.pem', certPem, 0o644);
}

/** @throws FedError NOT_FOUND when the folder has not been initialised */
export async function loadAuthority(dir: string): Promise<Authority> {
  const caPem = await readIdentity(dir, 'ca.pem');
  const key = privateKeyOf(await readIdentity(dir, 'ca-key.pem'));
  return {
    caPem,
    issueSite: (site, publicPem, nowMs) =>
      issueCertificate(
        { commonName: site, publicPem, use: { use: 'site' }, serialBytes: randomBytes(16), nowMs, days: SITE_DAYS },
        { certificatePem: caPem, key },
      ),
  };
}

/** @throws FedError NOT_FOUND when the folder has not been initialised */
export async function loadServerFiles(dir: string): Promise<ServerFiles> {
  return {
    caPem: await readIdentity(dir, 'ca.pem'),
    certPem: await readIdentity(dir, 'server.pem'),
    keyPem: await readIdentity(dir, 'server-key.pem'),
  };
}

export async function readIdentity(dir: string, file: string): Promise<string> {
  try {
    return await readFile(join(folderOf(dir), file), 'utf8');
  } catch (cause) {
    throw new FedError(
      'NOT_FOUND',
      `expected the coordinator's ${file} in ${folderOf(dir)}; it cannot be read`,
      'run "emixer coordinator init" first',
      { cause },
    );
  }
}
