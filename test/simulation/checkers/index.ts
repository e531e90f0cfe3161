/** Every checker that looks at a run when it is over; others report as it goes on (history.ts). */
import { answered } from './answered.js';
import { atomic } from './atomic.js';
import { complete } from './complete.js';
import { damage } from './damage.js';
import { ledgers } from './ledgers.js';
import { memory } from './memory.js';
import { metadata } from './metadata.js';
import type { Checker } from './outcome.js';
import { staleness } from './staleness.js';
import { watermarks } from './watermarks.js';

export const CHECKERS: Readonly<Record<string, Checker>> = {
  ...{ complete, answered, atomic, staleness },
  ...{ metadata, watermarks, ledgers, memory, damage },
};
