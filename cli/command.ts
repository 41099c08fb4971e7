/** What a command is to the program: a name, options as data, an example, and a function that imports what it needs. */
import type { OptionSpecs, OptionValues } from './options.ts';
import type { Output, Terminal } from './terminal.ts';

export interface CommandInput<S extends OptionSpecs> {
  readonly options: OptionValues<S>;
  /** Positional arguments, as many as the command declares (a trailing "..." takes the rest). */
  readonly positionals: readonly string[];
  readonly terminal: Terminal;
  readonly output: Output;
  readonly verbose: boolean;
}

export interface CommandSpec {
  /** Words after "emixer", e.g. ['coordinator', 'audit-log', 'verify']. */
  readonly path: readonly string[];
  readonly description: string;
  /** e.g. "<site>", "[files...]". */
  readonly positionals: readonly string[];
  readonly options: OptionSpecs;
  readonly example: string;
  /** `privacy audit` has a --config of its own: the audit's configuration. */
  readonly ownConfig: boolean;
  /** @returns the exit code. Heavy modules (TensorFlow, gRPC, sharp) are imported in here, never at the top of a file. */
  readonly run: (input: CommandInput<OptionSpecs>) => Promise<number>;
}

interface CommandDraft<S extends OptionSpecs> {
  readonly path: string;
  readonly description: string;
  readonly positionals?: readonly string[];
  readonly options?: S;
  readonly example: string;
  readonly ownConfig?: boolean;
  readonly run: (input: CommandInput<S>) => Promise<number | undefined>;
}

/** Checks options and `run` against each other at compile time, then forgets their types for the program's list. */
export function defineCommand<S extends OptionSpecs>(draft: CommandDraft<S>): CommandSpec {
  return {
    path: draft.path.split(' '),
    description: draft.description,
    positionals: draft.positionals ?? [],
    options: draft.options ?? {},
    example: draft.example,
    ownConfig: draft.ownConfig ?? false,
    run: async input => (await draft.run(input as unknown as CommandInput<S>)) ?? 0,
  };
}
