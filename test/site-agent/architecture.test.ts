/** What a reviewer would look for first: whether anything but egress can open a connection or reach the key. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../site-agent', import.meta.url));
const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.ts'))
  .map(name => ({ name, text: readFileSync(join(root, name), 'utf8') }));
const filesWith = (pattern: RegExp) => sources.filter(({ text }) => pattern.test(text)).map(({ name }) => name);

describe('site-agent', () => {
  it('is looked at whole', () => {
    expect(sources.length).toBeGreaterThan(30);
    expect(filesWith(/class Egress\b/)).toEqual(['egress.ts']);
  });

  it('makes calls in egress only', () => {
    expect(filesWith(/ServiceClient\b/)).toEqual(['egress.ts']);
    expect(filesWith(/proto\/(calls|tls)\.ts'/).sort()).toEqual(['egress.ts', 'identity.ts']);
    // identity.ts reads the name in the certificate, nothing more.
    expect(filesWith(/channelCredentials/)).toEqual(['egress.ts']);
  });

  it('knows no other way to the network', () => {
    const pattern = /@grpc\/grpc-js|node:(http2?|https|net|tls|dgram|dns)|\bfetch\(.*http|WebSocket|EventSource/;
    expect(filesWith(pattern)).toEqual([]);
  });

  it('hands the private key to egress alone', () => {
    const withKey = ['agent.ts', 'egress.ts', 'enrolment.ts', 'identity.ts', 'preflight.ts'];
    expect(filesWith(/keyPem/).sort()).toEqual(withKey);
    expect(filesWith(/signDigest/)).toEqual(['egress.ts']);
  });

  it('reads neither arguments nor environment, but in the worker, which has a process of its own', () => {
    expect(filesWith(/process\.(env|argv)\b/)).toEqual(['worker/main.ts']);
  });

  it('starts processes in one place, under the permission model', () => {
    expect(filesWith(/node:child_process/)).toEqual(['worker/process.ts']);
  });
});
