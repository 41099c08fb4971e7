/** What Linux tells about running processes, read from /proc. */
import { readdir, readFile, readlink } from 'node:fs/promises';

export interface RunningProcess {
  readonly pid: number;
  readonly command: readonly string[];
}

const nothing = (): string => '';

/** The words of a process's command line; none when it is gone. */
export const commandOf = async (pid: number): Promise<string[]> =>
  (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(nothing)).split('\0').slice(0, -1);

/** Processes whose command line names `path`: a folder that only one test knows finds exactly that test's. */
export async function processesNaming(path: string): Promise<RunningProcess[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map(async pid => ({ pid, command: await commandOf(pid) })));
  return found.filter(({ command }) => command.some(word => word.includes(path)));
}

/** False for a zombie too: it runs no more. */
export async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(nothing);
  return stat !== '' && !/\) [ZX] /.test(stat);
}

/** The environment that a process was started with. */
export async function environmentOf(pid: number): Promise<Record<string, string>> {
  const entries = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0').filter(entry => entry.includes('='));
  return Object.fromEntries(
    entries.map(entry => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
  );
}

const LISTENING = '0A';

/** TCP addresses on which a process listens, e.g. "127.0.0.1:7443"; IPv6 ones as the kernel writes them. */
export async function listenersOf(pid: number): Promise<string[]> {
  const sockets = await socketsOf(pid);
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map(name => readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(nothing)),
  );
  return tables
    .flatMap(table => table.trim().split('\n').slice(1))
    .map(row => row.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode = '']) => state === LISTENING && sockets.has(inode))
    .map(([, local = '']) => readable(local))
    .sort();
}

/** Inodes of the sockets that a process holds. */
async function socketsOf(pid: number): Promise<Set<string>> {
  const folder = `/proc/${pid}/fd`;
  const targets = await Promise.all((await readdir(folder)).map(name => readlink(`${folder}/${name}`).catch(nothing)));
  return new Set(targets.flatMap(target => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []));
}

/** "0100007F:1D13" -> "127.0.0.1:7443": the kernel writes IPv4 addresses in the order of the machine's bytes. */
function readable(address: string): string {
  const [host = '', port = ''] = address.split(':');
  const portNumber = Number.parseInt(port, 16);
  if (host.length !== 8) return `[${host}]:${portNumber}`;
  const bytes = [...Buffer.from(host, 'hex')].reverse();
  return `${bytes.join('.')}:${portNumber}`;
}
