/** Where things stand in the kernel's memory, all of it. */

/** Cells (entries of all slots) of one block. */
export const CELLS_MAX: u32 = 16384;
/** Entries of a slot; longer columns are left to the twin. */
export const COUNT_MAX: u32 = 2048;
export const OUT_SIZE: u32 = 131072;

/** f64: entry i of slot s at s * count + i. */
export const VALUES_AT: u32 = 4096;
/** u8: states of slots that have other than values. */
export const STATES_AT: u32 = VALUES_AT + 8 * CELLS_MAX;
/** u8: what stands in the block for each slot. */
export const FORMS_AT: u32 = STATES_AT + CELLS_MAX;
/** u32: where each slot encoded ends. */
export const ENDS_AT: u32 = FORMS_AT + CELLS_MAX;
/** Encoded slots; a slot to decode. Numbers are written in steps of 8 bytes. */
export const OUT_AT: u32 = ENDS_AT + 4 * CELLS_MAX;
/** Columns of one call: f64, then the same integers as i64; residuals; of near columns, integers and distances. */
export const INTEGERS_AT: u32 = OUT_AT + OUT_SIZE + 64;
export const RESIDUALS_AT: u32 = INTEGERS_AT + 8 * COUNT_MAX;
export const WHOLE_AT: u32 = RESIDUALS_AT + 8 * COUNT_MAX;
export const ULPS_AT: u32 = WHOLE_AT + 8 * COUNT_MAX;
/** f64: the values of a slot that has other states too. */
export const KEPT_AT: u32 = ULPS_AT + 8 * COUNT_MAX;
/** Of a prefix code: u32 how often each class is there, u8 lengths and codes; u32 and u8 of the nodes of its tree; u16, its table. */
export const CODE_COUNTS_AT: u32 = KEPT_AT + 8 * COUNT_MAX;
export const CODE_LENGTHS_AT: u32 = CODE_COUNTS_AT + 4 * 64;
export const CODE_CODES_AT: u32 = CODE_LENGTHS_AT + 64;
export const CODE_WEIGHTS_AT: u32 = CODE_CODES_AT + 64;
export const CODE_PARENTS_AT: u32 = CODE_WEIGHTS_AT + 4 * 128;
export const CODE_TABLE_AT: u32 = CODE_PARENTS_AT + 128;
export const MEMORY_END: u32 = CODE_TABLE_AT + 2 * 256;
