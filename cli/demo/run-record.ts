/** What the coordinator told during a run, folded into the rounds of the demo's JSON and the panels of its curves. */
import type { EvaluationView } from '#coordinator/http/schemas.ts';
import type { Notice } from '#coordinator/notices.ts';
import { combineEvaluations } from '../evaluation.ts';
import type { Panel, Series } from '../pictures/curves.ts';

type Closed = Extract<Notice, { event: 'step-closed' }>;
type Progress = Extract<Notice, { event: 'progress' }>;

export interface RoundRecord {
  readonly round: number;
  readonly sites: readonly {
    readonly name: string;
    readonly records: number;
    readonly losses: Readonly<Record<string, number>>;
  }[];
  readonly leftOut: Closed['leftOut'];
  /** From the opening of training to the end of evaluation. */
  readonly seconds: number;
  /** Means over sites, weighted by records. */
  readonly losses: Readonly<Record<string, number>>;
  readonly evaluation: EvaluationView | null;
}

/** Scalars that are no losses. */
const NO_LOSS = new Set([
  'step',
  'steps',
  'seconds',
  'secondsPerStep',
  'records',
  'learningRate',
  'skippedSteps',
  'perplexity',
]);
const STAGE_TITLES: Readonly<Record<string, string>> = {
  'encoder-pretraining': 'encoder pre-training',
  'report-pretraining': 'report pre-training',
  adversarial: 'adversarial',
};

export class RunRecord {
  readonly #closed: Closed[] = [];
  readonly #progress: Progress[] = [];

  /** Notices that tell nothing about training are passed over. */
  add(notice: Notice): void {
    if (notice.event === 'step-closed') this.#closed.push(notice);
    if (notice.event === 'progress') this.#progress.push(notice);
  }

  /** The adversarial rounds that are complete, in order. */
  rounds(): RoundRecord[] {
    const adversarial = this.#closed.filter(step => step.stage === 'adversarial');
    return adversarial
      .filter(step => step.kind === 'train')
      .map(train => {
        const evaluation = adversarial.find(step => step.kind === 'evaluate' && step.round === train.round);
        const sites = train.sites.map(({ site, records, metrics }) => ({
          name: site,
          records: recordCount(records),
          losses: lossesOf(metrics),
        }));
        return {
          round: train.round,
          sites,
          leftOut: train.leftOut,
          seconds: train.seconds + (evaluation?.seconds ?? 0),
          losses: weightedLosses(sites),
          evaluation: evaluation === undefined ? null : combineEvaluations(evaluation.evaluation),
        };
      });
  }

  /** Perplexity and FID by round, then a panel a stage and loss with a line a site. */
  panels(): Panel[] {
    return [...evaluationPanels(this.rounds()), ...this.#lossPanels()];
  }

  #lossPanels(): Panel[] {
    const stages = [...new Set(this.#progress.map(notice => notice.stage))];
    return stages.flatMap(stage => {
      const notices = this.#progress.filter(notice => notice.stage === stage);
      const names = [...new Set(notices.flatMap(notice => Object.keys(lossesOf(notice.metrics))))].sort();
      return names.map(
        (name): Panel => ({
          title: `${STAGE_TITLES[stage] ?? stage}: ${name}`,
          xLabel: 'step over all rounds',
          series: linesBySite(notices, name),
        }),
      );
    });
  }
}

function linesBySite(notices: readonly Progress[], name: string): Series[] {
  const sites = [...new Set(notices.map(notice => notice.site))].sort();
  return sites.map(site => ({
    name: site,
    points: notices.flatMap(({ site: of, round, step, steps, metrics }) => {
      const y = metrics[name];
      return of === site && y !== undefined && Number.isFinite(y) ? [{ x: (round - 1) * steps + step, y }] : [];
    }),
  }));
}

function evaluationPanels(rounds: readonly RoundRecord[]): Panel[] {
  const evaluated = rounds.flatMap(({ round, evaluation }) => (evaluation === null ? [] : [{ round, evaluation }]));
  if (evaluated.length === 0) return [];
  const points = (value: (evaluation: EvaluationView) => number | null) =>
    evaluated.flatMap(({ round, evaluation }) => {
      const y = value(evaluation);
      return y === null ? [] : [{ x: round, y }];
    });
  const last = evaluated.at(-1)?.evaluation;
  const reference = (name: string, y: number | null | undefined) =>
    y === null || y === undefined ? [] : [{ name, y }];
  const sites = [...new Set(evaluated.flatMap(({ evaluation }) => evaluation.sites.map(({ site }) => site)))].sort();
  const siteFid = (name: string) => (evaluation: EvaluationView) =>
    evaluation.sites.find(({ site }) => site === name)?.fid ?? null;
  return [
    {
      title: 'Perplexity of F on held-out reports',
      xLabel: 'round',
      series: [{ name: 'all sites', points: points(evaluation => evaluation.perplexity) }],
      references: reference('unigram model', last?.unigramPerplexity),
    },
    {
      title: "FID of G, by each site's own extractor",
      xLabel: 'round',
      series: sites.map(name => ({ name, points: points(siteFid(name)) })),
      references: reference('untrained G (mean)', last?.fidUntrained),
    },
  ];
}

/** Records that trained G: all of them did, those of F may be fewer. */
const recordCount = (records: Closed['sites'][number]['records']): number =>
  typeof records === 'number' ? records : (records?.G ?? 0);

const lossesOf = (metrics: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(metrics).filter(([name, value]) => !NO_LOSS.has(name) && Number.isFinite(value)));

function weightedLosses(sites: RoundRecord['sites']): Record<string, number> {
  const names = [...new Set(sites.flatMap(({ losses }) => Object.keys(losses)))];
  return Object.fromEntries(
    names.map(name => {
      const having = sites.filter(({ losses }) => losses[name] !== undefined);
      const weight = having.reduce((total, { records }) => total + records, 0);
      const total = having.reduce((sum, { records, losses }) => sum + records * (losses[name] ?? 0), 0);
      return [name, weight > 0 ? total / weight : 0];
    }),
  );
}
