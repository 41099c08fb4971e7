/** Issue 4's third acceptance: stop at step 50, resume, reach 100, and twice the same seed, all the same to the bit. */
import { beforeAll, describe, expect, it } from 'vitest';
import { stepsOf, trainLocally } from '../../support/local-training.ts';
import { useNativeBackend } from '../../support/native-backend.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

let native = false;
beforeAll(async () => {
  native = await useNativeBackend();
});

describe('a training of 100 adversarial steps on the native CPU', () => {
  it('is the same to the bit with a stop at step 50, and a second time', async context => {
    context.skip(!native, 'the native backend is not prepared here');
    const steps = stepsOf(20, 20, 100);
    const train = async (options: { folder?: string; stopAfter?: number } = {}) =>
      trainLocally({ folder: options.folder ?? (await temporaryFolder()), steps, saveEvery: 30, ...options });
    const whole = await train();
    const folder = await temporaryFolder();
    const stopped = await train({ folder, stopAfter: 20 + 20 + 50 });
    expect([stopped.finished, stopped.progress.stage, stopped.progress.step]).toEqual([false, 'adversarial', 50]);
    expect(stopped.sha256).not.toBe(whole.sha256);
    expect((await train({ folder })).sha256).toBe(whole.sha256);
    expect((await train()).sha256).toBe(whole.sha256);
  });
});
