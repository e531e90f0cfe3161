/** For tests of other packages: a clock that only moves when told to, a journal in memory. */
export { VirtualClock } from './virtual-clock.js';
export { RecordingGroup, RecordingJournal } from './recording-journal.js';
export type { RecordedSample } from './recording-journal.js';
