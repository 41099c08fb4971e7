import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allCommands } from '#cli/commands/index.ts';
import { completionScript } from '#cli/completion.ts';
import { runProgram } from '#cli/program.ts';
import { SOFTWARE_VERSION } from '#proto/version.ts';
import { fakeTerminal } from '../support/fake-terminal.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'commands-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function run(argv: string[], over: Parameters<typeof fakeTerminal>[0] = {}) {
  const terminal = fakeTerminal({ now: Date.now, ...over });
  const code = await runProgram(allCommands, argv, terminal);
  return { code, out: terminal.out(), err: terminal.err() };
}

describe('every command', () => {
  it.each(allCommands.map(spec => [spec.path.join(' '), spec] as const))(
    '%s: --help shows an example of itself',
    async (name, spec) => {
      const { code, out } = await run([...spec.path, '--help']);
      expect(code).toBe(0);
      expect(spec.example).toContain(`emixer ${name}`);
      expect(out).toContain(spec.example);
    },
  );

  it('has the names of the contract', () => {
    const names = allCommands.map(({ path }) => path.join(' '));
    for (const name of [
      'demo',
      'doctor',
      ...['init', 'start', 'invite', 'revoke', 'run', 'runs', 'show', 'stop', 'audit-log verify'].map(
        word => `coordinator ${word}`,
      ),
      ...['enroll', 'preflight', 'prepare', 'start', 'approve', 'audit-log verify'].map(word => `site ${word}`),
      'data describe',
      'data phantom',
      ...['describe', 'bench', 'generate', 'export'].map(word => `model ${word}`),
      'privacy scan',
    ]) {
      expect(names).toContain(name);
    }
  });

  it('imports what is heavy only when it runs', async () => {
    const folder = new URL('../../cli/commands/', import.meta.url);
    for (const file of await readdir(folder)) {
      const source = await readFile(new URL(file, folder), 'utf8');
      const imported = [...source.matchAll(/^import (?!type )[^;]*? from '([^']+)'/gm)].map(match => match[1] ?? '');
      for (const name of imported) expect(name, `${file} imports ${name}`).toMatch(/^(node:|\.\.?\/|#proto\/)/);
    }
  });

  it('is of the version of the package', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(SOFTWARE_VERSION).toBe(version);
    expect((await run(['--version'])).out).toBe(`${version}\n`);
  });

  it('groups show an example too', async () => {
    const { code, out } = await run(['coordinator', 'audit-log', '--help']);
    expect(code).toBe(0);
    expect(out).toContain('$ emixer coordinator audit-log verify');
  });
});

describe('coordinator', () => {
  it('is initialised once, invites, lists no runs, and verifies its log', async () => {
    const folder = join(dir, 'coordinator');
    const init = ['coordinator', 'init', '--dir', folder, '--name', '127.0.0.1'];
    expect((await run([...init, '--json'])).code).toBe(0);
    expect((await run(init)).code).toBe(2);
    const invite = join(dir, 'a.invite');
    const invited = await run([
      'coordinator',
      'invite',
      'hospital-a',
      '--dir',
      folder,
      '--out',
      invite,
      '--expires',
      '2h',
      '--json',
    ]);
    expect(invited.code).toBe(0);
    const { expiresMs, token } = JSON.parse(await readFile(invite, 'utf8'));
    expect(Math.abs(expiresMs - Date.now() - 2 * 3_600_000)).toBeLessThan(60_000);
    expect(invited.out).not.toContain(token);
    expect((await run(['coordinator', 'runs', '--dir', folder, '--json'])).out).toBe('{"runs":[]}\n');
    const log = await run(['coordinator', 'audit-log', 'verify', '--dir', folder, '--json']);
    expect(log.code).toBe(0);
    expect(JSON.parse(log.out)).toMatchObject({ valid: true, entries: 2 });
  });

  it.each([
    [['coordinator', 'runs', '--dir', '/nonexistent'], 3],
    [['coordinator', 'invite', 'A B', '--dir', '/nonexistent', '--out', 'x', '--expires', 'soon'], 2],
    [['coordinator', 'run', '/nonexistent.yaml', '--dir', '/nonexistent'], 2],
    [['site', 'enroll', '--invite', '/nonexistent', '--dir', '/nonexistent/site'], 2],
    [['site', 'prepare', '--dir', '/nonexistent', '--data', 'openj=x'], 2],
    [['data', 'describe', '--data', 'openj=x'], 2],
    [['data', 'describe', '--data', 'openi=/nonexistent'], 3],
    [['demo', '--preset', 'phantom33', '--out', '/nonexistent/x'], 2],
    [['demo', '--sites', '0'], 2],
    [['completion', 'tcsh'], 2],
  ] as [string[], number][])('%j fails with exit code %i and two lines', async (argv, code) => {
    const failed = await run(argv);
    expect(failed.err.trimEnd().split('\n')).toHaveLength(2);
    expect(failed.code).toBe(code);
  });
});

describe('data', () => {
  it('draws phantoms and describes them', async () => {
    const out = join(dir, 'phantoms');
    const drawn = await run(['data', 'phantom', '--out', out, '--patients', '3', '--seed', '2', '--json']);
    const counts = JSON.parse(drawn.out);
    expect(counts).toMatchObject({ out, patients: 3 });
    const described = await run(['data', 'describe', '--data', `mimic-cxr-jpg=${out}`, '--json']);
    expect(described.code).toBe(0);
    const { splits, labels, ...rest } = JSON.parse(described.out);
    expect(rest).toMatchObject({ kind: 'mimic-cxr-jpg', patients: 3, images: counts.images, skipped: [] });
    expect(splits.train + splits.validation + splits.test).toBe(counts.images);
    expect(labels.Cardiomegaly).toHaveProperty('uncertain');
    expect((await run(['data', 'describe', '--data', `mimic-cxr-jpg=${out}`])).out).toMatch(
      /^label +positive +negative/m,
    );
  });
});

describe('privacy scan', () => {
  it('tells kind and place a line a file, never the text', async () => {
    const file = join(dir, 'report.txt');
    await writeFile(file, 'Seen on 03/14/2021. Call 555-123-4567.');
    const { code, out } = await run(['privacy', 'scan', file, '-', '--json'], { input: 'the lungs are clear' });
    expect(code).toBe(0);
    const [first, second] = out
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));
    expect(first.file).toBe(file);
    expect(first.hits.length).toBeGreaterThanOrEqual(2);
    expect(second).toEqual({ file: '-', hits: [] });
    expect(out).not.toMatch(/2021|4567/);
  });
});

describe('privacy audit', () => {
  const draw = async (name: string, patients: number, seed: number) => {
    const out = join(dir, name);
    await run(['data', 'phantom', '--out', out, '--patients', String(patients), '--seed', String(seed)]);
    return out;
  };
  it('fails a folder that holds training images, and says insufficient evidence of few records', async () => {
    const train = await draw('train', 6, 11);
    const holdout = await draw('holdout', 6, 12);
    const fresh = await draw('fresh', 6, 13);
    const audit = (generated: string) =>
      run([
        'privacy',
        'audit',
        '--generated',
        generated,
        '--train',
        train,
        '--holdout',
        holdout,
        '--resolution',
        '32',
        '--out',
        join(dir, 'audit'),
        '--json',
      ]);
    const copied = await audit(train);
    expect(copied.code).toBe(5);
    expect(JSON.parse(copied.out)).toMatchObject({ verdict: 'fail', validity: { id: 'G0' }, certificate: null });
    const few = await audit(`mimic-cxr-jpg=${fresh}`);
    expect(few.code).toBe(6);
    const { gates, report } = JSON.parse(few.out);
    expect(gates[0]).toMatchObject({
      id: expect.stringMatching(/^G\d$/),
      verdict: expect.any(String),
      reason: expect.any(String),
    });
    expect(await readFile(report, 'utf8')).toMatch(/^<!doctype html>/i);
  });

  it('takes thresholds from --config and names an unknown one', async () => {
    const config = join(dir, 'audit.yaml');
    await writeFile(config, 'seedz: 1\n');
    const folders = ['--generated', dir, '--train', dir, '--holdout', dir];
    const { code, err } = await run(['privacy', 'audit', ...folders, '--config', config]);
    expect(code).toBe(2);
    expect(err).toContain('did you mean "seeds"?');
  });
});

describe('completion', () => {
  it('is a script that bash accepts and that knows the commands', () => {
    const script = completionScript('bash', allCommands);
    execFileSync('bash', ['-n'], { input: script });
    const complete = (words: string) => {
      const line = `${script}\nCOMP_WORDS=(${words}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _emixer; echo "\${COMPREPLY[@]}"`;
      return execFileSync('bash', ['-c', line]).toString().trim().split(' ');
    };
    expect(complete('emixer co')).toEqual(['completion', 'coordinator']);
    expect(complete('emixer coordinator audit-log ""')).toEqual(['verify']);
    expect(complete('emixer demo --ro')).toEqual(['--rounds']);
    expect(complete('emixer demo --rounds 3 --pre')).toEqual(['--preset']);
  });
});
