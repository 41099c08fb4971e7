/** G and F of a model file in memory, ready to sample: with the standing statistics that the file holds. */

import { FedError } from '#proto/errors.ts';
import type { ModelFile } from '../checkpoint/model-file.ts';
import { assignFrom, tensorsOf } from '../checkpoint/network-file.ts';
import type { Emixer } from '../emixer/emixer.ts';
import { ImageEncoder } from '../emixer/image-encoder.ts';
import { ImageGenerator } from '../emixer/image-generator.ts';
import { ReportGenerator } from '../emixer/report-generator.ts';
import { Random } from '../random.ts';

export type Generators = Pick<Emixer, 'config' | 'vocabulary' | 'generator' | 'encoder' | 'reportGenerator'>;

/**
 * The backend must have been loaded.
 * @throws FedError FILE_CORRUPT when the file's tensors are not exactly those of its own configuration
 */
export async function loadGenerators({ path, file, config, vocabulary }: ModelFile): Promise<Generators> {
  // Every value is replaced.
  const random = new Random('overwritten');
  const generators = {
    config,
    vocabulary,
    generator: new ImageGenerator(config, random),
    encoder: new ImageEncoder(config, 'F/encoder', random),
    reportGenerator: new ReportGenerator(config, vocabulary.size, random),
  };
  try {
    const variables = new Map(tensorsOf(networksOf(generators)));
    const foreign = [...file.entries.keys()].find(name => !variables.has(name));
    if (foreign !== undefined) {
      throw new FedError(
        'FILE_CORRUPT',
        `${path} holds a tensor ${foreign.slice(0, 100)}; its configuration has none of that name`,
        'use a model of this architecture',
      );
    }
    for (const [name, variable] of variables) await assignFrom(file, name, variable);
    return generators;
  } catch (thrown) {
    disposeGenerators(generators);
    throw thrown;
  }
}

export function disposeGenerators({ generator, encoder, reportGenerator }: Generators): void {
  for (const network of [generator, encoder, reportGenerator]) network.dispose();
}

const networksOf = ({ generator, encoder, reportGenerator }: Generators) =>
  [generator, encoder, reportGenerator].map(network => network.parameters);
