/** Who calls, decided at every call by the certificate alone: enrolled here, for this site, and not revoked. */
import type { Store } from '#coordinator/store/store.ts';
import { FedError } from '#proto/errors.ts';
import type { PeerIdentity } from '#proto/tls.ts';
import type { Caller } from './context.ts';

/** One spelling of a serial number, whichever library printed it. */
export const canonicalSerial = (serial: string): string => serial.toLowerCase().replace(/^0+(?=.)/, '');

/** @throws FedError UNAUTHENTICATED on a certificate that was not issued here; CERTIFICATE_REVOKED */
export async function authorise(peer: PeerIdentity, store: Store, signal: AbortSignal): Promise<Caller> {
  const serial = canonicalSerial(peer.serialNumber);
  const known = await store.certificate(serial);
  if (known === undefined || known.site !== peer.commonName || known.fingerprint !== peer.fingerprint256) {
    throw new FedError(
      'UNAUTHENTICATED',
      `expected a certificate enrolled at this coordinator; ${serial} is not`,
      'enrol the site with a new invite',
    );
  }
  if (known.revokedAtMs !== null) {
    throw new FedError(
      'CERTIFICATE_REVOKED',
      `the certificate ${serial} of site ${known.site} was revoked`,
      'ask the operator of the coordinator for a new invite',
    );
  }
  return { site: known.site, serial, publicKeyPem: peer.publicKeyPem, signal };
}
