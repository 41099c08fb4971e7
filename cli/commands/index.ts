/** Every command of this version; what is not here does not exist yet. */

import { FedError } from '#proto/errors.ts';
import type { CommandSpec } from '../command.ts';
import { defineCommand } from '../command.ts';
import { completionScript, SHELLS } from '../completion.ts';
import { coordinatorCommands } from './coordinator.ts';
import { dataCommands } from './data.ts';
import { demoCommand } from './demo.ts';
import { doctorCommand } from './doctor.ts';
import { modelCommands } from './model.ts';
import { privacyCommands } from './privacy.ts';
import { siteCommands } from './site.ts';

const completionCommand: CommandSpec = defineCommand({
  path: 'completion',
  description: 'print a completion script',
  positionals: ['<shell>'],
  example: 'source <(emixer completion bash)',
  run: async ({ positionals, output }) => {
    const shell = SHELLS.find(known => known === positionals[0]);
    if (shell === undefined) {
      throw new FedError(
        'USAGE',
        `expected a shell (${SHELLS.join(', ')}); "${positionals[0]}" came`,
        'name one of them',
      );
    }
    const script = completionScript(shell, allCommands);
    output.result({ shell, script }, () => script);
    return 0;
  },
});

export const allCommands: readonly CommandSpec[] = [
  demoCommand,
  doctorCommand,
  ...coordinatorCommands,
  ...siteCommands,
  ...dataCommands,
  ...modelCommands,
  ...privacyCommands,
  completionCommand,
];
