import { createHash } from 'node:crypto';
import { appendFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { allCommands } from '#cli/commands/index.ts';
import { reportText } from '#cli/model/pair-layout.ts';
import { runProgram } from '#cli/program.ts';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { openModelFile } from '#model/checkpoint/model-file.ts';
import { LABELS } from '#model/labels.ts';
import { cleanReport, joinReport } from '#model/text/report-cleaner.ts';
import { mimicCxrJpg } from '#site-agent/data/mimic-cxr-jpg.ts';
import type { SourceRecord } from '#site-agent/data/record.ts';
import { findSections, joinSections } from '#site-agent/data/report-sections.ts';
import { fakeTerminal } from '../../support/fake-terminal.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { writeTinyModel } from '../../support/tiny-model-file.ts';

beforeAll(() => loadBackend(backendOptionsFromEnvironment(process.env)));

async function run(argv: readonly string[], signal = new AbortController().signal) {
  const terminal = fakeTerminal({ now: Date.now, signal });
  const code = await runProgram(allCommands, ['model', ...argv], terminal);
  return { code, out: terminal.out(), err: terminal.err() };
}

async function tinyModel(): Promise<{ dir: string; model: string }> {
  const dir = await temporaryFolder();
  const model = join(dir, 'model.safetensors');
  (await writeTinyModel(model)).dispose();
  return { dir, model };
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Every file below a folder by its hash. */
async function hashes(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
  const pairs = files.sort().map(async file => [file.slice(folder.length + 1), sha256(await readFile(file))] as const);
  return Object.fromEntries(await Promise.all(pairs));
}

const generateArgv = (model: string, out: string, ...more: string[]): string[] => [
  'generate',
  '--model',
  model,
  '--count',
  '7',
  '--batch',
  '3',
  '--seed',
  '5',
  '--out',
  out,
  ...more,
];

describe('emixer model generate', () => {
  it("writes a folder that MIMIC-CXR-JPG's loader reads back, with a manifest of every file", async () => {
    const { dir, model } = await tinyModel();
    const out = join(dir, 'out');
    const { code, out: stdout } = await run([
      ...generateArgv(model, out),
      '--labels',
      'Edema=4,No Finding=3',
      '--json',
    ]);
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    const modelSha256 = sha256(await readFile(model));
    expect(result).toMatchObject({ out, pairs: 7, resumed: 0, seed: 5, batch: 3, model: { sha256: modelSha256 } });

    const skipped: object[] = [];
    const records: SourceRecord[] = [];
    for await (const record of mimicCxrJpg.records(out, skip => skipped.push(skip))) records.push(record);
    expect(skipped).toEqual([]);
    expect(records).toHaveLength(7);
    expect(new Set(records.map(({ patient }) => patient)).size).toBe(7);
    const positives = records.map(({ labels }) => LABELS.filter(label => labels[label] === 1).join());
    expect(positives.filter(label => label === 'Edema')).toHaveLength(4);
    expect(positives.filter(label => label === 'No Finding')).toHaveLength(3);
    // What a pair was not generated for is negative, not missing.
    expect(records.every(({ labels }) => LABELS.every(label => labels[label] !== null))).toBe(true);
    expect(records.some(({ report }) => (report ?? '').length > 5)).toBe(true);

    const manifest = JSON.parse(await readFile(join(out, 'manifest.json'), 'utf8'));
    expect(manifest).toMatchObject({
      model: { sha256: modelSha256 },
      seed: 5,
      count: 7,
      labels: 'Edema=4,No Finding=3',
    });
    const { 'manifest.json': _, ...files } = await hashes(out);
    expect(manifest.files).toEqual(files);
    expect(Object.keys(files)).toHaveLength(7 + 7 + 3 + 1);
    expect((await readFile(join(out, 'gallery.png'))).subarray(1, 4).toString()).toBe('PNG');
  });

  it('gives the same files for the same seed, interrupted or not, and others for another', async () => {
    const { dir, model } = await tinyModel();
    const [whole, again, other, broken] = ['whole', 'again', 'other', 'broken'].map(name => join(dir, name)) as [
      string,
      string,
      string,
      string,
    ];
    expect((await run(generateArgv(model, whole))).code).toBe(0);
    const { numTensors } = tf.memory();
    expect((await run(generateArgv(model, again))).code).toBe(0);
    expect(tf.memory().numTensors).toBe(numTensors);
    const expected = await hashes(whole);
    expect(await hashes(again)).toEqual(expected);
    expect((await run([...generateArgv(model, other).map(word => (word === '5' ? '6' : word))])).code).toBe(0);
    expect(await hashes(other)).not.toEqual(expected);

    // Stopped before its second batch is stored.
    const controller = new AbortController();
    const terminal = fakeTerminal({ now: Date.now, signal: controller.signal });
    const stderr = new Writable({
      write(piece, _encoding, done) {
        if (String(piece).startsWith('3 of 7')) controller.abort();
        terminal.stderr.write(piece, done);
      },
    });
    expect(await runProgram(allCommands, ['model', ...generateArgv(model, broken)], { ...terminal, stderr })).toBe(130);
    expect(terminal.err()).toContain('interrupted after 3 of 7 pairs');
    expect(await readdir(broken)).toEqual(['.generating.jsonl', 'files']);
    // A line that was being written when the power failed.
    await appendFile(join(broken, '.generating.jsonl'), '{"labels":8,"ima');
    const resumed = await run([...generateArgv(model, broken), '--json']);
    expect(resumed.code).toBe(0);
    expect(JSON.parse(resumed.out)).toMatchObject({ pairs: 7, resumed: 3 });
    expect(resumed.err).toContain('3 of 7 pairs are there already');
    expect(await hashes(broken)).toEqual(expected);
  });

  it('goes back to the last batch whose files are whole', async () => {
    const { dir, model } = await tinyModel();
    const whole = join(dir, 'whole');
    await run(generateArgv(model, whole));
    const expected = await hashes(whole);
    // As if it had been killed before the tables: the journal is there, and a file of the second batch is damaged.
    const manifest = JSON.parse(await readFile(join(whole, 'manifest.json'), 'utf8'));
    const { model: made, seed, count, batch, labels } = manifest;
    const identity = { model: made.sha256, seed, count, batch, labels };
    const files = Object.entries(manifest.files as Record<string, string>).slice(4);
    const lines = Array.from({ length: 7 }, (_, i) =>
      JSON.stringify({ labels: 8, image: files[2 * i]?.[1], report: files[2 * i + 1]?.[1] }),
    );
    for (const name of ['manifest.json', 'gallery.png']) await rm(join(whole, name));
    await writeFile(join(whole, '.generating.jsonl'), `${[JSON.stringify(identity), ...lines].join('\n')}\n`);
    await writeFile(join(whole, files[9]?.[0] as string), 'damaged');
    const { code, out } = await run([...generateArgv(model, whole), '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(out).resumed).toBe(3);
    const after = await hashes(whole);
    for (const [name] of files) expect(after[name], name).toBe(expected[name]);
  });

  it('writes into no folder that holds something else', async () => {
    const { dir, model } = await tinyModel();
    const out = join(dir, 'out');
    await run(generateArgv(model, out));
    const again = await run(generateArgv(model, out));
    expect(again.code).toBe(2);
    expect(again.err).toContain('holds a finished set');
    const foreign = await run(generateArgv(model, dir));
    expect(foreign.code).toBe(2);
    expect(foreign.err).toContain('holds other files');
    const begun = await temporaryFolder();
    await writeFile(join(begun, '.generating.jsonl'), '{"seed":9}\n');
    const mixed = await run(generateArgv(model, begun));
    expect(mixed.code).toBe(2);
    expect(mixed.err).toContain('the beginning of another generation');
  });

  it('refuses a damaged model, and labels that it does not know, before it writes anything', async () => {
    const { dir, model } = await tinyModel();
    const out = join(dir, 'out');
    const unknown = await run([...generateArgv(model, out), '--labels', 'Oedema=7']);
    expect(unknown.code).toBe(2);
    const missing = await run(generateArgv(join(dir, 'none.safetensors'), out));
    expect(missing.code).toBe(3);
    await appendFile(model, 'x');
    const damaged = await run(generateArgv(model, out));
    expect(damaged.code).toBe(3);
    expect(damaged.err).toContain('to do: ');
    expect(await readdir(dir)).toEqual(['model.safetensors']);
  });

  it.each(['the heart is normal . no effusion .', 'a b . c d .', '3.5 cm nodule .', 'xxxx is removed .', ''])(
    'a report file of "%s" says that',
    report => {
      const read = joinSections(findSections(reportText(report)));
      expect(joinReport(cleanReport(read ?? ''))).toBe(report);
    },
  );
});

describe('emixer model export', () => {
  it('writes a file that generates the same pairs and says where it is from', async () => {
    const { dir, model } = await tinyModel();
    const exported = join(dir, 'exported.safetensors');
    const { code, out } = await run(['export', '--model', model, '--out', exported, '--json']);
    expect(code).toBe(0);
    const result = JSON.parse(out);
    const source = sha256(await readFile(model));
    expect(result).toMatchObject({
      sha256: sha256(await readFile(exported)),
      source: { sha256: source },
      resolution: 32,
    });
    const [from, to] = [await openModelFile(model), await openModelFile(exported)];
    expect(to.tensors).toEqual(from.tensors);
    expect(to.config).toEqual(from.config);
    expect(to.file.metadata).toMatchObject({ source_sha256: source, run_id: 'r' });
    await Promise.all([from.file.close(), to.file.close()]);

    await run(generateArgv(model, join(dir, 'a')));
    expect((await run(generateArgv(exported, join(dir, 'b')))).code).toBe(0);
    const [a, b] = [await hashes(join(dir, 'a')), await hashes(join(dir, 'b'))];
    expect({ ...b, 'manifest.json': '' }).toEqual({ ...a, 'manifest.json': '' });
  });

  it('refuses what is no whole model, and leaves nothing behind', async () => {
    const { dir, model } = await tinyModel();
    const exported = join(dir, 'exported.safetensors');
    expect((await run(['export', '--model', model, '--out', model])).code).toBe(2);
    const bytes = await readFile(model);
    await writeFile(model, bytes.subarray(0, bytes.length - 4));
    const truncated = await run(['export', '--model', model, '--out', exported]);
    expect(truncated.code).toBe(3);
    (await writeTinyModel(model, { vocabulary: '["one"]' })).dispose();
    const mismatched = await run(['export', '--model', model, '--out', exported]);
    expect(mismatched.code).toBe(3);
    expect(mismatched.err).toContain('F/decoder');
    expect(await readdir(dir)).toEqual(['model.safetensors']);
  });
});
