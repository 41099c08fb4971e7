/** One-time tokens: shown once in an invite file, stored only as a hash. */
import { createHash, randomBytes } from 'node:crypto';

/** 256 random bits. */
export const newToken = (): string => randomBytes(32).toString('base64url');

export const tokenSha256 = (token: string): string => createHash('sha256').update(token).digest('hex');
