/** What every store must do, whatever database is under it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunEvent } from '#coordinator/rounds/events.ts';
import { verifyAuditChain } from '#coordinator/store/audit-chain.ts';
import type { AuditEntry, Store } from '#coordinator/store/store.ts';
import { parseRunConfig } from '#model/federated.ts';

/** A database that can be opened more than once, as the coordinator and the command line do. */
export interface StoreUnderTest {
  open(): Promise<Store>;
  /** Changes a row of the audit log behind the store's back. */
  tamper(seq: number, action: string): Promise<void>;
  remove(): Promise<void>;
}

const audit = (action: string, atMs = 1): AuditEntry => ({ atMs, actor: 'operator', action, detail: { site: 'a' } });
const created = (runId: string, atMs = 10): RunEvent => ({
  type: 'RunCreated',
  runId,
  config: parseRunConfig({ sites: ['a'] }),
  atMs,
});
const resumed = (atMs: number): RunEvent => ({ type: 'RunResumed', atMs });
const stopped = (atMs: number): RunEvent => ({ type: 'RunStopped', reason: 'enough', atMs });
const certificate = (serial: string, site = 'a') => ({ site, serial, fingerprint: `f-${serial}`, enrolledAtMs: 50 });

export function describeStore(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`store: ${name}`, () => {
    let under: StoreUnderTest;
    let store: Store;
    beforeEach(async () => {
      under = await make();
      store = await under.open();
    });
    afterEach(async () => {
      await store.close();
      await under.remove();
    });

    describe('events', () => {
      it('keeps them in order, and after another opening', async () => {
        expect(await store.appendEvent('r', 1, created('r'))).toBe(true);
        expect(await store.appendEvent('r', 2, resumed(11))).toBe(true);
        await store.close();
        store = await under.open();
        expect((await store.events('r')).map(({ seq, event }) => [seq, event.type])).toEqual([
          [1, 'RunCreated'],
          [2, 'RunResumed'],
        ]);
        expect((await store.events('r', 1)).map(({ event }) => event)).toEqual([resumed(11)]);
      });

      it('refuses a place that is taken or not the next, and then writes no audit entry either', async () => {
        await store.appendEvent('r', 1, created('r'));
        expect(await store.appendEvent('r', 1, created('r'), audit('again'))).toBe(false);
        expect(await store.appendEvent('r', 3, resumed(11), audit('gap'))).toBe(false);
        expect(await store.appendEvent('other', 2, resumed(11), audit('no run'))).toBe(false);
        expect(await store.events('r')).toHaveLength(1);
        expect(await store.auditLog(0, 10)).toEqual([]);
      });

      it('takes nothing more into a run that has ended', async () => {
        await store.appendEvent('r', 1, created('r'));
        await store.appendEvent('r', 2, stopped(20));
        expect(await store.appendEvent('r', 3, resumed(30))).toBe(false);
        expect(await store.runs()).toEqual([{ runId: 'r', createdAtMs: 10, endedAtMs: 20 }]);
      });

      it('lets one of several writers win each place', async () => {
        await store.appendEvent('r', 1, created('r'));
        const second = await under.open();
        const won = await Promise.all(
          [store, second, store, second].map((writer, i) => writer.appendEvent('r', 2, resumed(i))),
        );
        await second.close();
        expect(won.filter(Boolean)).toHaveLength(1);
        expect(await store.events('r')).toHaveLength(2);
      });

      it('lists runs by their creation', async () => {
        await store.appendEvent('late', 1, created('late', 20));
        await store.appendEvent('early', 1, created('early', 10));
        expect((await store.runs()).map(({ runId }) => runId)).toEqual(['early', 'late']);
      });
    });

    describe('invites', () => {
      it('can be redeemed once, together with the certificate', async () => {
        await store.addInvite({ tokenSha256: 't', site: 'a', expiresAtMs: 100 }, audit('invited'));
        expect(await store.invite('t')).toEqual({ tokenSha256: 't', site: 'a', expiresAtMs: 100, usedAtMs: null });
        expect(await store.redeemInvite('t', certificate('01'), audit('enrolled'))).toBe('enrolled');
        expect(await store.redeemInvite('t', certificate('02'), audit('enrolled'))).toBe('used');
        expect(await store.certificate('02')).toBeUndefined();
        expect(await store.certificate('01')).toEqual({ ...certificate('01'), revokedAtMs: null });
      });

      it('are redeemed by one of two at once', async () => {
        await store.addInvite({ tokenSha256: 't', site: 'a', expiresAtMs: 100 }, audit('invited'));
        const second = await under.open();
        const redemptions = await Promise.all([
          store.redeemInvite('t', certificate('01'), audit('enrolled')),
          second.redeemInvite('t', certificate('02'), audit('enrolled')),
        ]);
        await second.close();
        expect(redemptions.sort()).toEqual(['enrolled', 'used']);
        expect(await store.certificates()).toHaveLength(1);
      });

      it.each([
        ['of another site', 't', 'b', 50, 'unknown'],
        ['never issued', 'x', 'a', 50, 'unknown'],
        ['at the moment they expire', 't', 'a', 100, 'expired'],
      ] as const)('%s are refused', async (_what, token, site, enrolledAtMs, expected) => {
        await store.addInvite({ tokenSha256: 't', site: 'a', expiresAtMs: 100 }, audit('invited'));
        const request = { ...certificate('01', site), enrolledAtMs };
        expect(await store.redeemInvite(token, request, audit('enrolled'))).toBe(expected);
        expect(await store.certificates()).toEqual([]);
        expect(await store.auditLog(0, 10)).toHaveLength(1);
      });
    });

    it('revokes one serial, or all of a site, and says which', async () => {
      for (const [i, serial] of ['01', '02', '03'].entries()) {
        const site = i < 2 ? 'a' : 'b';
        await store.addInvite({ tokenSha256: serial, site, expiresAtMs: 100 }, audit('invited'));
        await store.redeemInvite(serial, certificate(serial, site), audit('enrolled'));
      }
      expect(await store.revoke('02', 60, audit('revoked'))).toEqual(['02']);
      expect(await store.revoke('a', 70, audit('revoked'))).toEqual(['01']);
      expect(await store.revoke('a', 80, audit('revoked'))).toEqual([]);
      expect((await store.certificates()).map(({ serial, revokedAtMs }) => [serial, revokedAtMs])).toEqual([
        ['01', 70],
        ['02', 60],
        ['03', null],
      ]);
    });

    describe('audit log', () => {
      it('is a chain that holds', async () => {
        for (let i = 0; i < 5; i++) await store.appendAudit(audit(`action ${i}`, i));
        const records = await store.auditLog(1, 2);
        expect(records.map(({ seq, action }) => [seq, action])).toEqual([
          [2, 'action 1'],
          [3, 'action 2'],
        ]);
        expect(await verifyAuditChain(store)).toMatchObject({ valid: true, entries: 5 });
      });

      it('shows where an entry was changed', async () => {
        for (let i = 0; i < 5; i++) await store.appendAudit(audit(`action ${i}`, i));
        await under.tamper(3, 'something else');
        expect(await verifyAuditChain(store)).toMatchObject({ valid: false, brokenAt: 3, entries: 2 });
      });

      it('stays one chain when two write at once', async () => {
        const second = await under.open();
        await Promise.all([store, second, store, second].map((writer, i) => writer.appendAudit(audit(`${i}`))));
        await second.close();
        expect(await verifyAuditChain(store)).toMatchObject({ valid: true, entries: 4 });
      });
    });

    it('has a version that changes when somebody else writes, and only then', async () => {
      const before = await store.version();
      await store.appendAudit(audit('mine'));
      expect(await store.version()).toBe(before);
      const second = await under.open();
      await second.appendAudit(audit('theirs'));
      await second.close();
      expect(await store.version()).not.toBe(before);
    });
  });
}
