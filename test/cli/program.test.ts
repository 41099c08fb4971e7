import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CommandSpec, defineCommand } from '#cli/command.ts';
import { flag, integer, list, optionalText, parseDataSource, requiredList, text } from '#cli/options.ts';
import { runProgram } from '#cli/program.ts';
import { FedError } from '#proto/errors.ts';
import { fakeTerminal } from '../support/fake-terminal.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'program-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const echo = defineCommand({
  path: 'group echo',
  description: 'shows what it was given',
  positionals: ['<first>', '[rest...]'],
  options: {
    maxSteps: integer('n', 'steps', { minimum: 1, maximum: 9, fallback: 3 }),
    name: optionalText('text', 'a name'),
    data: list('kind=dir', 'data', parseDataSource),
    quick: flag('quickly'),
  },
  example: 'emixer group echo hello --max-steps 2',
  run: async ({ options, positionals, output }) => {
    output.progress('working');
    output.result({ ...options, positionals }, () => `steps ${options.maxSteps}`);
    return undefined;
  },
});
const needy = defineCommand({
  path: 'needy',
  description: 'needs things',
  options: { dir: text('dir', 'a folder'), data: requiredList('kind=dir', 'data', parseDataSource) },
  example: 'emixer needy --dir d --data openi=x',
  run: async () => 7,
});
const failing = defineCommand({
  path: 'failing',
  description: 'fails',
  options: { how: text('how', 'which error', 'expected') },
  example: 'emixer failing',
  run: async ({ options }) => {
    if (options.how === 'bug') throw new TypeError('undefined is not\na function');
    throw new FedError('POLICY_REFUSED', 'expected consent; none came', 'ask for it', { cause: new Error('deeper') });
  },
});
const commands: readonly CommandSpec[] = [echo, needy, failing];

async function run(argv: string[], over: Parameters<typeof fakeTerminal>[0] = {}) {
  const terminal = fakeTerminal(over);
  const code = await runProgram(commands, argv, terminal);
  return { code, out: terminal.out(), err: terminal.err() };
}
const json = async (argv: string[], over: Parameters<typeof fakeTerminal>[0] = {}) =>
  JSON.parse((await run([...argv, '--json'], over)).out);

describe('options', () => {
  it('come from the command line, else the environment, else the file, else the default', async () => {
    const config = join(dir, 'options.yaml');
    await writeFile(config, 'maxSteps: 4\nname: from-file\nquick: true\ndata: [openi=/a, kermany=/b]\n');
    const withFile = ['group', 'echo', 'x', '--config', config];
    expect(await json(['group', 'echo', 'x'])).toEqual({ maxSteps: 3, data: [], quick: false, positionals: ['x'] });
    const sources = [
      { kind: 'openi', dir: '/a' },
      { kind: 'kermany', dir: '/b' },
    ];
    expect(await json(withFile)).toMatchObject({ maxSteps: 4, name: 'from-file', quick: true, data: sources });
    const env = { EMIXER_MAX_STEPS: '5', EMIXER_DATA: 'openi=/c,kermany=/d', EMIXER_BACKEND: 'wasm' };
    expect(await json(withFile, { env })).toMatchObject({
      maxSteps: 5,
      name: 'from-file',
      data: [{ dir: '/c' }, { dir: '/d' }],
    });
    expect(await json([...withFile, '--max-steps', '6', '--data', 'openi=/e'], { env })).toMatchObject({
      maxSteps: 6,
      data: [{ kind: 'openi', dir: '/e' }],
    });
  });

  it('leave a plain folder in EMIXER_DATA to the tests that look for collections there', async () => {
    expect(await json(['group', 'echo', 'x'], { env: { EMIXER_DATA: '/collections' } })).toMatchObject({ data: [] });
  });

  it('the file may be named by EMIXER_CONFIG', async () => {
    const config = join(dir, 'named.yaml');
    await writeFile(config, 'maxSteps: 8\n');
    expect(await json(['group', 'echo', 'x'], { env: { EMIXER_CONFIG: config } })).toMatchObject({ maxSteps: 8 });
  });

  it('passes every positional on', async () => {
    expect((await json(['group', 'echo', 'a', 'b', 'c'])).positionals).toEqual(['a', 'b', 'c']);
  });

  const refused: [string, string[], Record<string, string>, RegExp, RegExp][] = [
    ['an unknown option', ['group', 'echo', 'x', '--max-step', '2'], {}, /unknown option '--max-step'/, /--help/],
    ['an unknown command', ['group', 'ecko'], {}, /unknown command 'ecko'/, /--help/],
    ['no command', [], {}, /expected a command/, /--help/],
    ['a missing argument', ['group', 'echo'], {}, /missing required argument 'first'/, /--help/],
    [
      'a text as number',
      ['group', 'echo', 'x', '--max-steps', '2.5'],
      {},
      /--max-steps is "2.5"; expected an integer from 1 to 9/,
      /correct/,
    ],
    ['a number out of bounds', ['group', 'echo', 'x', '--max-steps', '10'], {}, /from 1 to 9/, /correct/],
    [
      'an option twice',
      ['group', 'echo', 'x', '--name', 'a', '--name', 'b'],
      {},
      /--name was given 2 times/,
      /keep one/,
    ],
    ['no KIND=DIR', ['group', 'echo', 'x', '--data', 'openi'], {}, /expected KIND=DIR/, /--data openi=/],
    ['a missing required option', ['needy', '--data', 'openi=x'], {}, /--dir dir is missing/, /--dir/],
    ['a missing required list', ['needy', '--dir', 'x'], {}, /--data kind=dir is missing/, /--data/],
    [
      'a bad value in the environment',
      ['group', 'echo', 'x'],
      { EMIXER_MAX_STEPS: 'many' },
      /EMIXER_MAX_STEPS is "many"/,
      /correct/,
    ],
    [
      'a misspelt variable',
      ['group', 'echo', 'x'],
      { EMIXER_MAX_STEP: '3' },
      /unknown environment variable EMIXER_MAX_STEP/,
      /did you mean "EMIXER_MAX_STEPS"/,
    ],
    [
      'a config file that is not there',
      ['group', 'echo', 'x', '--config', '/nonexistent/o.yaml'],
      {},
      /there is none/,
      /--config/,
    ],
  ];
  it.each(refused)('refuses %s with exit code 2 and two lines', async (_name, argv, env, message, remedy) => {
    const { code, out, err } = await run(argv, { env });
    expect(code).toBe(2);
    expect(out).toBe('');
    const lines = err.trimEnd().split('\n').slice(-2);
    expect(lines[0]).toMatch(message);
    expect(lines[0]).toMatch(/^error: /);
    expect(lines[1]).toMatch(remedy);
    expect(err).not.toContain('    at ');
  });

  it('refuses an unknown key of the file and names the nearest', async () => {
    const config = join(dir, 'typo.yaml');
    await writeFile(config, 'maxStep: 4\n');
    const { code, err } = await run(['group', 'echo', 'x', '--config', config]);
    expect(code).toBe(2);
    expect(err).toContain('unknown key "maxStep"');
    expect(err).toContain('did you mean "maxSteps"?');
    await writeFile(config, '- a\n');
    expect((await run(['group', 'echo', 'x', '--config', config])).err).toContain('it is no mapping');
    await writeFile(config, 'maxSteps: {a: 1}\n');
    expect((await run(['group', 'echo', 'x', '--config', config])).err).toContain('is no text, number or boolean');
  });
});

describe('output', () => {
  it('is one JSON document on stdout, with progress on stderr', async () => {
    const { code, out, err } = await run(['group', 'echo', 'x', '--json']);
    expect(code).toBe(0);
    expect(out.trimEnd().split('\n')).toHaveLength(1);
    expect(err).toBe('working\n');
  });

  it("returns the command's exit code", async () => {
    expect((await run(['needy', '--dir', 'd', '--data', 'openi=x'])).code).toBe(7);
  });
});

describe('errors', () => {
  it('are two lines and the exit code of the catalogue', async () => {
    const { code, out, err } = await run(['failing']);
    expect(code).toBe(7);
    expect(out).toBe('');
    expect(err).toBe('error: expected consent; none came\n  to do: ask for it\n');
  });

  it('have a stack trace and their causes only with --verbose', async () => {
    const { err } = await run(['failing', '--verbose']);
    expect(err).toContain('    at ');
    expect(err).toContain('caused by Error: deeper');
  });

  it('are a document with --json', async () => {
    const { code, out } = await run(['failing', '--json']);
    expect(code).toBe(7);
    expect(JSON.parse(out)).toEqual({
      error: { code: 'POLICY_REFUSED', message: 'expected consent; none came', remedy: 'ask for it' },
    });
  });

  it('that nobody foresaw are exit code 1, still two lines', async () => {
    const { code, err } = await run(['failing', '--how', 'bug']);
    expect(code).toBe(1);
    expect(err.trimEnd().split('\n')).toHaveLength(2);
    expect(err).toContain('undefined is not a function');
  });

  it('are red only with colours', async () => {
    expect((await run(['failing'], { colours: true })).err).toContain('\x1b[31merror:');
    expect((await run(['failing'])).err).not.toContain('\x1b');
  });
});

describe('help', () => {
  it('has an example, and every option, on every command', async () => {
    for (const { path, example, options } of commands) {
      const { code, out } = await run([...path, '--help']);
      expect(code).toBe(0);
      expect(out).toContain(`$ ${example}`);
      for (const common of ['--json', '--verbose', '--config']) expect(out).toContain(common);
      expect(out.match(/^ {2}--/gm)?.length).toBeGreaterThanOrEqual(Object.keys(options).length);
    }
  });

  it('and --version end with 0', async () => {
    expect((await run(['--help'])).code).toBe(0);
    const { code, out } = await run(['--version']);
    expect(code).toBe(0);
    expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
