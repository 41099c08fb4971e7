import { describe, expect, it } from 'vitest';
import { setupModule } from './setup-module.ts';

interface Packages {
  packages: Record<string, { version?: string; integrity?: string; optional?: boolean }>;
}

describe('whether the installed packages are those of the lock', async () => {
  const { matchesLock } = await setupModule<{ matchesLock(lock: Packages, installed: Partial<Packages>): boolean }>(
    'dependencies',
  );
  const lock: Packages = {
    packages: {
      '': {},
      'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
      'node_modules/only-mac': { version: '2.0.0', integrity: 'sha512-m', optional: true },
    },
  };
  const a = { version: '1.0.0', integrity: 'sha512-a' };

  it('accepts an absent optional package', () => {
    expect(matchesLock(lock, { packages: { 'node_modules/a': a } })).toBe(true);
  });

  it.each<[string, Partial<Packages>]>([
    ['nothing is installed', {}],
    ['a package is missing', { packages: {} }],
    ['a version differs', { packages: { 'node_modules/a': { ...a, version: '1.0.1' } } }],
    ['the content differs', { packages: { 'node_modules/a': { ...a, integrity: 'sha512-b' } } }],
    [
      'an optional package has another version',
      { packages: { 'node_modules/a': a, 'node_modules/only-mac': { version: '1.9.0', integrity: 'sha512-m' } } },
    ],
  ])('refuses when %s', (_name, installed) => {
    expect(matchesLock(lock, installed)).toBe(false);
  });
});
