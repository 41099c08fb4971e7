/** The report's one style sheet: light, dark and print. */
export const STYLE = `
:root{color-scheme:light dark;--ink:#1b2430;--soft:#55606e;--line:#d6dbe2;--paper:#fff;--panel:#f5f7f9;--fail:#b3261e;--wait:#8a5a00;--pass:#1a7040;--generated:#2563a8;--holdout:#7c8794;--train:#a9b2bd;--planted:#c2571a}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#a3adba;--line:#38414d;--paper:#14181e;--panel:#1d232b;--fail:#ff8a80;--wait:#f2c14e;--pass:#6fcf97;--generated:#6fb1f5;--holdout:#97a3b1;--train:#66717e;--planted:#f0935a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:2rem 1.25rem 4rem;font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .25rem}h2{font-size:1.2rem;margin:2.5rem 0 .5rem;padding-top:1rem;border-top:1px solid var(--line)}h3{font-size:1rem;margin:1.75rem 0 .5rem}
p,ul,dl{max-width:46rem;margin:.5rem 0}.soft{color:var(--soft)}code{font:.85em ui-monospace,"Liberation Mono",monospace;overflow-wrap:anywhere}
.verdict{margin:1.5rem 0;padding:1rem 1.25rem;background:var(--panel);border-left:6px solid var(--wait);border-radius:4px}.verdict p{margin:.25rem 0;font-size:1.05rem}
.verdict.fail{border-color:var(--fail)}.verdict.pass{border-color:var(--pass)}
.badge{font-weight:600;white-space:nowrap}.badge.fail{color:var(--fail)}.badge.insufficient-evidence{color:var(--wait);white-space:normal}.badge.pass{color:var(--pass)}
.stamp{display:inline-block;margin-top:.5rem;padding:.1rem .6rem;border:1.5px solid var(--soft);border-radius:3px;color:var(--soft);font-size:.85rem;font-weight:600}
.scroll{overflow-x:auto;margin:.75rem 0}table{border-collapse:collapse;width:100%;font-size:.875rem}caption{text-align:left;color:var(--soft);padding-bottom:.35rem}
th,td{padding:.4rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}th{font-weight:600;border-bottom-width:2px}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.prose{min-width:17rem}
figure{margin:1rem 0}svg{width:100%;height:auto;display:block}figcaption{color:var(--soft);font-size:.875rem}
svg text{font-size:12px;fill:var(--ink)}svg .name{text-anchor:end;font-weight:600}svg .note{text-anchor:end;fill:var(--soft);font-size:11px}svg text.tick,svg .title{text-anchor:middle;fill:var(--soft)}
svg line.axis,svg line.tick{stroke:var(--soft);stroke-width:1}svg line.cut{stroke:var(--fail);stroke-width:1.5;stroke-dasharray:5 3}svg text.cut{fill:var(--fail);text-anchor:end}
.generated{fill:var(--generated)}.holdout{fill:var(--holdout)}.train{fill:var(--train)}.planted{fill:var(--planted)}
details summary{cursor:pointer;color:var(--soft);font-size:.875rem}dt{font-weight:600;margin-top:.6rem}dd{margin:0}
@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#bbb;--paper:#fff;--panel:#f4f4f4;--fail:#b3261e;--wait:#8a5a00;--pass:#1a7040;--generated:#2563a8;--holdout:#7c8794;--train:#a9b2bd;--planted:#c2571a}body{max-width:none;padding:0;font-size:10.5pt}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}figure,tr,.verdict{break-inside:avoid}h2,h3{break-after:avoid}thead{display:table-header-group}.scroll{overflow:visible}td.prose{min-width:0}}
@page{margin:16mm}
`;
