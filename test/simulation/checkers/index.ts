/** Every checker that looks at a run when it is over; others report as it goes on (history.ts). */
import { complete } from './complete.js';
import type { Checker } from './outcome.js';

export const CHECKERS: Readonly<Record<string, Checker>> = { complete };
