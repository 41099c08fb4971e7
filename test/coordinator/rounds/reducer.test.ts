import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RunCreated, RunEvent, SiteResult } from '#coordinator/rounds/events.ts';
import { plan } from '#coordinator/rounds/plan.ts';
import { created, fold, reduce } from '#coordinator/rounds/reducer.ts';
import type { RunState } from '#coordinator/rounds/state.ts';
import { parseTaskId, stepId, taskId } from '#coordinator/rounds/steps.ts';
import { parseRunConfig } from '#model/federated.ts';

const SITES = ['north', 'south', 'west'];
const DEADLINE = 5_000;

const runCreated = (overrides: object = {}): RunCreated => ({
  type: 'RunCreated',
  runId: 'r',
  config: parseRunConfig({
    sites: SITES,
    roundDeadlineMs: DEADLINE,
    adversarial: { rounds: 2, steps: 3 },
    ...overrides,
  }),
  atMs: 0,
});

const resultFor = (state: RunState, site: string): SiteResult => {
  const submission = `${site}-${state.step ? stepId(state.step) : ''}`;
  switch (state.step?.kind) {
    case 'statistics':
      return { kind: 'statistics', submission, records: site.length * 10 };
    case 'train':
      return { kind: 'train', submission, records: { G: site.length }, metrics: { loss: 1 } };
    case 'evaluate':
      return {
        kind: 'evaluate',
        submission,
        evaluation: {
          nllSum: 1,
          tokens: 1,
          unigramNllSum: 1,
          fid: null,
          fidUntrained: null,
          extractorSha256: '',
          images: 1,
        },
      };
    case 'generate':
      return { kind: 'generate', submission };
    default:
      return { kind: 'audit', submission };
  }
};

const done = (state: RunState, site: string, atMs: number): RunEvent => ({
  type: 'SiteResult',
  step: state.step ? stepId(state.step) : '',
  site,
  result: resultFor(state, site),
  atMs,
});

const failed = (state: RunState, site: string, atMs: number): RunEvent => ({
  type: 'SiteFailed',
  step: state.step ? stepId(state.step) : '',
  site,
  code: 'NON_FINITE',
  reason: 'loss is NaN',
  atMs,
});

/** What the driver would record for what is due, given what the sites do; undefined when it waits for ever. */
function nextEvent(
  state: RunState,
  atMs: number,
  answer: (site: string) => RunEvent | undefined,
): RunEvent | undefined {
  const due = plan(state);
  const step = state.step ? stepId(state.step) : '';
  switch (due.type) {
    case 'collect':
      return due.sites.map(answer).find(event => event !== undefined) ?? { type: 'DeadlinePassed', step, atMs };
    case 'choose-generator':
      return { type: 'GeneratorChosen', step, site: due.candidates[0] as string, atMs };
    case 'fix-vocabulary':
      return {
        type: 'VocabularyFixed',
        step,
        vocabulary: 'v',
        tokens: 3,
        statistics: { records: 1, sites: due.results.length, labels: {} },
        atMs,
      };
    case 'aggregate':
      return {
        type: 'Aggregated',
        step,
        // As the real one: a function of the contributions in canonical order.
        weights: due.results.map(({ result }) => result.submission).join('+'),
        emaWeights: 'e',
        atMs,
      };
    case 'reach-verdict':
      return { type: 'VerdictReached', step, verdict: 'insufficient-evidence', atMs };
    case 'stop':
      return { type: 'RunStopped', reason: due.reason, atMs };
    case 'nothing':
      return undefined;
  }
}

/** Plays a run to its end. */
function play(first: RunCreated, answer: (state: RunState, site: string, atMs: number) => RunEvent | undefined) {
  const events: RunEvent[] = [first];
  let state = created(first);
  for (let atMs = 1; ; atMs++) {
    const event = nextEvent(state, atMs, site => answer(state, site, atMs));
    if (event === undefined) return { state, events };
    const next = reduce(state, event);
    expect(next, `${event.type} must move the run on`).not.toBe(state);
    state = next;
    events.push(event);
  }
}

describe('a run as a fold', () => {
  it('goes through the stages in order, once each', () => {
    const { state } = play(runCreated(), done);
    expect(state.status).toBe('finished');
    expect(state.closed.map(stepId)).toEqual([
      'statistics/1/statistics',
      'encoder-pretraining/1/train',
      'report-pretraining/1/train',
      'adversarial/1/train',
      'adversarial/1/evaluate',
      'adversarial/2/train',
      'adversarial/2/evaluate',
      'generation/1/generate',
      'audit/1/audit',
    ]);
    expect(state.generatorSteps).toBe(6);
    expect(state.generated?.site).toBe('north');
    expect(state.siteRecords).toEqual({ north: 50, south: 50, west: 40 });
  });

  it('skips stages of no rounds', () => {
    const { state } = play(
      runCreated({ encoderPretraining: { rounds: 0, steps: 1 }, reportPretraining: { rounds: 0, steps: 1 } }),
      done,
    );
    expect(state.closed[1] && stepId(state.closed[1])).toBe('adversarial/1/train');
  });

  it('records who is left out and why, and goes on with a quorum', () => {
    const { state } = play(runCreated({ quorum: 2 }), (now, site, atMs) =>
      site === 'south' && now.step?.stage === 'adversarial' ? failed(now, site, atMs) : done(now, site, atMs),
    );
    expect(state.status).toBe('finished');
    const round = state.closed.find(step => stepId(step) === 'adversarial/1/train');
    expect(round?.takenIn.map(({ site, records }) => [site, records])).toEqual([
      ['north', { G: 5 }],
      ['west', { G: 4 }],
    ]);
    expect(round?.leftOut).toEqual([{ site: 'south', code: 'NON_FINITE', reason: 'loss is NaN' }]);
    // It was in the weights of the pre-training: its audit is still owed.
    expect(state.contributors).toEqual(SITES);
  });

  it('stops as soon as the quorum cannot be met, and says why', () => {
    const { state, events } = play(runCreated({ quorum: 3 }), (now, site, atMs) =>
      site === 'north' && now.step?.stage === 'adversarial' ? failed(now, site, atMs) : done(now, site, atMs),
    );
    expect(state.status).toBe('stopped');
    expect(state.stopReason).toBe(
      'adversarial/1/train: 3 sites are needed and at most 2 can answer; north: NON_FINITE loss is NaN',
    );
    expect(events.at(-2)?.type).toBe('SiteFailed');
  });

  it('closes a round at its deadline with whoever has answered', () => {
    const { state } = play(runCreated({ quorum: 2 }), (now, site, atMs) =>
      site === 'west' && now.step?.stage === 'adversarial' ? undefined : done(now, site, atMs),
    );
    const round = state.closed.find(step => stepId(step) === 'adversarial/2/train');
    expect(round?.leftOut).toEqual([{ site: 'west', code: 'UNREACHABLE', reason: 'no answer before the deadline' }]);
  });

  it('leaves out a contribution that was found bad, and counts it no more', () => {
    let state = fold([runCreated({ quorum: 2 })]);
    for (let atMs = 1; state.step?.kind !== 'train'; atMs++) {
      const now = state;
      state = reduce(now, nextEvent(now, atMs, site => done(now, site, atMs)) as RunEvent);
    }
    for (const site of SITES) state = reduce(state, done(state, site, 50));
    const step = stepId(state.step as NonNullable<RunState['step']>);
    const rejected: RunEvent = {
      type: 'ContributionRejected',
      step,
      site: 'south',
      code: 'NON_FINITE',
      reason: 'tensor G/w is not finite',
      atMs: 51,
    };
    state = reduce(state, rejected);
    expect(plan(state)).toMatchObject({ type: 'aggregate', results: [{ site: 'north' }, { site: 'west' }] });
    expect(reduce(state, rejected)).toBe(state);
    state = reduce(state, { ...rejected, site: 'north', atMs: 52 });
    expect(plan(state).type).toBe('stop');
  });

  it('asks the next site to generate when one fails or does not answer, and stops after the last', () => {
    const tries: string[] = [];
    const { state } = play(runCreated(), (now, site, atMs) => {
      if (now.step?.kind !== 'generate') return done(now, site, atMs);
      tries.push(site);
      return site === 'north' ? failed(now, site, atMs) : site === 'south' ? undefined : done(now, site, atMs);
    });
    expect([...new Set(tries)]).toEqual(['north', 'south', 'west']);
    expect(state.generated?.site).toBe('west');
    expect(state.closed.filter(({ kind }) => kind === 'generate').map(stepId)).toEqual([
      'generation/1/generate',
      'generation/2/generate',
      'generation/3/generate',
    ]);
    const none = play(runCreated(), (now, site, atMs) =>
      now.step?.kind === 'generate' ? failed(now, site, atMs) : done(now, site, atMs),
    ).state;
    expect(none.status).toBe('stopped');
    expect(none.stopReason).toContain('no site could do it');
  });

  it('gives the step its whole time again after a restart', () => {
    const state = fold([runCreated(), { type: 'RunResumed', atMs: 90_000 }]);
    expect(state.step?.deadlineMs).toBe(90_000 + DEADLINE);
  });

  it('goes to a verdict without the audit of a site, and evaluation never stops it', () => {
    const { state } = play(runCreated(), (now, site, atMs) =>
      now.step?.kind === 'audit' || now.step?.kind === 'evaluate' ? failed(now, site, atMs) : done(now, site, atMs),
    );
    expect(state.status).toBe('finished');
    expect(state.closed.at(-1)?.leftOut).toHaveLength(3);
  });
});

/** Any event that could arrive, fitting or not. */
const anyEvent = (state: RunState, atMs: number) => {
  const steps = fc.constantFrom(
    state.step ? stepId(state.step) : 'none',
    'adversarial/1/train',
    'statistics/1/statistics',
  );
  const site = fc.constantFrom(...SITES, 'stranger');
  return fc.oneof(
    fc.record({ type: fc.constant('SiteResult' as const), step: steps, site, atMs: fc.constant(atMs) }).map(event => ({
      ...event,
      result: resultFor(state, event.site),
    })),
    fc.record({
      type: fc.constant('SiteFailed' as const),
      step: steps,
      site,
      code: fc.constant('NON_FINITE'),
      reason: fc.constant('x'),
      atMs: fc.constant(atMs),
    }),
    fc.record({ type: fc.constant('DeadlinePassed' as const), step: steps, atMs: fc.constant(atMs) }),
    fc.record({ type: fc.constant('RunResumed' as const), atMs: fc.constant(atMs) }),
  );
};

describe('whatever happens', () => {
  it('no site is counted twice in a step, strangers never, and a replay gives the same state', () => {
    fc.assert(
      fc.property(fc.gen(), fc.integer({ min: 0, max: 3 }), (gen, quorum) => {
        const events: RunEvent[] = [runCreated({ quorum })];
        let state = created(events[0] as RunCreated);
        for (let atMs = 1; atMs < 80 && state.status === 'running'; atMs++) {
          const now = state;
          const driven = plan(now).type !== 'collect';
          const event: RunEvent = driven
            ? (nextEvent(now, atMs, () => undefined) as RunEvent)
            : (gen(() => anyEvent(now, atMs)) as RunEvent);
          state = reduce(now, event);
          events.push(event);
        }
        for (const step of state.closed) {
          const named = [...step.takenIn, ...step.leftOut].map(({ site }) => site);
          expect(new Set(named).size).toBe(named.length);
          expect(named.every(site => SITES.includes(site))).toBe(true);
          expect(step.takenIn.map(({ site }) => site)).toEqual([...step.takenIn.map(({ site }) => site)].sort());
        }
        expect(new Set(state.closed.map(stepId)).size).toBe(state.closed.length);
        expect(fold(JSON.parse(JSON.stringify(events)) as RunEvent[])).toEqual(state);
      }),
      { numRuns: 200 },
    );
  });

  it('the order of answers within a step leaves no trace', () => {
    fc.assert(
      fc.property(
        fc.infiniteStream(fc.shuffledSubarray(SITES, { minLength: 3 })),
        fc.array(fc.constantFrom(...SITES), { maxLength: 4 }),
        (orders, failing) => {
          const runIn = (order: (step: string) => readonly string[]) => {
            let state = created(runCreated({ quorum: 1 }));
            for (let steps = 0; state.status === 'running' && steps < 60; steps++) {
              const now = state;
              const due = plan(now);
              if (due.type !== 'collect') {
                state = reduce(now, nextEvent(now, steps, () => undefined) as RunEvent);
                continue;
              }
              // Everything that comes in a step comes at one time: only the order differs.
              for (const site of order(stepId(now.step as NonNullable<RunState['step']>))) {
                if (!due.sites.includes(site)) continue;
                const fails = failing.includes(site) && now.step?.stage === 'adversarial' && failing.length < 3;
                state = reduce(state, fails ? failed(now, site, steps) : done(now, site, steps));
              }
            }
            return state;
          };
          const iterator = orders[Symbol.iterator]();
          expect(runIn(() => iterator.next().value ?? SITES)).toEqual(runIn(() => SITES));
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('task ids', () => {
  it('are parsed back, and anything else is refused', () => {
    const id = taskId('r-1', { stage: 'adversarial', round: 2, kind: 'train' }, 'north');
    expect(id).toBe('r-1/adversarial/2/train/north');
    expect(parseTaskId(id)).toEqual({ runId: 'r-1', step: 'adversarial/2/train', site: 'north' });
    for (const wrong of ['', 'a/b', 'a/b/c/d/e/f', 'a//c/d/e', 'x'.repeat(400)]) {
      expect(parseTaskId(wrong)).toBeUndefined();
    }
  });
});
