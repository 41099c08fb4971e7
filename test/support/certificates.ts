/** Certificates for tests, valid for an hour: what the product's own authority makes is tested with the authority. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import forge from 'node-forge';

export interface TestIdentity {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface TestAuthority {
  readonly caPem: string;
  issue(commonName: string): TestIdentity;
}

function keyPair() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const keyPem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
  const forgeKey = forge.pki.privateKeyFromPem(keyPem);
  return { keyPem, privateKey: forgeKey, publicKey: forge.pki.setRsaPublicKey(forgeKey.n, forgeKey.e) };
}

/** A fresh certificate authority; leaf certificates are valid for 127.0.0.1 and localhost. */
export function testAuthority(name = 'test authority'): TestAuthority {
  const ca = keyPair();
  const subject = [{ name: 'commonName', value: name }];
  const make = (commonName: string, publicKey: forge.pki.rsa.PublicKey, isAuthority: boolean): string => {
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = publicKey;
    certificate.serialNumber = `01${randomBytes(8).toString('hex')}`;
    certificate.validity.notBefore = new Date(Date.now() - 60_000);
    certificate.validity.notAfter = new Date(Date.now() + 3_600_000);
    certificate.setSubject([{ name: 'commonName', value: commonName }]);
    certificate.setIssuer(subject);
    certificate.setExtensions(
      isAuthority
        ? [{ name: 'basicConstraints', cA: true, critical: true }]
        : [
            {
              name: 'subjectAltName',
              altNames: [
                { type: 7, ip: '127.0.0.1' },
                { type: 2, value: 'localhost' },
              ],
            },
          ],
    );
    certificate.sign(ca.privateKey, forge.md.sha256.create());
    return forge.pki.certificateToPem(certificate);
  };
  return {
    caPem: make(name, ca.publicKey, true),
    issue(commonName) {
      const leaf = keyPair();
      return { certPem: make(commonName, leaf.publicKey, false), keyPem: leaf.keyPem };
    },
  };
}
