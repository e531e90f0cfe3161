/** For tests: a process with nothing behind it, part by part replaceable. */
export { fakeOptions, fakeStatus } from './fake-options.js';
