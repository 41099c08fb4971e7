/** The demo's live progress: one bar a site on a terminal, plain lines elsewhere; round, site, step, losses, time left. */
import { MultiBar, type SingleBar } from 'cli-progress';
import type { Notice } from '#coordinator/notices.ts';
import type { RunConfig } from '#model/federated.ts';
import { describeNotice, losses, stepName } from '../notice-text.ts';
import { palette, type Terminal } from '../terminal.ts';
import { WorkEstimate } from './work-estimate.ts';

/** A plain line a site at most this often; the end of every step is always told. */
const LINE_INTERVAL_MS = 10_000;

export interface DemoProgress {
  /** A step of the set-up. */
  say(line: string): void;
  notice(notice: Notice): void;
  /** Leaves the terminal as it was; what is told afterwards, while processes end, is passed over. */
  close(): void;
}

export function createProgress(terminal: Terminal, config: RunConfig): DemoProgress {
  return terminal.isTty ? new Bars(terminal, config) : new Lines(terminal, config);
}

class Lines implements DemoProgress {
  readonly #terminal: Terminal;
  readonly #estimate: WorkEstimate;
  readonly #lastLineMs = new Map<string, number>();
  #closed = false;

  constructor(terminal: Terminal, config: RunConfig) {
    this.#terminal = terminal;
    this.#estimate = new WorkEstimate(config, terminal.now);
  }

  say(line: string): void {
    this.#terminal.stderr.write(`${line}\n`);
  }

  notice(notice: Notice): void {
    if (this.#closed) return;
    this.#estimate.add(notice);
    if (notice.event === 'progress') {
      const nowMs = this.#terminal.now();
      const key = `${notice.site} ${notice.stage} ${notice.round}`;
      const lastMs = this.#lastLineMs.get(key) ?? Number.NEGATIVE_INFINITY;
      if (nowMs - lastMs < LINE_INTERVAL_MS) return;
      this.#lastLineMs.set(key, nowMs);
      const step = `step ${notice.step}/${notice.steps}`;
      this.say(
        [stepName(notice), notice.site, step, losses(notice.metrics), this.#estimate.text()].filter(Boolean).join('  '),
      );
      return;
    }
    const line = describeNotice(notice);
    if (line !== undefined) this.say(line);
  }

  close(): void {
    this.#closed = true;
  }
}

class Bars implements DemoProgress {
  readonly #terminal: Terminal;
  readonly #estimate: WorkEstimate;
  readonly #sites: readonly string[];
  #multi: MultiBar | undefined;
  #closed = false;
  readonly #bars = new Map<string, SingleBar>();

  constructor(terminal: Terminal, config: RunConfig) {
    this.#terminal = terminal;
    this.#estimate = new WorkEstimate(config, terminal.now);
    this.#sites = config.sites;
  }

  say(line: string): void {
    if (this.#multi === undefined) this.#terminal.stderr.write(`${line}\n`);
    else this.#multi.log(`${line}\n`);
  }

  notice(notice: Notice): void {
    if (this.#closed) return;
    this.#estimate.add(notice);
    if (notice.event === 'progress') {
      const bar = this.#barOf(notice.site);
      bar.setTotal(notice.steps);
      bar.update(notice.step, {
        what: stepName(notice),
        losses: losses(notice.metrics),
        left: this.#estimate.text(),
      });
      return;
    }
    const line = describeNotice(notice);
    if (line !== undefined) this.say(line);
  }

  close(): void {
    this.#closed = true;
    this.#multi?.stop();
    this.#multi = undefined;
  }

  #barOf(site: string): SingleBar {
    this.#multi ??= new MultiBar({
      stream: this.#terminal.stderr as NodeJS.WriteStream,
      format: `${palette(this.#terminal.colours).bold('{site}')} {bar} {value}/{total}  {what}  {losses}  {left}`,
      barsize: 20,
      hideCursor: true,
      fps: 4,
      // Ctrl-C is the program's: it ends the processes first.
      gracefulExit: false,
    });
    let bar = this.#bars.get(site);
    if (bar === undefined) {
      const width = this.#sites.reduce((most, name) => Math.max(most, name.length), 0);
      bar = this.#multi.create(1, 0, { site: site.padEnd(width), what: '', losses: '', left: '' });
      this.#bars.set(site, bar);
    }
    return bar;
  }
}
