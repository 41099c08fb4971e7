/** The commander program built from the list of commands, and the one place where errors become exit codes. */
import { Command, CommanderError, Option } from 'commander';
import { FedError, toFedError } from '#proto/errors.ts';
import { SOFTWARE_VERSION } from '#proto/version.ts';
import type { CommandSpec } from './command.ts';
import { checkEnvironment, readConfigFile, resolveOptions } from './option-sources.ts';
import { flagOf } from './options.ts';
import { createOutput, palette, type Terminal } from './terminal.ts';

interface Given extends Record<string, unknown> {
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly config?: string;
}

/** @returns the exit code of spec and catalogue; never throws */
export async function runProgram(
  commands: readonly CommandSpec[],
  argv: readonly string[],
  terminal: Terminal,
): Promise<number> {
  const outcome = { exitCode: 0 };
  // Known before commander has parsed: its own errors must keep to the rules of --json and --verbose too.
  const json = argv.includes('--json');
  const verbose = argv.includes('--verbose');
  try {
    await buildProgram(commands, terminal, outcome).parseAsync([...argv], { from: 'user' });
    return outcome.exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    const error = thrown instanceof CommanderError ? usageError(thrown) : toFedError(thrown);
    reportError(error, terminal, json, verbose);
    return error.exitCode;
  }
}

function buildProgram(commands: readonly CommandSpec[], terminal: Terminal, outcome: { exitCode: number }): Command {
  const root = configured(new Command('emixer'), terminal)
    .description('Several hospitals train one chest X-ray and report generator without a record leaving a site.')
    .version(SOFTWARE_VERSION, '--version')
    .addHelpText('after', '\nExample:\n  $ emixer demo --rounds 2\n\nEvery command has --help with an example.');
  for (const spec of commands) addCommand(root, spec, commands, terminal, outcome);
  return root;
}

/** Commander writes to the terminal that was handed in, and throws instead of ending the process. */
function configured(command: Command, terminal: Terminal): Command {
  return command
    .exitOverride()
    .configureOutput({
      writeOut: text => terminal.stdout.write(text),
      writeErr: text => terminal.stderr.write(text),
      getOutHasColors: () => terminal.colours,
      getErrHasColors: () => terminal.colours,
      outputError: () => {},
    })
    .allowExcessArguments(false)
    .helpCommand(false);
}

function addCommand(
  root: Command,
  spec: CommandSpec,
  commands: readonly CommandSpec[],
  terminal: Terminal,
  outcome: { exitCode: number },
): void {
  const name = spec.path.at(-1) ?? '';
  const leaf = configured(new Command(name), terminal)
    .description(spec.description)
    .addHelpText('after', `\nExample:\n  $ ${spec.example}`);
  for (const positional of spec.positionals) leaf.argument(positional);
  for (const [key, { kind, placeholder, description }] of Object.entries(spec.options)) {
    const flags = kind === 'flag' ? flagOf(key) : `${flagOf(key)} <${placeholder}>`;
    // Every text is kept: a single-valued option given twice is an error, not the last one wins.
    const collect = (value: string, previous: string[] | undefined): string[] => [...(previous ?? []), value];
    const option = new Option(flags, description);
    leaf.addOption(kind === 'flag' ? option : option.argParser(collect));
  }
  leaf.option('--json', 'one JSON document on stdout (a service: one object a line); progress on stderr');
  leaf.option('--verbose', 'a stack trace with an error');
  if (!spec.ownConfig) leaf.option('--config <file>', 'YAML file with any of these options');
  leaf.action(async (...received: unknown[]) => {
    const optionKeys = commands.flatMap(command => Object.keys(command.options));
    checkEnvironment(terminal.env, optionKeys);
    const given = leaf.opts<Given>();
    const { EMIXER_CONFIG: configVariable } = terminal.env;
    const configPath = spec.ownConfig ? undefined : (given.config ?? configVariable);
    const options = resolveOptions(spec.options, {
      commandLine: Object.fromEntries(Object.keys(spec.options).map(key => [key, textsOf(given[key])])),
      env: terminal.env,
      config: configPath === undefined ? undefined : await readConfigFile(configPath),
      configPath,
    });
    const json = given.json === true;
    outcome.exitCode = await spec.run({
      options,
      positionals: received
        .slice(0, spec.positionals.length)
        .flat()
        .filter(item => typeof item === 'string'),
      terminal,
      output: createOutput(terminal, json),
      verbose: given.verbose === true,
    });
  });
  groupOf(root, spec, terminal).addCommand(leaf);
}

/** The command that holds `spec`, made where it is not there yet; its example is that of its first subcommand. */
function groupOf(root: Command, { path, example }: CommandSpec, terminal: Terminal): Command {
  let group = root;
  for (const word of path.slice(0, -1)) {
    let next = group.commands.find(command => command.name() === word);
    if (next === undefined) {
      next = configured(new Command(word), terminal).description(groupDescriptions[word] ?? word);
      next.addHelpText('after', `\nExample:\n  $ ${example}`);
      group.addCommand(next);
    }
    group = next;
  }
  return group;
}

const groupDescriptions: Readonly<Record<string, string>> = {
  coordinator: 'The party that averages: initialise, invite sites, run federations',
  site: 'The hospital: enrol, prepare data, take part',
  data: 'Collections of images and reports',
  model: 'How large and how fast the model is; what to do with a trained one',
  privacy: 'Audits of generated data',
  'audit-log': 'Hash-chained audit log',
};

const textsOf = (value: unknown): string[] =>
  value === undefined ? [] : Array.isArray(value) ? value.map(String) : [String(value)];

function usageError(error: CommanderError): FedError {
  // Without a subcommand commander shows the help itself and has nothing more to say.
  if (error.code === 'commander.help') return new FedError('USAGE', 'expected a command', 'see emixer --help');
  const [message = '', suggestion = ''] = error.message.replace(/^error: /, '').split('\n');
  const hint = /\((Did you mean .*)\)/.exec(suggestion)?.[1];
  return new FedError('USAGE', message, hint === undefined ? 'see emixer --help' : `${hint} See emixer --help`);
}

/** Two lines: what was expected and what came; what to do. With --json the same as a document on stdout. */
function reportError(error: FedError, terminal: Terminal, json: boolean, verbose: boolean): void {
  const { red } = palette(terminal.colours);
  const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, ' ');
  terminal.stderr.write(`${red('error:')} ${oneLine(error.message)}\n`);
  const remedy = error.remedy === '' ? 'run it again with --verbose and report what it says' : error.remedy;
  terminal.stderr.write(`  to do: ${oneLine(remedy)}\n`);
  if (verbose) terminal.stderr.write(`${describeCauses(error)}\n`);
  if (json) {
    const document = { error: { code: error.code, message: error.message, remedy: error.remedy } };
    terminal.stdout.write(`${JSON.stringify(document)}\n`);
  }
}

function describeCauses(error: Error): string {
  const parts: string[] = [];
  for (let cause: unknown = error; cause instanceof Error && parts.length < 5; cause = cause.cause) {
    parts.push(cause.stack ?? String(cause));
  }
  return parts.join('\ncaused by ');
}
