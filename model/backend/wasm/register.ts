/** Adds to tfjs-backend-wasm the kernels without which EMIXER cannot be trained on it, and replaces those that are wrong. */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import {
  AvgPoolGrad,
  type AvgPoolGradAttrs,
  backend_util,
  Conv2DBackpropFilter,
  type Conv2DBackpropFilterAttrs,
  Conv2DBackpropInput,
  type Conv2DBackpropInputAttrs,
  getKernel,
  type KernelConfig,
  MaxPoolGrad,
  type MaxPoolGradAttrs,
  registerKernel,
  type Tensor4D,
  type TensorInfo,
  UnsortedSegmentSum,
  unregisterKernel,
} from '@tensorflow/tfjs-core';
import { conv2dFilterGradient } from './conv2d-filter-gradient.ts';
import { conv2dInputGradient } from './conv2d-input-gradient.ts';
import { averagePoolGradient, maxPoolGradient } from './pool-gradients.ts';
import { segmentSum } from './segment-sum.ts';

const backendName = 'wasm';

/** The geometry of the convolution whose gradient is taken. tfjs takes gradients of undilated convolutions only. */
function geometry(
  inputShape: readonly number[],
  filterShape: readonly number[],
  { strides, pad, dimRoundingMode, dataFormat }: Conv2DBackpropFilterAttrs | Conv2DBackpropInputAttrs,
): backend_util.Conv2DInfo {
  if (dataFormat !== 'NHWC')
    throw new Error(`the wasm backend computes NHWC convolutions only; ${dataFormat} was asked for`);
  return backend_util.computeConv2DInfo(
    inputShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    strides,
    1,
    pad,
    dimRoundingMode,
  );
}

function poolGeometry(x: TensorInfo, attrs: AvgPoolGradAttrs & { dimRoundingMode?: 'floor' | 'round' | 'ceil' }) {
  const shape = x.shape as [number, number, number, number];
  return backend_util.computePool2DInfo(shape, attrs.filterSize, attrs.strides, 1, attrs.pad, attrs.dimRoundingMode);
}

const kernels: readonly KernelConfig[] = [
  {
    kernelName: Conv2DBackpropFilter,
    backendName,
    kernelFunc: ({ inputs, attrs }) => {
      const { x, dy } = inputs as { x: TensorInfo; dy: TensorInfo };
      const filterAttrs = attrs as unknown as Conv2DBackpropFilterAttrs;
      const info = geometry(x.shape, filterAttrs.filterShape, filterAttrs);
      return conv2dFilterGradient(x as Tensor4D, dy as Tensor4D, info);
    },
  },
  {
    kernelName: Conv2DBackpropInput,
    backendName,
    kernelFunc: ({ inputs, attrs }) => {
      const { dy, filter } = inputs as { dy: TensorInfo; filter: TensorInfo };
      const inputAttrs = attrs as unknown as Conv2DBackpropInputAttrs;
      const info = geometry(inputAttrs.inputShape, filter.shape, inputAttrs);
      return conv2dInputGradient(dy as Tensor4D, filter as Tensor4D, info);
    },
  },
  {
    kernelName: MaxPoolGrad,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) => {
      const { dy, input } = inputs as { dy: TensorInfo; input: TensorInfo };
      return maxPoolGradient(
        backend as BackendWasm,
        input,
        dy,
        poolGeometry(input, attrs as unknown as MaxPoolGradAttrs),
      );
    },
  },
  {
    kernelName: AvgPoolGrad,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) => {
      const { dy, input } = inputs as { dy: TensorInfo; input: TensorInfo };
      return averagePoolGradient(backend as BackendWasm, dy, poolGeometry(input, attrs as unknown as AvgPoolGradAttrs));
    },
  },
  {
    kernelName: UnsortedSegmentSum,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) => {
      const { x, segmentIds } = inputs as { x: TensorInfo; segmentIds: TensorInfo };
      return segmentSum(backend as BackendWasm, x, segmentIds, attrs?.['numSegments'] as number);
    },
  },
];

/** Call once, after the package registered its own kernels. */
export function registerWasmTrainingKernels(): void {
  for (const kernel of kernels) {
    // tfjs warns about a second kernel of the same name instead of taking it.
    if (getKernel(kernel.kernelName, backendName) !== undefined) unregisterKernel(kernel.kernelName, backendName);
    registerKernel(kernel);
  }
}
