/** For tests: a journal in memory, a web of bodies, configurations. */
export { RecordingGroup, RecordingJournal, type RecordedSample } from '@canopy/model/testing';
export { type FakeAnswer, FakeFetcher } from './fake-fetcher.js';
/** Gates: of so many places, or open. */
export { gateOf, gatesOf } from './gates.js';
export { relabelConfig, scrapeConfig } from './configs.js';
/** Certificates of an authority, servers and a client. */
export * from './certificates.js';
