/** For tests of other packages: a clock that only moves when told to. */
export { VirtualClock } from './virtual-clock.js';
