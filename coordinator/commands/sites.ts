/** `emixer coordinator invite` and `revoke`. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, systemClock } from '#coordinator/clock.ts';
import { loadConfig } from '#coordinator/config.ts';
import { readIdentity } from '#coordinator/enrolment/authority.ts';
import { newToken, tokenSha256 } from '#coordinator/enrolment/tokens.ts';
import { canonicalSerial } from '#coordinator/handlers/authorise.ts';
import { FedError } from '#proto/errors.ts';
import { type Invite, InviteSchema } from '#proto/invite.ts';
import { parseWith } from '#proto/validate.ts';
import { withStore } from './with-store.ts';

/** Written by a running coordinator: the addresses it really has. */
export interface Addresses {
  readonly coordinator: string;
  readonly enrolment: string;
}

const addressesPath = (dir: string): string => join(dir, 'addresses.json');

export const writeAddresses = (dir: string, addresses: Addresses): Promise<void> =>
  writeFile(addressesPath(dir), `${JSON.stringify(addresses)}\n`);

export interface InviteOptions {
  readonly dir: string;
  readonly site: string;
  /** Where to write the invite; it must not exist. Readable by its owner only: whoever has it can enrol. */
  readonly out: string;
  readonly validMs?: number;
  readonly clock?: Clock;
}

const DAY_MS = 24 * 3_600_000;

/**
 * Makes a one-time invite. The token is in the file alone; the database keeps its hash.
 * @throws FedError CONFIG_INVALID on an impossible name, an unknown port, or when `out` exists
 */
export async function invite(options: InviteOptions): Promise<Omit<Invite, 'token' | 'caPem'> & { out: string }> {
  const { dir, site, out, validMs = DAY_MS, clock = systemClock } = options;
  const nowMs = clock.nowMs();
  const token = newToken();
  const { coordinator, enrolment } = await addressesOf(dir);
  const made = parseWith(
    InviteSchema,
    { site, token, enrolment, coordinator, caPem: await readIdentity(dir, 'ca.pem'), expiresMs: nowMs + validMs },
    'invite',
  );
  try {
    await writeFile(out, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    throw new FedError('CONFIG_INVALID', `expected to write the invite to ${out}; the file exists`, 'choose another', {
      cause,
    });
  }
  await withStore(dir, store =>
    store.addInvite(
      { tokenSha256: tokenSha256(token), site, expiresAtMs: made.expiresMs },
      { atMs: nowMs, actor: 'operator', action: 'site.invited', detail: { site, expiresAtMs: made.expiresMs } },
    ),
  );
  return { site, enrolment, coordinator, expiresMs: made.expiresMs, out };
}

/** The addresses of the running coordinator, else those of its configuration. */
async function addressesOf(dir: string): Promise<Addresses> {
  const config = await loadConfig(dir);
  let addresses: Addresses = { coordinator: config.listen, enrolment: config.enrolListen };
  try {
    addresses = JSON.parse(await readFile(addressesPath(dir), 'utf8')) as Addresses;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
  }
  const coordinator = reachable(addresses.coordinator, config.name);
  const enrolment = reachable(addresses.enrolment, config.name);
  if (coordinator.endsWith(':0') || enrolment.endsWith(':0')) {
    throw new FedError('CONFIG_INVALID', 'the ports are chosen only when the coordinator starts', 'start it first');
  }
  return { coordinator, enrolment };
}

/** A listener on every interface is reached by the coordinator's name. */
const reachable = (address: string, name: string): string => address.replace(/^(0\.0\.0\.0|\[::\])(?=:\d+$)/, name);

export interface RevokeOptions {
  readonly dir: string;
  /** A site's name, for all its certificates, or one serial number. */
  readonly siteOrSerial: string;
  readonly clock?: Clock;
}

/**
 * Revokes certificates. A running coordinator refuses the next call and ends open sessions within a second.
 * @throws FedError NOT_FOUND when there is nothing to revoke
 */
export async function revoke({
  dir,
  siteOrSerial,
  clock = systemClock,
}: RevokeOptions): Promise<{ serials: string[] }> {
  const atMs = clock.nowMs();
  const serials = await withStore(dir, async store => {
    const known = await store.certificates();
    const name = known.some(({ site }) => site === siteOrSerial) ? siteOrSerial : canonicalSerial(siteOrSerial);
    return store.revoke(name, atMs, {
      atMs,
      actor: 'operator',
      action: 'certificate.revoked',
      detail: { siteOrSerial: name },
    });
  });
  if (serials.length === 0) {
    throw new FedError(
      'NOT_FOUND',
      `expected a valid certificate of "${siteOrSerial}"; there is none`,
      'check the name',
    );
  }
  return { serials };
}
