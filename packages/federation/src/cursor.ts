/** Reader's cursors, one text a journal, joined by dots. */
export const CURSOR_HEADER = 'canopy-cursor';
/** Journal ids the reader does not want (its own), joined by dots. */
export const EXCLUDE_HEADER = 'canopy-exclude';
/** Name of the reader, for the server's status page. */
export const READER_HEADER = 'canopy-reader';
