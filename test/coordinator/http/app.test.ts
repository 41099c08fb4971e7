import { describe, expect, it } from 'vitest';
import { buildHttpApp, type HttpContext } from '#coordinator/http/app.ts';
import { created } from '#coordinator/rounds/reducer.ts';
import { runView } from '#coordinator/run-view.ts';
import { parseRunConfig } from '#model/federated.ts';

const state = created({ type: 'RunCreated', runId: 'r1', config: parseRunConfig({ sites: ['a', 'b'] }), atMs: 5 });
const context: HttpContext = {
  runs: async () => [state],
  run: async runId => (runId === 'r1' ? state : undefined),
  runFolder: runId => `/runs/${runId}`,
  live: {
    progress: (_run, site) => (site === 'a' ? { step: 3, steps: 20, metrics: { loss: 0.5 }, atMs: 6 } : undefined),
    connected: site => site === 'a',
  },
  ready: () => true,
  connectedSites: () => ['a'],
};

describe('the HTTP interface', () => {
  it('tells health and readiness', async () => {
    const app = await buildHttpApp(context);
    expect((await app.inject('/health')).json()).toMatchObject({ status: 'ok' });
    expect((await app.inject('/ready')).json()).toEqual({ ready: true, sites: ['a'] });
    const starting = await buildHttpApp({ ...context, ready: () => false });
    expect((await starting.inject('/ready')).statusCode).toBe(503);
  });

  it('lists runs and shows one, whole', async () => {
    const app = await buildHttpApp(context);
    expect((await app.inject('/v1/runs')).json()).toEqual([
      {
        runId: 'r1',
        name: 'emixer',
        status: 'running',
        stage: 'statistics',
        round: 1,
        createdAtMs: 5,
        verdict: null,
        reason: null,
      },
    ]);
    const shown = (await app.inject('/v1/runs/r1')).json();
    // The serialiser drops what the schema does not name: nothing may be missing.
    expect(shown).toEqual(JSON.parse(JSON.stringify(runView(state, '/runs/r1', context.live))));
    expect(shown.step.sites).toEqual([
      { name: 'a', status: 'waiting', connected: true, step: 3, steps: 20, metrics: { loss: 0.5 } },
      { name: 'b', status: 'waiting', connected: false, step: null, steps: null, metrics: {} },
    ]);
  });

  it('describes itself', async () => {
    const app = await buildHttpApp(context);
    const { openapi, paths } = (await app.inject('/openapi.json')).json();
    expect(openapi).toMatch(/^3\./);
    expect(Object.keys(paths).sort()).toEqual(['/health', '/ready', '/v1/runs', '/v1/runs/{runId}']);
  });

  it('answers what is not there, and never with internals', async () => {
    const app = await buildHttpApp(context);
    const unknown = await app.inject('/v1/runs/nope');
    expect([unknown.statusCode, unknown.json().code]).toEqual([404, 'NOT_FOUND']);
    expect((await app.inject('/elsewhere')).json().code).toBe('NOT_FOUND');
    expect((await app.inject(`/v1/runs/${'x'.repeat(101)}`)).statusCode).toBeGreaterThanOrEqual(400);
    const broken = await buildHttpApp({ ...context, runs: () => Promise.reject(new Error('/secret/path is gone')) });
    const failure = await broken.inject('/v1/runs');
    expect(failure.statusCode).toBe(500);
    expect(failure.body).not.toContain('secret');
  });
});
