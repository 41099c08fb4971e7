/** Maximum likelihood of real reports given their images (paper, section 3.2.2), as one compiled call. */
import * as tf from '@tensorflow/tfjs-core';
import { Compiled } from '../backend/graph/compiled.ts';
import type { Emixer } from '../emixer/emixer.ts';
import type { ImageEncoder } from '../emixer/image-encoder.ts';
import type { TeacherTensors } from '../emixer/teacher-tensors.ts';
import { variablesOf } from '../layers/parameters.ts';
import type { Adam } from '../optimiser/adam.ts';
import type { LossName } from './loss-names.ts';
import { CompiledObjective } from './minimise.ts';

/** "features" [B, 512] of "images" [B, H, W, C], the encoder being frozen. */
export const compiledFeatures = (encoder: ImageEncoder): Compiled =>
  new Compiled(variablesOf(encoder.parameters), ({ images }) => ({
    features: encoder.features(images as tf.Tensor4D),
  }));

/**
 * Its inputs are "features" [B, 512] and TeacherTensors.
 * @param optimiser of F's decoder
 */
export const imitationObjective = (
  { reportGenerator }: Pick<Emixer, 'reportGenerator'>,
  optimiser: Adam,
  name: LossName,
  weight = 1,
): CompiledObjective =>
  new CompiledObjective([optimiser], [], inputs => {
    const { features, ...teacher } = inputs as TeacherTensors & { features: tf.Tensor2D };
    return { losses: { [name]: tf.mul(reportGenerator.teacherForcing(features, teacher).loss, weight) } };
  });
