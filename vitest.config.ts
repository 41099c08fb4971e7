import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const resolve = { conditions: ['source'] };
const ssr = { resolve: { conditions: ['source'], externalConditions: ['source'] } };
const project = (name: string, include: string[], testTimeout: number, extra: object = {}) => ({
  resolve,
  ssr,
  test: {
    name,
    include,
    testTimeout,
    hookTimeout: testTimeout,
    pool: 'forks' as const,
    execArgv: ['--conditions=source'],
    ...extra,
  },
});

export default defineConfig({
  resolve,
  ssr,
  test: {
    // Vitest would leave one core free; on a machine of two that is half of it.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    coverage: {
      provider: 'v8',
      include: [
        'proto/*.ts',
        'privacy/**/*.ts',
        'model/**/*.ts',
        'coordinator/**/*.ts',
        'site-agent/**/*.ts',
        'cli/**/*.ts',
      ],
      reporter: ['text-summary', 'lcovonly'],
      reportOnFailure: true,
    },
    projects: [
      project('unit', ['test/{proto,privacy,model,coordinator,site-agent,cli,scripts,docs}/**/*.test.ts'], 30_000, {
        exclude: ['**/*.slow.test.ts'],
      }),
      project('slow', ['test/**/*.slow.test.ts'], 600_000),
      project('contract', ['test/contract/**/*.test.ts'], 60_000),
      project('e2e', ['test/e2e/**/*.test.ts'], 240_000, {
        globalSetup: ['test/support/e2e-folder.ts'],
      }),
      project('bench', ['test/bench/**/*.test.ts'], 600_000, {
        fileParallelism: false,
        sequence: { groupOrder: 1 },
      }),
    ],
  },
});
