/** A whole run over the real protocol: three scripted sites, a real coordinator, mutual TLS. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { verifyAuditLog } from '#coordinator/commands.ts';
import { openModelFile } from '#model/checkpoint/model-file.ts';
import { resolveModelConfig } from '#model/config.ts';
import {
  createTestRun,
  enrolTestSites,
  initTestCoordinator,
  runEnded,
  startTestCoordinator,
} from '../support/coordinator-fixture.ts';
import { FakeSite } from '../support/fake-site.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

describe('a federated run', () => {
  it('goes through every stage, withholds what nobody could prove safe, and can be read afterwards', {
    timeout: 120_000,
  }, async () => {
    const dir = await temporaryFolder();
    await initTestCoordinator(dir);
    const coordinator = await startTestCoordinator(dir);
    const identities = await enrolTestSites(dir, ['a', 'b', 'c']);
    const sites = identities.map((identity, i) =>
      new FakeSite({ identity, address: coordinator.grpcAddress, records: 10 + i }).start(),
    );
    const { runId } = await createTestRun(dir, ['a', 'b', 'c']);
    const run = await runEnded(dir, runId);

    expect(run.reason).toBeNull();
    expect(run.status).toBe('finished');
    expect(run.verdict).toBe('insufficient-evidence');
    expect(run.rounds.map(({ stage, round, kind }) => `${stage} ${round} ${kind}`)).toEqual([
      'statistics 1 statistics',
      'encoder-pretraining 1 train',
      'report-pretraining 1 train',
      'adversarial 1 train',
      'adversarial 1 evaluate',
      'adversarial 2 train',
      'adversarial 2 evaluate',
      'generation 1 generate',
      'audit 1 audit',
    ]);
    expect(run.rounds[3]?.sites.map(({ name, records }) => [name, records])).toEqual([
      ['a', 10],
      ['b', 11],
      ['c', 12],
    ]);
    expect(run.rounds[4]?.evaluation?.perplexity).toBeCloseTo(Math.exp(2), 10);
    expect(run.vocabularyTokens).toBe(2);
    expect(sites.flatMap(site => site.errors)).toEqual([]);

    const model = await openModelFile(join(run.out as string, 'withheld', 'model.safetensors'));
    expect(model.tensors.map(({ name }) => name)).toEqual(['F/decoder/b', 'F/encoder/w', 'G/w']);
    expect(model.vocabulary.tokens).toEqual(['heart', 'lungs']);
    expect(model.config).toEqual(resolveModelConfig('phantom32'));
    expect(Object.keys(model.labelTotals).length).toBeGreaterThan(0);
    await model.file.close();
    const audit = JSON.parse(await readFile(join(run.out as string, 'withheld', 'audit.json'), 'utf8'));
    expect(audit.verdict).toBe('insufficient-evidence');
    // All three audited the very set that was written.
    expect(audit.sites.map((site: { audit: object | null }) => site.audit !== null)).toEqual([true, true, true]);
    await expect(readFile(join(run.out as string, 'release', 'audit.json'))).rejects.toThrow('ENOENT');
    expect(await readFile(join(run.out as string, 'withheld', 'audit.html'), 'utf8')).toContain('<html');

    // Contributions are gone, and what the output holds is not kept twice.
    const left = async () => (await readdir(run.out as string)).sort();
    await expect.poll(left, { timeout: 10_000 }).toEqual(['chunks', 'documents', 'withheld']);
    await expect.poll(() => readdir(join(run.out as string, 'chunks')), { timeout: 10_000 }).toEqual([]);

    expect(await verifyAuditLog(dir)).toMatchObject({ valid: true });
    await Promise.all(sites.map(site => site.stop()));
    await coordinator.close();
  });
});
