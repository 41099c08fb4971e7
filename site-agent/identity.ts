/** Who this site is: the certificate, the key it belongs to, and where the coordinator is. */
import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { type Static, Type } from 'typebox';
import { FedError } from '#proto/errors.ts';
import { identityOf } from '#proto/tls.ts';
import { parseWith } from '#proto/validate.ts';
import { sitePaths } from './state.ts';

export const IdentityFileSchema = Type.Object(
  { site: Type.String(), coordinator: Type.String() },
  { additionalProperties: false },
);
export type IdentityFile = Static<typeof IdentityFileSchema>;

export interface SiteIdentity extends IdentityFile {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
  readonly serialNumber: string;
  /** Milliseconds since the epoch. */
  readonly validUntilMs: number;
}

/**
 * Reads the site's identity; its name is the certificate's.
 * @throws FedError CONFIG_INVALID where the site is not enrolled, the key can be read by others, or does not fit
 */
export async function readIdentity(dir: string): Promise<SiteIdentity> {
  const paths = sitePaths(dir);
  const [identityText, caPem, certPem, keyPem] = await Promise.all(
    [paths.identity, paths.ca, paths.certificate, paths.key].map(path => readFile(path, 'utf8').catch(notEnrolled)),
  );
  if (identityText === undefined || caPem === undefined || certPem === undefined || keyPem === undefined) {
    return notEnrolled();
  }
  const { mode } = await stat(paths.key);
  if ((mode & 0o077) !== 0) {
    throw new FedError(
      'CONFIG_INVALID',
      `expected the site's key to be readable by its owner only; its mode is ${(mode & 0o777).toString(8)}`,
      'chmod 600 identity/key.pem, and consider enrolling again: others could read it',
    );
  }
  const { coordinator } = parseWith(IdentityFileSchema, JSON.parse(identityText), 'identity.json');
  const certificate = new X509Certificate(certPem);
  const { commonName: site, serialNumber } = identityOf(certificate);
  const validUntilMs = Date.parse(certificate.validTo);
  return { site, coordinator, caPem, certPem, keyPem, serialNumber, validUntilMs };
}

function notEnrolled(): never {
  throw new FedError(
    'CONFIG_INVALID',
    "expected an enrolled site; this folder holds no site's identity",
    'run emixer site enroll --invite FILE --dir D',
  );
}
