/**
 * Records what tfjs asks of TensorFlow while a function runs, as the nodes of a graph. tfjs has no graphs of its own: it
 * runs kernel by kernel, so a recording of one run, its gradients among it, is the graph.
 */
import type { TFJSBinding } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { attributeKind, type GraphNode, type NodeAttribute } from './graph-def.ts';

export interface GraphInput {
  readonly name: string;
  /** Of the tensor that the recorded run has in this place, in the binding. */
  readonly id: number;
  /** TF_DataType. */
  readonly dtype: number;
  readonly shape: readonly number[];
}

export interface Recording {
  readonly nodes: readonly GraphNode[];
  /** The graph's name of the binding's tensor with this id: "node" or "node:output". */
  sourceOf(id: number): string;
}

/** Where in the graph a tensor of the binding comes from. */
interface Source {
  readonly name: string;
  readonly dtype: number;
}

/**
 * Runs `body` and records it. What it makes of plain values becomes a constant of the graph.
 * @param inputs what will be fed
 * @throws Error when `body` reads a tensor's values, or uses a tensor that is neither an input nor made by it
 */
export function record(backend: { binding: TFJSBinding }, inputs: readonly GraphInput[], body: () => void): Recording {
  const graph = new GraphBuilder(inputs);
  const { binding } = backend;
  const recording: Pick<TFJSBinding, 'createTensor' | 'executeOp' | 'tensorDataSync'> = {
    createTensor(shape, dtype, values) {
      const id = binding.createTensor(shape, dtype, values);
      graph.constant(id, dtype, shape, values as Uint8Array);
      return id;
    },
    executeOp(op, attributes, ids, outputs) {
      const results = binding.executeOp(op, attributes, ids, outputs);
      graph.operation(op, attributes as unknown as NodeAttribute[], ids, results);
      return results;
    },
    tensorDataSync() {
      throw new Error('a compiled step must not read the values of a tensor: they differ from run to run');
    },
  };
  // The binding's own functions are read-only: an object over it takes their place.
  backend.binding = Object.create(binding, Object.getOwnPropertyDescriptors(recording)) as TFJSBinding;
  try {
    body();
  } finally {
    backend.binding = binding;
  }
  return graph;
}

class GraphBuilder implements Recording {
  readonly nodes: GraphNode[];
  readonly #sources: Map<number, Source>;

  constructor(inputs: readonly GraphInput[]) {
    this.nodes = inputs.map(({ name, dtype, shape }) => ({
      name,
      op: 'Placeholder',
      inputs: [],
      attributes: [
        { name: 'dtype', type: attributeKind.type, value: dtype },
        { name: 'shape', type: attributeKind.shape, value: shape },
      ],
    }));
    this.#sources = new Map(inputs.map(({ id, name, dtype }) => [id, { name, dtype }]));
  }

  constant(id: number, dtype: number, shape: readonly number[], values: Uint8Array): void {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice();
    const name = this.#add({ op: 'Const', inputs: [], attributes: [], constant: { dtype, shape: [...shape], bytes } });
    this.#sources.set(id, { name, dtype });
  }

  operation(
    op: string,
    attributes: readonly NodeAttribute[],
    ids: readonly number[],
    results: readonly { readonly id: number; readonly dtype: number }[],
  ): void {
    const inputs = ids.map(id => this.sourceOf(id));
    const name = this.#add({
      op,
      inputs: [...inputs, ...this.#fence(op)],
      attributes: this.#typed(op, attributes, ids),
    });
    for (const [output, { id, dtype }] of results.entries()) {
      this.#sources.set(id, { name: output === 0 ? name : `${name}:${output}`, dtype });
    }
  }

  sourceOf(id: number): string {
    const source = this.#sources.get(id);
    if (source === undefined) throw new Error('a compiled step used a tensor that is not among its inputs');
    return source.name;
  }

  #add(node: Omit<GraphNode, 'name'>): string {
    const name = `n${this.nodes.length}`;
    this.nodes.push({ name, ...node });
    return name;
  }

  /**
   * TensorFlow's graph rewriter (2.21) fuses a residual sum into the convolution before it, and fails on graphs where the
   * sum has two such convolutions and is read twice, as in our blocks; then it fuses nothing at all. It leaves alone what
   * has a control dependency.
   */
  #fence(op: string): string[] {
    return op === 'Add' && this.nodes[0] !== undefined ? [`^${this.nodes[0].name}`] : [];
  }

  /** Run singly a kernel takes its type from its input; in a graph it must be said, and tfjs leaves it out of this one. */
  #typed(op: string, attributes: readonly NodeAttribute[], ids: readonly number[]): readonly NodeAttribute[] {
    if (op !== 'ExpandDims') return attributes;
    const dtype = this.#sources.get(ids[0] as number)?.dtype;
    return [...attributes, { name: 'T', type: attributeKind.type, value: dtype }];
  }
}
