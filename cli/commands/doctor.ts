/** `emixer doctor`: what this machine can do, and what is missing. */
import { type CommandSpec, defineCommand } from '../command.ts';

export const doctorCommand: CommandSpec = defineCommand({
  path: 'doctor',
  description: 'check this installation: Node, backend, memory, disk',
  example: 'emixer doctor --json',
  run: async ({ output }) => {
    const { doctorReport, renderDoctor } = await import('../doctor.ts');
    const report = await doctorReport();
    output.result(report, () => renderDoctor(report));
    return report.checks.every(check => check.ok) ? 0 : 1;
  },
});
