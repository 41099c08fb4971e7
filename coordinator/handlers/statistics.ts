/** A site's statistics as they came over the wire. */
import { type SiteStatistics, SiteStatisticsSchema } from '#model/federated.ts';
import { FedError, toFedError } from '#proto/errors.ts';
import { parseWith } from '#proto/validate.ts';
import { parseObject } from './metrics.ts';

/** About 100,000 tokens. */
const MAX_JSON_CHARS = 2 * 1024 * 1024;
const MAX_TOKEN_CHARS = 64;
const MAX_LABELS = 64;

/** @throws FedError MESSAGE_INVALID | LIMIT_EXCEEDED */
export function parseStatistics(json: string): SiteStatistics {
  if (json.length > MAX_JSON_CHARS) {
    throw new FedError('LIMIT_EXCEEDED', `statistics of more than ${MAX_JSON_CHARS} characters`, 'raise minPatients');
  }
  const { tokens, ...rest } = parseObject(json, 'statistics');
  try {
    // The schema would walk every token and its copies in one go; a loop does the same without holding up the process.
    const statistics = parseWith(SiteStatisticsSchema, { ...rest, tokens: {} }, 'statistics');
    if (Object.keys(statistics.labels).length > MAX_LABELS) throw new Error(`more than ${MAX_LABELS} labels`);
    return { ...statistics, tokens: requireCounts(tokens) };
  } catch (thrown) {
    throw new FedError('MESSAGE_INVALID', toFedError(thrown).message, 'install the same version at both ends');
  }
}

function requireCounts(tokens: unknown): Record<string, number> {
  if (typeof tokens !== 'object' || tokens === null || Array.isArray(tokens)) throw new Error('expected token counts');
  for (const [token, patients] of Object.entries(tokens)) {
    if (token.length > MAX_TOKEN_CHARS || !Number.isSafeInteger(patients) || patients < 1) {
      throw new Error('expected counts of at least 1 for tokens of at most 64 characters; something else came');
    }
  }
  return tokens as Record<string, number>;
}
