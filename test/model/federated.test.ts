import { describe, expect, test } from 'vitest';
import { parseRunConfig } from '#model/federated.ts';

describe('a run configuration', () => {
  test('is refused when its model has another number of labels than the records', () => {
    expect(() => parseRunConfig({ sites: ['a'], model: { labels: 5 } })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('have 14') }),
    );
    expect(parseRunConfig({ sites: ['a'], model: { labels: 14 } }).model).toEqual({ labels: 14 });
  });
});
