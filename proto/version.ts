/** What both ends compare when a session opens. */

/** Of the messages in fed/v1; raised when an older end could misread a newer one. */
export const PROTOCOL_VERSION = 1;
export const SOFTWARE_VERSION = '0.1.0';
/** Deadlines and certificate lifetimes are instants: clocks further apart than this are an error, not a detail. */
export const MAX_CLOCK_DIFFERENCE_MS = 5 * 60_000;
