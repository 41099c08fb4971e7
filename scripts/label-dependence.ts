/**
 * Do the reports of a folder that `emixer model generate` made follow the labels that they were requested for? For every
 * finding, how often a keyword of it occurs in reports requested for it and in the others; exit code 1 unless the findings
 * together say so with p < 0.01.
 *
 *     npm run -s check:labels -- FOLDER [--json]
 */
import { parseArgs } from 'node:util';
import { type FindingDependence, labelDependence, type RequestedReport } from '#model/evaluate/label-dependence.ts';
import { LABELS } from '#model/labels.ts';
import { Random } from '#model/random.ts';
import { FedError } from '#proto/errors.ts';
import { mimicCxrJpg } from '#site-agent/data/mimic-cxr-jpg.ts';

const SIGNIFICANT = 0.01;

const { positionals, values } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean' } } });
const [folder] = positionals;
if (folder === undefined || positionals.length > 1) {
  console.error('expected one folder, of emixer model generate');
  process.exit(2);
}
try {
  const result = labelDependence(await reportsOf(folder), new Random('label-dependence'));
  const { reports, findings, stratified, permutationP, permutations } = result;
  console.log('| finding | mentioned where requested | in other reports | one-sided p (Fisher) |');
  console.log('|---|---|---|---|');
  for (const row of findings) console.log(lineOf(row));
  console.log(
    `\n${reports} reports; all findings but No Finding: z = ${stratified.z.toFixed(2)}, one-sided p = ${shown(stratified.p)} ` +
      `(Cochran-Mantel-Haenszel), ${shown(permutationP)} (${permutations} permutations)`,
  );
  const passed = Math.max(stratified.p, permutationP) < SIGNIFICANT;
  if (values.json === true) console.log(JSON.stringify({ passed, ...result }));
  process.exitCode = passed ? 0 : 1;
} catch (thrown) {
  if (!(thrown instanceof FedError)) throw thrown;
  console.error(`error: ${thrown.message}\n  to do: ${thrown.remedy}`);
  process.exitCode = 2;
}

async function reportsOf(path: string): Promise<RequestedReport[]> {
  const reports: RequestedReport[] = [];
  const skipped: string[] = [];
  const skip = ({ path: file, reason }: { path: string; reason: string }) => skipped.push(`${file}: ${reason}`);
  for await (const { labels, report } of mimicCxrJpg.records(path, skip)) {
    // F may stop at once: an empty report mentions nothing.
    reports.push({ labels: new Set(LABELS.filter(label => labels[label] === 1)), report: report ?? '' });
  }
  if (skipped.length > 0) {
    const message = `expected a folder whose every pair can be read; ${skipped.length} cannot, the first ${skipped[0]}`;
    throw new FedError('DATA_INVALID', message, 'generate the folder again');
  }
  return reports;
}

function lineOf({ finding, hits, trials, controlHits, controlTrials, p }: FindingDependence): string {
  return `| ${finding} | ${share(hits, trials)} | ${share(controlHits, controlTrials)} | ${trials === 0 ? '-' : shown(p)} |`;
}

function share(hits: number, of: number): string {
  return of === 0 ? 'none requested' : `${hits} of ${of} (${((100 * hits) / of).toFixed(1)} %)`;
}

function shown(p: number): string {
  return p < 0.001 ? p.toExponential(1) : p.toFixed(3);
}
