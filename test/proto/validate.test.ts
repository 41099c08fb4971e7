import { Type } from 'typebox';
import { describe, expect, it } from 'vitest';
import { nearest, parseWith } from '#proto/validate.ts';

const closed = { additionalProperties: false };
const schema = Type.Object(
  {
    rounds: Type.Integer({ minimum: 1, default: 3 }),
    privacy: Type.Object({ clipNorm: Type.Number({ default: 1 }) }, { ...closed, default: {} }),
    sites: Type.Array(Type.Object({ name: Type.String() }, closed), { default: [] }),
  },
  closed,
);
const parse = (value: unknown) => parseWith(schema, value, 'file x');

describe('parseWith', () => {
  it('fills in defaults, nested ones too, and leaves its input alone', () => {
    const input = { sites: [{ name: 'a' }] };
    expect(parse(input)).toEqual({ rounds: 3, privacy: { clipNorm: 1 }, sites: [{ name: 'a' }] });
    expect(input).toEqual({ sites: [{ name: 'a' }] });
    expect(parse(undefined)).toEqual({ rounds: 3, privacy: { clipNorm: 1 }, sites: [] });
  });

  it.each([
    [{ round: 1 }, /file x: unknown key "round"/, /did you mean "rounds"\?/],
    [{ privacy: { clipnorm: 1 } }, /unknown key "clipnorm"/, /did you mean "clipNorm"\?/],
    [{ sites: [{ name: 'a', nmae: 'b' }] }, /unknown key "nmae"/, /did you mean "name"\?/],
    [{ zzzzzzzz: 1 }, /unknown key "zzzzzzzz"/, /remove it/],
    [{ rounds: 0 }, /file x: rounds must be >= 1/, /correct/],
    [{ rounds: 'many' }, /rounds must be integer/, /correct/],
    [{ privacy: null }, /privacy must be object/, /correct/],
    [[], /file x/, /correct/],
  ])('refuses %j', (value, message, remedy) => {
    expect(() => parse(value)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(message),
        remedy: expect.stringMatching(remedy),
      }),
    );
  });
});

describe('nearest', () => {
  it('finds slips of the keyboard and nothing far', () => {
    expect(nearest('opnei', ['openi', 'kermany'])).toBe('openi');
    expect(nearest('OPENI', ['openi'])).toBe('openi');
    expect(nearest('quite-different', ['openi', 'kermany'])).toBeUndefined();
    expect(nearest('x', [])).toBeUndefined();
  });
});
