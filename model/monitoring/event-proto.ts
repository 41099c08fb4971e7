/**
 * TensorBoard's Event messages as bytes. Fields are numbered as in tensorflow/core/util/event.proto and
 * tensorflow/core/framework/{summary,tensor,tensor_shape}.proto.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

export interface EventImage {
  readonly width: number;
  readonly height: number;
  /** 1 grey, 3 colour. */
  readonly channels: 1 | 3;
  readonly png: Uint8Array;
}

/** What one event says; several values under one step are one event. */
export interface EventContent {
  readonly scalars?: Readonly<Record<string, number>>;
  readonly images?: Readonly<Record<string, EventImage>>;
  /** Markdown, as TensorBoard's text page shows it. */
  readonly texts?: Readonly<Record<string, string>>;
}

type Write = (writer: BinaryWriter) => void;

const DT_STRING = 7;
const DATA_CLASS_TENSOR = 2;
const SESSION_START = 1;

/** The first record of every file. */
export const versionEvent = (wallSeconds: number): Uint8Array =>
  event(wallSeconds, 0, writer => writer.tag(3, WireType.LengthDelimited).string('brain.Event:2'));

/** Written when a training goes on at `step`: TensorBoard then drops what an earlier file says of later steps. */
export const restartEvent = (wallSeconds: number, step: number): Uint8Array =>
  event(wallSeconds, step, writer => message(writer, 7, log => log.tag(1, WireType.Varint).int32(SESSION_START)));

export function summaryEvent(wallSeconds: number, step: number, content: EventContent): Uint8Array {
  const { scalars = {}, images = {}, texts = {} } = content;
  return event(wallSeconds, step, writer =>
    message(writer, 5, summary => {
      for (const [tag, value] of Object.entries(scalars)) {
        summaryValue(summary, tag, body => body.tag(2, WireType.Bit32).float(value));
      }
      for (const [tag, image] of Object.entries(images)) summaryValue(summary, tag, body => writeImage(body, image));
      for (const [tag, text] of Object.entries(texts)) summaryValue(summary, tag, body => writeText(body, text));
    }),
  );
}

/** Event { double wall_time = 1; int64 step = 2; oneof what { ... } } */
function event(wallSeconds: number, step: number, what: Write): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Bit64).double(wallSeconds).tag(2, WireType.Varint).int64(step);
  what(writer);
  return writer.finish();
}

/** Summary { repeated Value value = 1 }; Value { string tag = 1; oneof value { ... } } */
const summaryValue = (summary: BinaryWriter, tag: string, body: Write): void =>
  message(summary, 1, value => {
    value.tag(1, WireType.LengthDelimited).string(tag);
    body(value);
  });

/** Value { Image image = 4 }; Image { height = 1; width = 2; colorspace = 3; bytes encoded_image_string = 4 } */
const writeImage = (value: BinaryWriter, { width, height, channels, png }: EventImage): void =>
  message(value, 4, image => {
    image.tag(1, WireType.Varint).int32(height).tag(2, WireType.Varint).int32(width);
    image.tag(3, WireType.Varint).int32(channels).tag(4, WireType.LengthDelimited).bytes(png);
  });

/** A rank-0 string tensor, and the metadata that sends it to TensorBoard's text plugin. */
function writeText(value: BinaryWriter, text: string): void {
  message(value, 8, tensor => {
    tensor.tag(1, WireType.Varint).int32(DT_STRING);
    message(tensor, 2, () => {});
    tensor.tag(8, WireType.LengthDelimited).bytes(Buffer.from(text, 'utf8'));
  });
  message(value, 9, metadata => {
    message(metadata, 1, plugin => plugin.tag(1, WireType.LengthDelimited).string('text'));
    metadata.tag(4, WireType.Varint).int32(DATA_CLASS_TENSOR);
  });
}

function message(writer: BinaryWriter, field: number, body: Write): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  body(writer);
  writer.join();
}
