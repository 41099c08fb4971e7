import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { type ErrorCode, errorCatalogue, FedError, toFedError } from '#proto/errors.ts';
import { fromServiceError, publicError, toServiceError } from '#proto/status.ts';

const codes = Object.keys(errorCatalogue) as ErrorCode[];

describe('the catalogue', () => {
  it('keeps to the exit codes of the command line; 5 and 6 are verdicts, no errors', () => {
    expect(new Set(codes.map(code => errorCatalogue[code].exitCode))).toEqual(new Set([1, 2, 3, 4, 7, 130]));
  });

  it.each(codes)('%s crosses the wire as itself, and never as OK', code => {
    const sent = toServiceError(new FedError(code, 'expected; came', 'do this'));
    expect(sent.code).toBe(errorCatalogue[code].grpcStatus);
    expect(sent.code).not.toBe(status.OK);
    expect(fromServiceError(sent)).toMatchObject({ name: 'FedError', code });
  });
});

describe('publicError', () => {
  it('keeps paths of this machine back: the codes whose messages hold them are told in general words', () => {
    const full = Object.assign(new Error("ENOSPC: no space left, write '/srv/private/x'"), { code: 'ENOSPC' });
    for (const thrown of [full, new Error('/srv/private/x'), new FedError('FILE_CORRUPT', 'at /srv/private/x', '')]) {
      expect(JSON.stringify(publicError(thrown))).not.toContain('private');
    }
    expect(publicError(full).code).toBe('DISK_FULL');
  });

  it('bounds what it sends', () => {
    const { message, remedy } = publicError(new FedError('USAGE', 'x'.repeat(1e6), 'y'.repeat(1e6)));
    expect([message.length, remedy.length]).toEqual([1_000, 1_000]);
  });
});

describe('toFedError', () => {
  it('leaves a FedError as it is, knows the system errors that a user can act on, and calls the rest INTERNAL', () => {
    const own = new FedError('USAGE', 'm');
    expect(toFedError(own)).toBe(own);
    const system = (code: string) => toFedError(Object.assign(new Error('m'), { code })).code;
    expect([system('ENOSPC'), system('EADDRINUSE'), system('EPERM')]).toEqual(['DISK_FULL', 'PORT_IN_USE', 'INTERNAL']);
    expect(toFedError('text')).toMatchObject({ code: 'INTERNAL', message: 'text' });
  });
});
