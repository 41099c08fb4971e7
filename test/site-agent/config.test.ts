import { describe, expect, it } from 'vitest';
import { parseSiteConfig } from '#site-agent/config.ts';

const failure = (text: string) => {
  try {
    parseSiteConfig(text);
  } catch (error) {
    return error;
  }
  return undefined;
};

describe('site.yaml', () => {
  it('is cautious where it says nothing: a person approves, two sites at least', () => {
    const { policy, worker } = parseSiteConfig('');
    expect(policy).toMatchObject({ approval: 'person', minimumCohort: 2, minimumCell: 5, blockedEgress: [] });
    expect(policy.stages).toEqual([
      'statistics',
      'encoder-pretraining',
      'report-pretraining',
      'adversarial',
      'generation',
      'audit',
    ]);
    expect(worker.maximumRestarts).toBe(3);
  });

  it('names the nearest known key of an unknown one', () => {
    expect(failure('policy:\n  minimumCohrt: 3\n')).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('minimumCohrt'),
      remedy: 'did you mean "minimumCohort"?',
    });
  });

  it.each([
    ['policy:\n  approval: sometimes\n'],
    ['policy:\n  stages: [release]\n'],
    ['policy:\n  blockedEgress: [everything]\n'],
    ['policy:\n  allowedRuns: [abc]\n'],
    ['worker:\n  backend: quantum\n'],
    ['coordinator: nowhere\n'],
    ['policy: [\n'],
  ])('refuses %j', text => {
    expect(failure(text)).toMatchObject({ code: 'CONFIG_INVALID' });
  });
});
