/** Sizes and multiply-adds of layers, as arithmetic: what the descriptions of the networks are added up from. */

export interface NetworkCost {
  /** Trainable scalars. */
  readonly parameters: number;
  /** 10^9 multiply-adds of one record's forward pass, each layer as the paper writes it. */
  readonly gmacs: number;
}

/** Scalars and multiply-adds of a part. */
export interface Cost {
  readonly parameters: number;
  readonly macs: number;
}

/** A convolution with bias whose output is `side` x `side`. */
export const conv = (size: number, inputs: number, outputs: number, side: number): Cost => ({
  parameters: size ** 2 * inputs * outputs + outputs,
  macs: size ** 2 * inputs * outputs * side ** 2,
});

export const linear = (inputs: number, outputs: number, bias: boolean): Cost => ({
  parameters: inputs * outputs + (bias ? outputs : 0),
  macs: inputs * outputs,
});

/** An LSTM with one bias a gate, over `steps` steps. */
export const lstm = (inputs: number, hidden: number, steps: number): Cost => ({
  parameters: 4 * hidden * (inputs + hidden + 1),
  macs: 4 * hidden * (inputs + hidden) * steps,
});

/** A table of rows that are looked up, which multiplies nothing. */
export const table = (rows: number, width: number): Cost => ({ parameters: rows * width, macs: 0 });

/** The same part applied `times` times. */
export const repeated = ({ parameters, macs }: Cost, times: number): Cost => ({ parameters, macs: macs * times });

export const total = (parts: readonly Cost[]): Cost => ({
  parameters: parts.reduce((sum, part) => sum + part.parameters, 0),
  macs: parts.reduce((sum, part) => sum + part.macs, 0),
});

export function network(parts: readonly Cost[]): NetworkCost {
  const { parameters, macs } = total(parts);
  return { parameters, gmacs: macs / 1e9 };
}
