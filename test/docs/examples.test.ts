/** The files of examples/ are what the program takes, and ask for what their comments say. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { modelConfigOf, parseRunConfig } from '#model/federated.ts';
import { resolveThresholds } from '#privacy/audit/thresholds.ts';
import { parseSiteConfig } from '#site-agent/config.ts';

const examples = resolve(import.meta.dirname, '../../examples');
const read = (name: string): string => readFileSync(join(examples, name), 'utf8');

describe('examples/run.yaml', () => {
  const run = parseRunConfig(parse(read('run.yaml')), 'examples/run.yaml');

  it('is a run for three hospitals that goes on with two', () => {
    expect(run.sites).toHaveLength(3);
    expect(run.quorum).toBe(2);
  });

  it('changes the preset where it says so, and nowhere else', () => {
    const model = modelConfigOf(run);
    expect(model.batchSize).toBe(32);
    const { batchSize: _, ...preset } = modelConfigOf({ ...run, model: {} });
    expect(model).toMatchObject(preset);
  });

  it('states thresholds that the audit knows', () => {
    expect(resolveThresholds(run.audit).minControls).toBe(100);
  });
});

describe('examples/site.yaml', () => {
  it('is a policy under which a person approves, and the pairs are generated elsewhere', () => {
    const { policy, worker } = parseSiteConfig(read('site.yaml'));
    expect(policy.approval).toBe('person');
    expect(policy.stages).not.toContain('generation');
    expect(policy.minimumCohort).toBe(3);
    expect(worker.threads).toBe(6);
  });
});
