/**
 * TensorFlow graphs as the bytes of a SavedModel, the one form in which the binding takes a graph. Fields are numbered as
 * in tensorflow/core/framework/{graph,node_def,attr_value,tensor,tensor_shape}.proto and core/protobuf/{saved_model,meta_graph}.proto.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** An attribute as the binding takes it. */
export interface NodeAttribute {
  readonly name: string;
  /** One of `attributeKind`. */
  readonly type: number;
  readonly value: unknown;
}

export interface ConstantValue {
  /** TF_DataType. */
  readonly dtype: number;
  readonly shape: readonly number[];
  /** Row-major, little-endian. */
  readonly bytes: Uint8Array;
}

export interface GraphNode {
  readonly name: string;
  readonly op: string;
  /** "node" or "node:output". */
  readonly inputs: readonly string[];
  readonly attributes: readonly NodeAttribute[];
  /** Of a Const. */
  readonly constant?: ConstantValue;
}

/** The tag under which the graph is found in the SavedModel. */
export const GRAPH_TAG = 'step';

/** Numbers of TF_AttrType (c/tf_attrtype.h). */
export const attributeKind = { string: 0, int: 1, float: 2, bool: 3, type: 4, shape: 5 } as const;
/** GraphDef's version that the kernels of TensorFlow 2 expect. */
const PRODUCER = 1087;

type Write = (writer: BinaryWriter) => void;

/** saved_model.pb of one graph without variables. */
export function savedModelBytes(nodes: readonly GraphNode[]): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Varint).int64(1); // saved_model_schema_version
  message(writer, 2, meta => {
    message(meta, 1, info => info.tag(4, WireType.LengthDelimited).string(GRAPH_TAG));
    message(meta, 2, graph => {
      for (const node of nodes) message(graph, 1, body => writeNode(body, node));
      message(graph, 4, versions => versions.tag(1, WireType.Varint).int32(PRODUCER));
    });
  });
  return writer.finish();
}

function writeNode(writer: BinaryWriter, { name, op, inputs, attributes, constant }: GraphNode): void {
  writer.tag(1, WireType.LengthDelimited).string(name);
  writer.tag(2, WireType.LengthDelimited).string(op);
  for (const input of inputs) writer.tag(3, WireType.LengthDelimited).string(input);
  for (const attribute of attributes) mapEntry(writer, attribute.name, value => writeAttribute(value, attribute));
  if (constant === undefined) return;
  mapEntry(writer, 'dtype', value => value.tag(6, WireType.Varint).int32(constant.dtype));
  mapEntry(writer, 'value', value =>
    message(value, 8, tensor => {
      tensor.tag(1, WireType.Varint).int32(constant.dtype);
      message(tensor, 2, shape => writeShape(shape, constant.shape));
      tensor.tag(4, WireType.LengthDelimited).bytes(constant.bytes);
    }),
  );
}

const mapEntry = (writer: BinaryWriter, key: string, value: Write): void =>
  message(writer, 5, entry => {
    entry.tag(1, WireType.LengthDelimited).string(key);
    message(entry, 2, value);
  });

function writeAttribute(writer: BinaryWriter, { name, type, value }: NodeAttribute): void {
  if (Array.isArray(value) && type !== attributeKind.shape) {
    message(writer, 1, list => writeList(list, type, value));
    return;
  }
  switch (type) {
    case attributeKind.string:
      writer.tag(2, WireType.LengthDelimited).bytes(new TextEncoder().encode(value as string));
      break;
    case attributeKind.int:
      writer.tag(3, WireType.Varint).int64(value as number);
      break;
    case attributeKind.float:
      writer.tag(4, WireType.Bit32).float(value as number);
      break;
    case attributeKind.bool:
      writer.tag(5, WireType.Varint).bool(value as boolean);
      break;
    case attributeKind.type:
      writer.tag(6, WireType.Varint).int32(value as number);
      break;
    case attributeKind.shape:
      message(writer, 7, shape => writeShape(shape, value as number[]));
      break;
    default:
      throw new Error(`attribute "${name}": TensorFlow's attribute type ${type} is not known here`);
  }
}

function writeList(writer: BinaryWriter, type: number, values: readonly unknown[]): void {
  for (const value of values) {
    if (type === attributeKind.int) writer.tag(3, WireType.Varint).int64(value as number);
    else if (type === attributeKind.float) writer.tag(4, WireType.Bit32).float(value as number);
    else if (type === attributeKind.bool) writer.tag(5, WireType.Varint).bool(value as boolean);
    else throw new Error(`a list of attribute type ${type} is not known here`);
  }
}

function writeShape(writer: BinaryWriter, shape: readonly number[]): void {
  for (const size of shape) message(writer, 2, dimension => dimension.tag(1, WireType.Varint).int64(size));
}

function message(writer: BinaryWriter, field: number, write: Write): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write(writer);
  writer.join();
}
