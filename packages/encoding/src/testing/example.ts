/** Format pages hold their golden bytes: fenced blocks of hex pairs, a remark after two blanks. */

/** The runs of bytes of a page: fenced blocks, cut at empty lines. */
export function exampleBytes(page: string): Uint8Array[] {
  const blocks = page.split(/^```.*$/m).filter((_, i) => i % 2 === 1);
  return blocks.flatMap((block) => block.trim().split('\n\n')).map(readPairs);
}

function readPairs(text: string): Uint8Array {
  const pairs = text.split('\n').flatMap((line) => line.trim().split('  ')[0].split(' '));
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
}
