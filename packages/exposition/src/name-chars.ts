/**
 * Characters of names, by byte: bit 1 may start a metric name, 2 be in one, 4 start a label name,
 * 8 be in one. Readers keep the bits as constants of their own, beside the loops that test them.
 */
export function nameCharTable(): Uint8Array {
  const table = new Uint8Array(256);
  for (let c = 0; c < 256; c++) {
    const letter = (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 95;
    if (letter) table[c] = 1 | 2 | 4 | 8;
    if (c >= 48 && c <= 57) table[c] = 2 | 8;
  }
  // A colon, in metric names alone.
  table[58] = 1 | 2;
  return table;
}
