/**
 * A DenseNet as PyTorch has it: a state dictionary of known numbers, the bytes of its safetensors file, and its forward
 * pass in plain loops over [C, H, W] arrays, written from the paper and sharing nothing with the code under test.
 */
import { Random } from '#model/random.ts';

export interface TorchTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly values: Float32Array | BigInt64Array | Float64Array;
}
export type StateDict = Map<string, TorchTensor>;

export function torchDenseNet(growth: number, blocks: readonly number[], outputs: number, channels = 1): StateDict {
  const random = new Random('torch', growth);
  const state: StateDict = new Map();
  const floats = (name: string, shape: number[], value: (normal: number) => number) => {
    const values = random.normals(shape.reduce((a, b) => a * b, 1)).map(value);
    state.set(name, { dtype: 'F32', shape, values });
  };
  const conv = (name: string, [o, i, k]: [number, number, number]) =>
    floats(`${name}.weight`, [o, i, k, k], v => v * Math.sqrt(2 / (i * k * k)));
  const norm = (name: string, width: number) => {
    floats(`${name}.weight`, [width], v => 1 + v / 4);
    floats(`${name}.bias`, [width], v => v / 4);
    floats(`${name}.running_mean`, [width], v => v / 2);
    // So small at times that the epsilon counts.
    floats(`${name}.running_var`, [width], v => (v > 1 ? 0.01 : 0.5 + Math.abs(v)));
    state.set(`${name}.num_batches_tracked`, { dtype: 'I64', shape: [], values: BigInt64Array.of(1234n) });
  };
  let width = 2 * growth;
  conv('features.conv0', [width, channels, 7]);
  norm('features.norm0', width);
  // Films in [-1024, 1024] leave conv0 as large as this.
  const running = state.get('features.norm0.running_var')?.values as Float32Array;
  running.set(running.map(value => value * 1e6));
  for (const [b, layers] of blocks.entries()) {
    for (let l = 1; l <= layers; l++, width += growth) {
      const layer = `features.denseblock${b + 1}.denselayer${l}`;
      norm(`${layer}.norm1`, width);
      conv(`${layer}.conv1`, [4 * growth, width, 1]);
      norm(`${layer}.norm2`, 4 * growth);
      conv(`${layer}.conv2`, [growth, 4 * growth, 3]);
    }
    if (b === blocks.length - 1) break;
    norm(`features.transition${b + 1}.norm`, width);
    conv(`features.transition${b + 1}.conv`, [width / 2, width, 1]);
    width /= 2;
  }
  norm('features.norm5', width);
  floats('classifier.weight', [outputs, width], v => v);
  floats('classifier.bias', [outputs], v => v);
  return state;
}

export function stateDictBytes(state: StateDict): Buffer {
  let offset = 0;
  const parts: Uint8Array[] = [];
  const header = [...state].map(([name, { dtype, shape, values }]) => {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    parts.push(bytes);
    const begin = offset;
    offset += bytes.length;
    return [name, { dtype, shape, data_offsets: [begin, offset] }];
  });
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...parts]);
}

interface Maps {
  readonly c: number;
  readonly side: number;
  /** [C, side, side] */
  readonly v: Float64Array;
}

const at = ({ side, v }: Maps, c: number, y: number, x: number): number | undefined =>
  y < 0 || x < 0 || y >= side || x >= side ? undefined : v[(c * side + y) * side + x];

function maps(c: number, side: number, value: (c: number, y: number, x: number) => number): Maps {
  const v = new Float64Array(c * side * side);
  for (let k = 0; k < v.length; k++) {
    v[k] = value(Math.floor(k / (side * side)), Math.floor(k / side) % side, k % side);
  }
  return { c, side, v };
}

/** adaptive_avg_pool2d(relu(norm5(...)), 1): the last features of one image [side, side, 1] in [-1024, 1024]. */
export function torchFeatures(state: StateDict, image: ArrayLike<number>, side: number): number[] {
  const get = (name: string) => state.get(name) as TorchTensor & { values: Float32Array };
  const conv = (h: Maps, name: string, stride: number, pad: number): Maps => {
    const { shape, values } = get(`${name}.weight`);
    const [o = 0, i = 0, k = 0] = shape;
    return maps(o, Math.floor((h.side + 2 * pad - k) / stride) + 1, (c, y, x) => {
      let sum = 0;
      for (let from = 0; from < i; from++) {
        for (let dy = 0; dy < k; dy++) {
          for (let dx = 0; dx < k; dx++) {
            const weight = values[((c * i + from) * k + dy) * k + dx] as number;
            sum += weight * (at(h, from, y * stride + dy - pad, x * stride + dx - pad) ?? 0);
          }
        }
      }
      return sum;
    });
  };
  const normRelu = (h: Maps, name: string): Maps => {
    const [gain, bias, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(
      part => get(`${name}.${part}`).values,
    ) as [Float32Array, Float32Array, Float32Array, Float32Array];
    return maps(h.c, h.side, (c, y, x) => {
      const centred = (at(h, c, y, x) as number) - (mean[c] as number);
      const scaled = (centred / Math.sqrt((variance[c] as number) + 1e-5)) * (gain[c] as number);
      return Math.max(0, scaled + (bias[c] as number));
    });
  };
  const cells = (h: Maps, c: number, y: number, x: number, size: number) =>
    Array.from({ length: size * size }, (_, k) => at(h, c, y + Math.floor(k / size), x + (k % size)));
  let h = conv(
    maps(1, side, (_, y, x) => image[y * side + x] as number),
    'features.conv0',
    2,
    3,
  );
  h = normRelu(h, 'features.norm0');
  const stem = h;
  const pooled = Math.floor((stem.side + 2 - 3) / 2) + 1;
  h = maps(stem.c, pooled, (c, y, x) => {
    return Math.max(...cells(stem, c, 2 * y - 1, 2 * x - 1, 3).filter(value => value !== undefined));
  });
  for (let b = 1; state.has(`features.denseblock${b}.denselayer1.conv1.weight`); b++) {
    for (let l = 1; state.has(`features.denseblock${b}.denselayer${l}.conv1.weight`); l++) {
      const layer = `features.denseblock${b}.denselayer${l}`;
      const narrow = conv(normRelu(h, `${layer}.norm1`), `${layer}.conv1`, 1, 0);
      const added = conv(normRelu(narrow, `${layer}.norm2`), `${layer}.conv2`, 1, 1);
      h = { c: h.c + added.c, side: h.side, v: Float64Array.of(...h.v, ...added.v) };
    }
    if (!state.has(`features.transition${b}.conv.weight`)) continue;
    const wide = conv(normRelu(h, `features.transition${b}.norm`), `features.transition${b}.conv`, 1, 0);
    h = maps(wide.c, wide.side / 2, (c, y, x) => {
      return cells(wide, c, 2 * y, 2 * x, 2).reduce<number>((sum, value) => sum + (value ?? 0), 0) / 4;
    });
  }
  const last = normRelu(h, 'features.norm5');
  const places = last.side * last.side;
  return Array.from({ length: last.c }, (_, c) => {
    return last.v.subarray(c * places, (c + 1) * places).reduce((a, b) => a + b, 0) / places;
  });
}
