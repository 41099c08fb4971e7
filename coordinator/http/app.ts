/** The HTTP interface: reads only, on loopback only. */
import swagger from '@fastify/swagger';
import Fastify, { type FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { RunState } from '#coordinator/rounds/state.ts';
import { type LiveView, runSummary, runView } from '#coordinator/run-view.ts';
import { errorCatalogue, FedError, toFedError } from '#proto/errors.ts';
import { publicError } from '#proto/status.ts';
import { SOFTWARE_VERSION } from '#proto/version.ts';
import { ErrorSchema, HealthSchema, ReadySchema, RunSummarySchema, RunViewSchema } from './schemas.ts';

export interface HttpContext {
  readonly runs: () => Promise<RunState[]>;
  readonly run: (runId: string) => Promise<RunState | undefined>;
  readonly runFolder: (runId: string) => string;
  readonly live: LiveView;
  readonly ready: () => boolean;
  readonly connectedSites: () => string[];
}

/** The app without a port: tests inject, the coordinator listens. */
export async function buildHttpApp(context: HttpContext): Promise<FastifyInstance> {
  const app = Fastify({ bodyLimit: 1024, requestTimeout: 10_000 });
  await app.register(swagger, {
    openapi: { info: { title: 'Federated EMIXER coordinator', version: SOFTWARE_VERSION } },
  });
  app.setErrorHandler((thrown, _request, reply) => {
    const error = (thrown as { validation?: unknown }).validation
      ? new FedError('MESSAGE_INVALID', (thrown as Error).message)
      : toFedError(thrown);
    return reply.status(errorCatalogue[error.code].httpStatus).send(publicError(error));
  });
  app.setNotFoundHandler((_request, reply) =>
    reply.status(404).send({ code: 'NOT_FOUND', message: 'there is no such page', remedy: 'see /openapi.json' }),
  );

  const responses = { '4xx': ErrorSchema, '5xx': ErrorSchema };
  app.get('/health', { schema: { response: { 200: HealthSchema } } }, async () => ({
    status: 'ok' as const,
    version: SOFTWARE_VERSION,
  }));
  app.get('/ready', { schema: { response: { 200: ReadySchema, 503: ReadySchema } } }, async (_request, reply) => {
    const ready = context.ready();
    return reply.status(ready ? 200 : 503).send({ ready, sites: context.connectedSites() });
  });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
  app.get('/v1/runs', { schema: { response: { 200: Type.Array(RunSummarySchema), ...responses } } }, async () =>
    (await context.runs()).map(runSummary),
  );
  app.get<{ Params: { runId: string } }>(
    '/v1/runs/:runId',
    {
      schema: {
        params: Type.Object({ runId: Type.String({ maxLength: 100 }) }),
        response: { 200: RunViewSchema, ...responses },
      },
    },
    async ({ params: { runId } }) => {
      const state = await context.run(runId);
      if (state === undefined) throw new FedError('NOT_FOUND', 'there is no run of that id', 'see /v1/runs');
      return runView(state, context.runFolder(runId), context.live);
    },
  );
  return app;
}
