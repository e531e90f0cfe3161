/** Pages and cursors: serving journals, pulling them, plain federation, registration. */

/** What a page holds. */
export type { JournalSection, Page } from './page-types.js';
/** Pages to bytes and back (frames.format.md). */
export { FRAMES_MEDIA_TYPE, decodePage, encodePage, type PageLimits } from './page.js';
/** The header that carries a reader's cursors, and the one that names what it does not want. */
export {
  CURSOR_HEADER,
  CURSOR_HEADER_BYTES_MAX,
  EXCLUDE_HEADER,
  JOURNALS_MAX,
  READER_HEADER,
} from './cursor.js';

/** Answers pulls by cursor. */
export { FrameServer, type FrameServerOptions, type ReaderStatus } from './serve/frames.js';
/** Answers plain `/federate`. */
export { TextFederation, type TextFederationOptions } from './serve/text.js';
/** Which of the two a request asks for. */
export { negotiate } from './serve/negotiate.js';

/** Takes in what others push. */
export { RemoteWriteReceiver, type RemoteWriteOptions } from './remote-write/receiver.js';

/** Takes in pages: the parent's side. */
export { FramePuller, type FramePullerOptions, type PullTotals } from './pull/puller.js';

/** What a source may hand over. */
export type { SourceTrust } from './pull/trust.js';

/** Leaves that announced themselves: the parent's side. */
export {
  LeafRegistry,
  type LeafRegistryOptions,
  type RegisteredLeaf,
} from './registration/registry.js';
/** Tokens and what they allow. */
export {
  type AuthorityOptions,
  type Rights,
  type TokenRule,
  parseTokens,
  rightsOf,
} from './registration/authority.js';
/** Announces a leaf to its parent: the leaf's side. */
export {
  Announcer,
  type Announcement,
  type AnnouncerOptions,
  type AnnouncerState,
  type SendJson,
} from './registration/announcer.js';
/** What is logged, and how loud. */
export type { Log, LogLevel } from './log.js';
