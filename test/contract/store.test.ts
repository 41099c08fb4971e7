import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import LibsqlDatabase from 'libsql';
import { expect, it } from 'vitest';
import { openSqliteStore } from '#coordinator/store/sqlite-store.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { describeStore } from './store-suite.ts';

describeStore('embedded SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'emixer-store-'));
  const path = join(folder, 'coordinator.db');
  return {
    open: () => openSqliteStore(path),
    async tamper(seq, action) {
      const database = new LibsqlDatabase(path);
      database.prepare('update audit_log set action = ? where seq = ?').run([action, seq]);
      database.close();
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
});

it('syncs every commit to the disk', async () => {
  const path = join(await temporaryFolder(), 'coordinator.db');
  const store = await openSqliteStore(path);
  await store.close();
  const database = new LibsqlDatabase(path);
  expect(database.pragma('journal_mode')).toEqual([{ journal_mode: 'wal' }]);
  database.close();
});

it('says which file is no database', async () => {
  const path = join(await temporaryFolder(), 'coordinator.db');
  await writeFile(path, 'x'.repeat(8192));
  await expect(openSqliteStore(path)).rejects.toMatchObject({ code: 'FILE_CORRUPT' });
});
