/** The audit for a reader: one HTML file without network access, script or raw record. */
import type { GateReport, GateResult } from './gate.ts';
import { percent, thousands } from './gates/finding.ts';
import { escapeHtml } from './html/escape.ts';
import { siteSection, sitesTable } from './html/site-section.ts';
import { STYLE } from './html/style.ts';
import { badge, type Cell, table, VERDICT_WORDS } from './html/table.ts';
import { GLOSSARY, METHOD, TESTED } from './html/texts.ts';
import { ThresholdsSchema } from './thresholds.ts';

const list = (items: readonly string[]): string =>
  `<ul>${items.map(item => `<li>${escapeHtml(item)}</li>`).join('')}</ul>`;

/**
 * The report as a document of its own.
 * @param about when it was made (ISO 8601) and by which version of the software; passed in, so that the same audit
 *   gives the same bytes
 */
export function reportHtml(report: GateReport, about: { readonly madeAt: string; readonly software: string }): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Privacy audit: ${VERDICT_WORDS[report.verdict]}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Privacy audit of a synthetic data set</h1>
<p class="soft">${escapeHtml(summaryLine(report))} Made ${escapeHtml(about.madeAt)} by ${escapeHtml(about.software)}.</p>
<div class="verdict ${report.verdict}"><p><strong>${escapeHtml(report.sentence)}</strong></p>
<p>${report.verdict === 'pass' ? 'The model and the synthetic set may be released.' : 'The model and the synthetic set stay withheld: only a pass releases.'}</p>
${report.stamps.map(stamp => `<span class="stamp">${escapeHtml(stamp)}</span>`).join(' ')}</div>
<h2>Gates</h2>
${gatesTable(report.gates)}
<h2>Sites</h2>
<p>${escapeHtml(METHOD)}</p>
${sitesTable(report)}
${report.sites.map(({ site, audit }) => siteSection(site, audit)).join('\n')}
<h2>What was tested</h2>
${list(TESTED)}
<h2>What was not tested</h2>
${list(report.notTested)}
<h2>Thresholds and their reasons</h2>
${thresholdsTable(report)}
<h2>How to reproduce</h2>
${reproduction(report)}
<h2>Glossary</h2>
<dl>${GLOSSARY.map(([term, meaning]) => `<dt>${escapeHtml(term)}</dt><dd>${escapeHtml(meaning)}</dd>`).join('')}</dl>
</body>
</html>
`;
}

function summaryLine({ sites }: GateReport): string {
  const pairs = Math.max(0, ...sites.map(({ audit }) => audit?.generated.images ?? 0));
  const audited = sites.filter(({ audit }) => audit !== null).length;
  return `${thousands(pairs)} generated pairs, audited by ${audited} of ${sites.length} sites against their own records.`;
}

/** What the statistic of each gate is, since they are not alike. */
const MEASURES: Readonly<Record<string, { statistic: string; format: (value: number) => string }>> = {
  G0: { statistic: 'recall of the worst plants', format: percent },
  G1: { statistic: 'reports with hits', format: thousands },
  G2: { statistic: 'rate of copies', format: percent },
  G3: { statistic: 'adjusted p; bound = detection limit', format: value => value.toPrecision(2) },
  G4: { statistic: 'pair copies', format: thousands },
};

function gatesTable(gates: readonly GateResult[]): string {
  const rows = gates.map(({ id, name, verdict, statistic, bound, threshold, n, reason, site, sites }): Cell[] => {
    const measure = MEASURES[id];
    const share = id === 'G1' || id === 'G4' ? thousands : percent;
    return [
      id,
      name,
      badge(verdict),
      statistic === null ? null : (measure?.format(statistic) ?? String(statistic)),
      bound === null ? null : percent(bound),
      threshold === null ? null : share(threshold),
      n,
      `${sites.length > 1 && site !== null && verdict !== 'pass' ? `${site}: ` : ''}${reason}${measure === undefined ? '' : ` [${measure.statistic}]`}`,
    ];
  });
  const number = (title: string) => ({ title, numeric: true });
  return table(
    'Fail goes before insufficient evidence before pass; the numbers are those of the site that binds',
    [
      { title: 'gate' },
      { title: 'about' },
      { title: 'verdict' },
      number('statistic'),
      number('bound'),
      number('threshold'),
      number('n'),
      { title: 'reason [statistic]', prose: true },
    ],
    rows,
  );
}

function thresholdsTable({ context }: GateReport): string {
  const flat = { ...context.thresholds, ...context.thresholds.search };
  const described = { ...ThresholdsSchema.properties, ...ThresholdsSchema.properties.search.properties };
  const rows = Object.entries(flat)
    .filter(([name]) => name !== 'search')
    .map(([name, value]): Cell[] => {
      const { description } = (described as Record<string, { description?: string }>)[name] ?? {};
      return [name, typeof value === 'number' ? value : JSON.stringify(value), description ?? null];
    });
  return table(
    'As configured for this run',
    [{ title: 'name' }, { title: 'value', numeric: true }, { title: 'reason', prose: true }],
    rows,
  );
}

function reproduction({ context, sites }: GateReport): string {
  const audit = sites.find(entry => entry.audit !== null)?.audit;
  const rows: [string, string][] = [
    ['model (SHA-256)', context.modelSha256],
    ['synthetic set (SHA-256)', context.syntheticSha256],
    ['pixels and reports as audited (SHA-256)', audit?.generatedSha256 ?? 'none audited'],
    ['run configuration (SHA-256)', context.runSha256],
    ['thresholds (SHA-256)', audit?.thresholdsSha256 ?? 'none audited'],
    ['seeds by site', sites.map(({ site, audit: own }) => `${site}: ${own?.seed ?? 'none'}`).join(', ')],
  ];
  return `<p>Run the audit again at a site over the same records, synthetic set, thresholds and seed: every count is the same. The JSON beside this file holds the same numbers.</p>
${table(
  'What the verdict is about',
  [{ title: 'of' }, { title: 'value' }],
  rows.map(([name, value]) => [name, { html: `<code>${escapeHtml(value)}</code>` }]),
)}`;
}
