/** Metrics as JSON: a flat object of finite numbers, bounded, so that whatever a site sends can be stored and shown. */
import { FedError } from '#proto/errors.ts';

const MAX_JSON_BYTES = 64 * 1024;
const MAX_METRICS = 200;
const NAME = /^[\w./ -]{1,100}$/;

/** @throws FedError MESSAGE_INVALID | LIMIT_EXCEEDED */
export function parseMetrics(json: string): Record<string, number> {
  if (json.length > MAX_JSON_BYTES)
    throw new FedError('LIMIT_EXCEEDED', `metrics of more than ${MAX_JSON_BYTES} bytes`);
  const value = json === '' ? {} : parseObject(json, 'metrics');
  const entries = Object.entries(value);
  if (entries.length > MAX_METRICS) throw new FedError('LIMIT_EXCEEDED', `more than ${MAX_METRICS} metrics`);
  for (const [name, metric] of entries) {
    if (!NAME.test(name) || typeof metric !== 'number' || !Number.isFinite(metric)) {
      throw new FedError('MESSAGE_INVALID', 'expected metrics as a JSON object of finite numbers; something else came');
    }
  }
  return Object.fromEntries(entries) as Record<string, number>;
}

/** @throws FedError MESSAGE_INVALID */
export function parseObject(json: string, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    value = undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FedError('MESSAGE_INVALID', `expected ${what} as a JSON object; something else came`);
  }
  return value as Record<string, unknown>;
}
