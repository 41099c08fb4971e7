/**
 * A step compiled into one TensorFlow graph. Kernel by kernel, a step is thousands of calls from JavaScript of which each
 * waits for the one before it; as a graph it is one call, whose kernels TensorFlow fuses and runs side by side and whose
 * buffers it uses again. The graph is a recording of the step's first run (recorder.ts).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import type { TensorMetadata, TFJSBinding } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { hasNativeOps } from '../execute-op.ts';
import { attributeKind, GRAPH_TAG, type GraphNode, savedModelBytes } from './graph-def.ts';
import { record } from './recorder.ts';

export type Tensors = Readonly<Record<string, tf.Tensor>>;

/**
 * Does the same for all inputs of the same shapes: nothing but the inputs and the variables may change from run to run,
 * and no values may be read.
 */
type Compute = (inputs: Tensors) => Tensors;

interface Graph {
  readonly session: number;
  /** Names of the placeholders: of the variables, then of the inputs. */
  readonly feeds: string;
  /** Names of the outputs' nodes, then of the moved variables'. */
  readonly fetches: string;
  readonly outputs: readonly string[];
  readonly moved: readonly tf.Variable[];
}

/** The package's backend, with what its types hide. */
interface NativeKernels {
  binding: TFJSBinding;
  readonly isUsingGpuDevice: boolean;
  getInputTensorIds(tensors: readonly tf.Tensor[]): number[];
  createOutputTensor(metadata: TensorMetadata): tf.Tensor;
}

export class Compiled {
  readonly #variables: readonly tf.Variable[];
  readonly #compute: Compute;
  readonly #graphs = new Map<string, Graph>();

  /** @param variables every one that `compute` reads or assigns to */
  constructor(variables: readonly tf.Variable[], compute: Compute) {
    this.#variables = variables;
    this.#compute = compute;
  }

  /**
   * What `compute` returns, which belongs to the enclosing tidy, after its assignments to variables. The first call with
   * new shapes compiles. On a backend that is not TensorFlow, and on a GPU (where a session would take every tensor
   * through the host's memory), `compute` itself runs.
   */
  run(inputs: Tensors): Tensors {
    if (!compiles()) return this.#compute(inputs);
    const backend = nativeBackend();
    const fed = [...this.#variables, ...Object.values(inputs)];
    const key = `${shared(backend.getInputTensorIds(fed))} ${shapes(inputs)}`;
    let graph = this.#graphs.get(key);
    if (graph === undefined) {
      graph = this.#compile(inputs);
      this.#graphs.set(key, graph);
    }
    const fetched = backend.binding.runSavedModel(
      graph.session,
      backend.getInputTensorIds(fed),
      graph.feeds,
      graph.fetches,
    );
    const tensors = fetched.map(metadata => backend.createOutputTensor(metadata));
    for (const [i, variable] of graph.moved.entries()) {
      const value = tensors[graph.outputs.length + i] as tf.Tensor;
      variable.assign(value);
      value.dispose();
    }
    return Object.fromEntries(graph.outputs.map((name, i) => [name, tensors[i] as tf.Tensor]));
  }

  dispose(): void {
    for (const { session } of this.#graphs.values()) nativeBackend().binding.deleteSavedModel(session);
    this.#graphs.clear();
  }

  #compile(inputs: Tensors): Graph {
    const backend = nativeBackend();
    const fed = [...this.#variables, ...Object.values(inputs)];
    const ids = backend.getInputTensorIds(fed);
    const placeholders = fed.map((tensor, i) => ({
      name: `p${i}`,
      id: ids[i] as number,
      dtype: dtypeNumber(tensor),
      shape: tensor.shape,
    }));
    return undone(this.#variables, () => {
      const untouched = this.#variables.map(variable => variable.dataId);
      let outputs: Tensors = {};
      const recording = record(backend, placeholders, () => {
        outputs = this.#compute(inputs);
        // A value that was only set aside is handed to TensorFlow here, where that is recorded.
        backend.getInputTensorIds([...Object.values(outputs), ...this.#variables]);
      });
      const moved = this.#variables.filter((variable, i) => variable.dataId !== untouched[i]);
      const results = [...Object.values(outputs), ...moved];
      const sources = backend.getInputTensorIds(results).map(id => recording.sourceOf(id));
      // A node of its own for each, since two may be the same tensor and one may be a placeholder.
      const fetches = sources.map((source, i) => identity(`f${i}`, source, results[i] as tf.Tensor));
      return {
        session: load(backend, [...recording.nodes, ...fetches]),
        feeds: firstOutputs(placeholders),
        fetches: firstOutputs(fetches),
        outputs: Object.keys(outputs),
        moved,
      };
    });
  }
}

const nativeBackend = () => tf.backend() as unknown as NativeKernels;

/** Whether steps are compiled on the current backend. */
export const compiles = (): boolean => hasNativeOps() && !nativeBackend().isUsingGpuDevice;

const shapes = (inputs: Tensors): string =>
  Object.entries(inputs)
    .map(([name, { shape, dtype }]) => `${name} ${dtype}[${shape}]`)
    .join();

/**
 * Which of what is fed are one and the same tensor; empty as a rule. A recording cannot tell them apart, so its graph is for
 * nothing else.
 */
function shared(ids: readonly number[]): string {
  if (new Set(ids).size === ids.length) return '';
  return ids.map(id => ids.indexOf(id)).join();
}

const dtypeNumbers: Readonly<Record<string, number>> = { float32: 1, int32: 3, bool: 10 };
function dtypeNumber({ dtype }: tf.Tensor): number {
  const number = dtypeNumbers[dtype];
  if (number === undefined) throw new Error(`a compiled step takes no tensor of type ${dtype}`);
  return number;
}

const identity = (name: string, input: string, like: tf.Tensor): GraphNode => ({
  name,
  op: 'Identity',
  inputs: [input],
  attributes: [{ name: 'T', type: attributeKind.type, value: dtypeNumber(like) }],
});

const firstOutputs = (nodes: readonly { readonly name: string }[]): string =>
  nodes.map(({ name }) => `${name}:0`).join();

/** Runs `body` and takes back what it assigned; its tensors are freed. */
function undone<T>(variables: readonly tf.Variable[], body: () => T): T {
  const before = variables.map(variable => tf.keep(tf.clone(variable)));
  try {
    tf.engine().startScope();
    return body();
  } finally {
    tf.engine().endScope();
    for (const [i, variable] of variables.entries()) variable.assign(before[i] as tf.Tensor);
    tf.dispose(before);
  }
}

/** The binding loads graphs from a folder alone; it holds the step's operations and none of its data. */
function load({ binding }: NativeKernels, nodes: readonly GraphNode[]): number {
  const folder = mkdtempSync(path.join(tmpdir(), 'emixer-graph-'));
  try {
    writeFileSync(path.join(folder, 'saved_model.pb'), savedModelBytes(nodes));
    return binding.loadSavedModel(folder, GRAPH_TAG);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
