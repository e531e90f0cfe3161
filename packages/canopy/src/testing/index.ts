/** For tests: the roles, to be run in a world of the test's own. */
export { startLeaf } from '../roles/leaf.js';
export { startParent } from '../roles/parent.js';
/** Settings as the command line makes them. */
export { FLAGS, type Role } from '../cli/flags.js';
export { type Settings, settingsOf } from '../cli/settings.js';
/** What a world is made of. */
export type { Doors, Listening, Network, OpenedStore, World } from '../parts/world.js';
export type { Chore } from '../parts/housekeeping.js';
export type { CanopyProcess } from '../parts/process.js';
export type { Log } from '../log.js';
