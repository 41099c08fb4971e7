/**
 * Failures whose text training code could have chosen: its own messages, and what egress says about something that it
 * wanted to send. The site's people read all of it; the coordinator, which tells other sites, gets only our own words.
 */
import { LOSS_NAMES } from '#model/training/loss-names.ts';
import { type ErrorCode, FedError } from '#proto/errors.ts';

/** Parts of this program that a failure may be about; nothing else of the text leaves. */
const KNOWN_NAMES = [...LOSS_NAMES, 'D_image', 'D_report', 'D_joint', 'F/encoder', 'F/decoder'];

const PUBLIC_TEXTS: Partial<Record<ErrorCode, string>> = {
  NON_FINITE: 'a number is not finite',
  DATA_INVALID: "the site's prepared records do not fit what the run asks for",
  NO_USABLE_RECORDS: 'the site has no record that this task could use',
  POLICY_REFUSED: 'the result holds what may not leave the site; nothing of it was sent',
};

export class UntrustedFailure extends FedError {
  /** What may be told outside the site. */
  readonly publicMessage: string;

  constructor({ code, message, remedy }: FedError) {
    super(code, message, remedy);
    const named = KNOWN_NAMES.find(name => message.includes(name));
    const text = PUBLIC_TEXTS[code] ?? 'the training worker failed; the people of the site see why';
    this.publicMessage = named === undefined ? text : `${text} (${named})`;
  }
}

/** What `check` returns. @throws UntrustedFailure where it throws a FedError */
export function ofUntrusted<T>(check: () => T): T {
  try {
    return check();
  } catch (thrown) {
    throw asUntrusted(thrown);
  }
}

export const asUntrusted = (thrown: unknown): unknown =>
  thrown instanceof FedError && !(thrown instanceof UntrustedFailure) ? new UntrustedFailure(thrown) : thrown;
