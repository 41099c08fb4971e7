/**
 * X.509 certificates. node-forge builds and encodes them; node:crypto makes the keys and signs (forge's own RSA needs
 * 90-190 ms of pure JavaScript a signature, which would hold up the event loop), so the CA's key never enters forge.
 */
import { createPrivateKey, generateKeyPair, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import forge from 'node-forge';

const KEY_BITS = 3072;
const DAY_MS = 24 * 3_600_000;

export interface KeyPairPem {
  readonly publicPem: string;
  readonly privatePem: string;
}

/** RSA-3072 (NIST SP 800-57: 128 bits of security), made off the event loop. */
export async function makeKeyPair(): Promise<KeyPairPem> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: KEY_BITS });
  return {
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

export type CertificateUse =
  | { readonly use: 'ca' }
  | { readonly use: 'server'; readonly hosts: readonly string[] }
  | { readonly use: 'site' };

export interface CertificateRequest {
  readonly commonName: string;
  readonly publicPem: string;
  readonly use: CertificateUse;
  /** 16 random bytes. */
  readonly serialBytes: Uint8Array;
  readonly nowMs: number;
  readonly days: number;
}

/** The certificate's issuer; undefined for one that signs itself. */
export interface Issuer {
  readonly certificatePem: string;
  readonly key: KeyObject;
}

/** @returns the certificate, PEM */
export function issueCertificate(request: CertificateRequest, issuer: Issuer): string {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(request.publicPem);
  certificate.serialNumber = serialOf(request.serialBytes);
  // Clocks of hospitals differ by minutes: valid since a little earlier.
  certificate.validity.notBefore = new Date(request.nowMs - DAY_MS);
  certificate.validity.notAfter = new Date(request.nowMs + request.days * DAY_MS);
  certificate.setSubject([{ name: 'commonName', value: request.commonName }]);
  const selfSigned = request.use.use === 'ca';
  certificate.setIssuer(
    selfSigned
      ? certificate.subject.attributes
      : forge.pki.certificateFromPem(issuer.certificatePem).subject.attributes,
  );
  certificate.setExtensions([...extensionsFor(request.use), { name: 'subjectKeyIdentifier' }]);
  return signed(certificate, issuer.key);
}

/** Positive, never beginning with a zero, so that every library prints it alike. */
function serialOf(bytes: Uint8Array): string {
  const serial = Buffer.from(bytes);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial.toString('hex');
}

function extensionsFor(use: CertificateUse): object[] {
  if (use.use === 'ca') {
    return [
      { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ];
  }
  const end = [
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, critical: true },
  ];
  if (use.use === 'site') return [...end, { name: 'extKeyUsage', clientAuth: true }];
  const altNames = use.hosts.map(host => (isIP(host) ? { type: 7, ip: host } : { type: 2, value: host }));
  return [...end, { name: 'extKeyUsage', serverAuth: true }, { name: 'subjectAltName', altNames }];
}

/** RSASSA-PKCS1-v1_5 with SHA-256 over the certificate's to-be-signed part, computed by OpenSSL. */
function signed(certificate: forge.pki.Certificate, key: KeyObject): string {
  const withParts = certificate as forge.pki.Certificate & { tbsCertificate: forge.asn1.Asn1 };
  const signer = {
    sign: (): string => {
      const toBeSigned = Buffer.from(forge.asn1.toDer(withParts.tbsCertificate).getBytes(), 'binary');
      return sign('sha256', toBeSigned, key).toString('binary');
    },
  };
  certificate.sign(signer as unknown as forge.pki.rsa.PrivateKey, forge.md.sha256.create());
  return forge.pki.certificateToPem(certificate).replaceAll('\r\n', '\n');
}

export const privateKeyOf = (pem: string): KeyObject => createPrivateKey(pem);

export const fingerprintOf = (certificatePem: string): { serial: string; fingerprint: string } => {
  const certificate = new X509Certificate(certificatePem);
  return { serial: certificate.serialNumber.toLowerCase(), fingerprint: certificate.fingerprint256 };
};
