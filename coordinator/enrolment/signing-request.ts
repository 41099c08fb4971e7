/** A site's PKCS#10 request: only its key is taken from it; the name in the certificate is the invite's. */
import { createPublicKey } from 'node:crypto';
import forge from 'node-forge';
import { FedError } from '#proto/errors.ts';

const MAX_PEM_CHARS = 16 * 1024;
const MIN_KEY_BITS = 2048;
const MAX_KEY_BITS = 4096;

/**
 * @returns the public key, PEM, whose owner has signed the request
 * @throws FedError MESSAGE_INVALID
 */
export function publicKeyOf(csrPem: string): string {
  if (csrPem.length > MAX_PEM_CHARS) throw refused(`at most ${MAX_PEM_CHARS} characters`);
  let publicPem: string;
  try {
    const request = forge.pki.certificationRequestFromPem(csrPem);
    if (!request.verify()) throw new Error('its signature is not by its key');
    publicPem = forge.pki.publicKeyToPem(request.publicKey as forge.pki.rsa.PublicKey);
  } catch (cause) {
    throw refused(cause instanceof Error ? cause.message : String(cause));
  }
  const bits = createPublicKey(publicPem).asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < MIN_KEY_BITS || bits > MAX_KEY_BITS) throw refused(`an RSA key of ${bits} bits`);
  return publicPem;
}

const refused = (reason: string): FedError =>
  new FedError(
    'MESSAGE_INVALID',
    `expected a PKCS#10 request with an RSA key of ${MIN_KEY_BITS} to ${MAX_KEY_BITS} bits, signed by it; ${reason.slice(0, 200)}`,
    'let "emixer site enroll" make the request',
  );
