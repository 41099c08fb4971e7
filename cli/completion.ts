/** Shell completion from the list of commands: words after "emixer", and the options of the command they name. */
import type { CommandSpec } from './command.ts';
import { flagOf } from './options.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

const COMMON = ['--json', '--verbose', '--config', '--help'];

/** A script that the shell evaluates; it calls nothing. */
export function completionScript(shell: Shell, commands: readonly CommandSpec[]): string {
  const words = wordsByPrefix(commands);
  return shell === 'fish' ? fishScript(words) : bashScript(words, shell);
}

/** "coordinator audit-log" -> what may come next. */
function wordsByPrefix(commands: readonly CommandSpec[]): Map<string, string[]> {
  const next = new Map<string, Set<string>>();
  const add = (prefix: string, word: string): void => {
    next.set(prefix, (next.get(prefix) ?? new Set()).add(word));
  };
  for (const { path, options } of commands) {
    for (const [depth, word] of path.entries()) add(path.slice(0, depth).join(' '), word);
    for (const option of [...Object.keys(options).map(flagOf), ...COMMON]) add(path.join(' '), option);
  }
  return new Map([...next].map(([prefix, following]) => [prefix, [...following].sort()]));
}

function bashScript(words: ReadonlyMap<string, readonly string[]>, shell: 'bash' | 'zsh'): string {
  const cases = [...words].map(([prefix, following]) => `    "${prefix}") next="${following.join(' ')}" ;;`);
  // Options and their values are no part of the command's name: the path ends at the first.
  return `${shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : ''}_emixer() {
  local word path="" next="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    [[ "$word" == -* ]] && break
    path="\${path:+$path }$word"
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$next" -- "\${COMP_WORDS[COMP_CWORD]}"))
  [[ \${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _emixer emixer
`;
}

function fishScript(words: ReadonlyMap<string, readonly string[]>): string {
  const lines = [...words].map(([prefix, following]) => {
    const condition = `test (string join " " (string match -v -- "-*" (commandline -opc)[2..-1])) = "${prefix}"`;
    return `complete -c emixer -n '${condition}' -a '${following.join(' ')}'`;
  });
  return `${lines.join('\n')}\n`;
}
