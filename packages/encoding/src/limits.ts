/** Limits that codecs check before they allocate. */

/** Slots of a group. */
export const SLOTS_MAX = 1 << 22;
/** Entries of a slot in a tile, samples of a loose frame. */
export const ENTRIES_MAX = 1 << 20;
