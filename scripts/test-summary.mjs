/** Prints the closing line of a test run, "N passed, N failed[, N skipped]", from vitest's JSON report. */
import { readFileSync } from 'node:fs';

const report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const {
  numPassedTests: passed,
  numFailedTests: failed,
  numFailedTestSuites: suites,
  numPendingTests: skipped,
} = report;
// A file that fails to load has no failed test: it must not look like a pass.
const brokenFiles = report.testResults.filter(file => file.status === 'failed' && file.assertionResults.length === 0);
const failures = failed + brokenFiles.length;
if (passed === 0 && failures === 0) throw new Error(`no test ran (${suites} suites failed)`);
process.stdout.write(`${passed} passed, ${failures} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
