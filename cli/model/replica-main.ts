/** A replica of `emixer model train --replicas`: a process of its own, which ends with the one that started it. */
import process from 'node:process';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { Emixer } from '#model/emixer/emixer.ts';
import { modelConfigOf } from '#model/federated.ts';
import { Vocabulary } from '#model/text/vocabulary.ts';
import { GradientExchange } from '#model/training/gradient-exchange.ts';
import { runReplica } from '#model/training/replica.ts';
import { ReplicaFiles } from '#model/training/replica-files.ts';
import { toFedError } from '#proto/errors.ts';
import { openPrepared } from '#site-agent/data/prepared.ts';
import { trainingView } from '#site-agent/data/training-view.ts';
import type { ReplicaMessage, ReplicaOrder } from './replica-messages.ts';

const send = (message: ReplicaMessage): Promise<void> =>
  new Promise(resolve => {
    if (process.send === undefined) resolve();
    else process.send(message, () => resolve());
  });

async function serve(order: ReplicaOrder): Promise<void> {
  const { run, keys, vocabulary, preparedDir, checkpoint } = order;
  const backend = await loadBackend(backendOptionsFromEnvironment(process.env));
  await send({ type: 'ready', backend: `${backend.name} ${backend.version}` });
  const config = modelConfigOf(run);
  const data = trainingView(await openPrepared(preparedDir), config);
  const model = new Emixer(config, new Vocabulary(vocabulary), { run: keys.seed, site: keys.site });
  const files = new ReplicaFiles({ ...order, signal: new AbortController().signal, nowMs: Date.now });
  await runReplica({ model, data, keys, checkpoint, exchange: new GradientExchange(files) });
}

// The terminal's Ctrl-C reaches every process of the group: the first one takes the step to its end, with its replicas.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
// Without the process that started it there is nobody to step along with.
process.on('disconnect', () => process.exit(0));
process.once('message', async (order: ReplicaOrder) => {
  try {
    await serve(order);
    process.disconnect();
  } catch (thrown) {
    const { code, message, remedy } = toFedError(thrown);
    await send({ type: 'failed', code, message, remedy });
    process.exit(1);
  }
});
