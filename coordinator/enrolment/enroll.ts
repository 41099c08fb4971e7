/** Enroll: a one-time token and a signing request become a certificate. */
import type { Logger } from 'pino';
import type { Clock } from '#coordinator/clock.ts';
import { canonicalSerial } from '#coordinator/handlers/authorise.ts';
import type { Notice } from '#coordinator/notices.ts';
import type { Redemption, Store } from '#coordinator/store/store.ts';
import { FedError } from '#proto/errors.ts';
import type { EnrollRequest, EnrollResponse } from '#proto/gen/fed/v1/federation.ts';
import type { Authority } from './authority.ts';
import { fingerprintOf } from './certificates.ts';
import { publicKeyOf } from './signing-request.ts';
import { tokenSha256 } from './tokens.ts';

export interface EnrolmentContext {
  readonly store: Store;
  readonly authority: Authority;
  readonly clock: Clock;
  readonly log: Logger;
  readonly notify: (notice: Notice) => void;
}

const MAX_TOKEN_CHARS = 500;

/** @throws FedError TOKEN_INVALID (wrong, used or expired); MESSAGE_INVALID on a request that is none */
export async function enroll(
  { token, csrPem }: EnrollRequest,
  { store, authority, clock, log, notify }: EnrolmentContext,
): Promise<EnrollResponse> {
  const hash = tokenSha256(token.slice(0, MAX_TOKEN_CHARS));
  const invite = await store.invite(hash);
  const nowMs = clock.nowMs();
  // The token first: whoever has none makes the coordinator parse and sign nothing.
  if (invite === undefined) throw tokenInvalid('unknown');
  if (invite.usedAtMs !== null) throw tokenInvalid('used');
  if (invite.expiresAtMs <= nowMs) throw tokenInvalid('expired');
  const { site } = invite;
  const certificatePem = authority.issueSite(site, publicKeyOf(csrPem), nowMs);
  const { serial: printed, fingerprint } = fingerprintOf(certificatePem);
  const serial = canonicalSerial(printed);
  // Only now is the token used up, together with the record of the certificate: a crash before costs no invite.
  const redemption = await store.redeemInvite(
    hash,
    { site, serial, fingerprint, enrolledAtMs: nowMs },
    { atMs: nowMs, actor: `site:${site}`, action: 'site.enrolled', detail: { site, serial, fingerprint } },
  );
  if (redemption !== 'enrolled') throw tokenInvalid(redemption);
  log.info({ site, serial }, 'site enrolled');
  notify({ event: 'site-enrolled', site });
  return { site, certificatePem, caPem: authority.caPem };
}

const reasons: Record<Exclude<Redemption, 'enrolled'>, string> = {
  unknown: 'it was not issued here',
  used: 'it was used already',
  expired: 'it has expired',
};

const tokenInvalid = (why: Exclude<Redemption, 'enrolled'>): FedError =>
  new FedError(
    'TOKEN_INVALID',
    `expected a valid one-time token; ${reasons[why]}`,
    'ask the operator of the coordinator for a new invite',
  );
