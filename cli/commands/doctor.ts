/** `emixer doctor`: what this machine can do, and what is missing. */
import { type CommandSpec, defineCommand } from '../command.ts';

export const doctorCommand: CommandSpec = defineCommand({
  path: 'doctor',
  description: 'check this installation: Node, backend, memory, disk',
  example: 'emixer doctor --json',
  run: async ({ output, terminal }) => {
    const { doctorReport, renderDoctor } = await import('../doctor.ts');
    const report = await doctorReport(terminal.env, '.');
    output.result(report, () => renderDoctor(report));
    // What is wrong is in the report; that there is one is success.
    return 0;
  },
});
