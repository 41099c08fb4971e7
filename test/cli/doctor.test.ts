import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DoctorReport, doctorReport, renderDoctor } from '#cli/doctor.ts';

const failing = (report: DoctorReport) => report.checks.filter(({ ok }) => !ok).map(({ name }) => name);

describe('emixer doctor', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'emixer-doctor-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it('finds a machine that the set-up prepared fit', async () => {
    const { EMIXER_BACKEND: _, ...env } = process.env;
    const report = await doctorReport(env, folder);
    expect(report.node).toBe(process.version);
    expect(['native-cpu', 'cuda']).toContain(report.backend.name);
    expect(report.backend.version).toBe('2.21.0');
    expect(report.memoryBytes).toBeGreaterThan(2 ** 28);
    expect(report.diskBytes).toBeGreaterThan(0);
    const names = report.checks.map(({ name }) => name);
    expect(names).toEqual(['node', 'memory', 'disk', 'working folder', 'loopback', 'backend', 'arithmetic', 'library']);
    expect(failing(report).filter(name => name !== 'memory' && name !== 'disk')).toEqual([]);
    expect(JSON.parse(JSON.stringify(report)).backend).not.toHaveProperty('tf');
  });

  it('names the slow fallback, its reason and the missing tools', async () => {
    const report = await doctorReport({ XDG_CACHE_HOME: folder, PATH: folder }, folder);
    expect(report.backend.name).toBe('wasm');
    expect(report.backend.rejected.map(({ name }) => name)).toEqual(['cuda', 'native-cpu']);
    expect(failing(report)).toEqual(expect.arrayContaining(['backend', 'python3', 'g++', 'make']));
    const text = renderDoctor(report);
    expect(text).toContain('not native-cpu: it has not been set up');
    expect(text).toMatch(/BAD {2}backend: wasm runs instead.*\n {6}fix: npm run setup/);
  });

  it('is content with wasm where wasm is demanded, and not where another is', async () => {
    const demanded = await doctorReport({ XDG_CACHE_HOME: folder, EMIXER_BACKEND: 'wasm' }, folder);
    expect(failing(demanded)).not.toContain('backend');
    const refused = await doctorReport({ XDG_CACHE_HOME: folder, EMIXER_BACKEND: 'cuda' }, folder);
    expect(refused.backend.name).toBe('wasm');
    expect(failing(refused)).toContain('backend');
  });
});
