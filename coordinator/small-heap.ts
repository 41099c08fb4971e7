/**
 * Tells V8 to prefer a small heap, before anything else is loaded: left alone, the heap doubles while modules load and
 * does not shrink again, in a process that then mostly moves buffers which lie outside it.
 */
import { setFlagsFromString } from 'node:v8';

setFlagsFromString('--optimize-for-size');
