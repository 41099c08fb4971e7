import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const driverFolder = '/proc/driver/nvidia/gpus';

/** The first GPU's name as the NVIDIA driver tells it; under Node's permission model the driver's files are out of reach. */
export function gpuName(): string {
  try {
    const first = readdirSync(driverFolder).sort()[0] ?? '';
    const information = readFileSync(path.join(driverFolder, first, 'information'), 'utf8');
    return /^Model:\s*(.+)$/m.exec(information)?.[1]?.trim() ?? 'NVIDIA GPU';
  } catch {
    return 'NVIDIA GPU';
  }
}
