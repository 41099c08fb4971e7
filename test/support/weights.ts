/** Small safetensors files for tests of transfers. */
import { writeSafetensors } from '#model/checkpoint/safetensors.ts';

/** F32 tensors filled with `value` + position; tensors of 2^19 elements and more span several chunks. */
export async function writeWeights(
  path: string,
  tensors: Readonly<Record<string, { elements: number; value: number }>>,
) {
  await writeSafetensors(
    path,
    Object.entries(tensors).map(([name, { elements, value }]) => {
      const data = Float32Array.from({ length: elements }, (_, i) => value + i);
      return { name, dtype: 'F32' as const, shape: [elements], data: new Uint8Array(data.buffer) };
    }),
  );
}
