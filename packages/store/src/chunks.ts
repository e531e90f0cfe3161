/** Where bytes of a block lie in its chunks; the same in both stores. */
import { BLOCK_CHUNK_BYTES, type BlockId, type BlockMeta, type BlockPiece } from '@canopy/model';

/** Bytes [from, to) of a chunk. */
export interface ChunkPart {
  readonly block: BlockId;
  readonly chunk: number;
  readonly from: number;
  readonly to: number;
}

export const chunkCount = ({ tileBytes, indexBytes }: BlockMeta): number =>
  Math.ceil((tileBytes + indexBytes) / BLOCK_CHUNK_BYTES);

/** The parts of chunks that a piece is made of, in order. */
export function partsOf({ block, position, byteLength }: BlockPiece): ChunkPart[] {
  const parts: ChunkPart[] = [];
  const end = position + byteLength;
  for (let at = position; at < end; ) {
    const chunk = Math.floor(at / BLOCK_CHUNK_BYTES);
    const start = chunk * BLOCK_CHUNK_BYTES;
    const to = Math.min(end, start + BLOCK_CHUNK_BYTES);
    parts.push({ block, chunk, from: at - start, to: to - start });
    at = to;
  }
  return parts;
}

/**
 * Reads pieces by their parts, about `bytesAtOnce` a call of `read`, which gives undefined for a part whose chunk is not there:
 * then its piece is undefined. Of a chunk that was cut there is less: its piece is too short, and fails its checks.
 */
export async function gatherPieces(
  pieces: readonly BlockPiece[],
  bytesAtOnce: number,
  read: (parts: readonly ChunkPart[]) => Promise<ReadonlyArray<Uint8Array | undefined>>,
): Promise<Array<Uint8Array | undefined>> {
  const found: Array<Uint8Array | undefined> = [];
  for (let from = 0; from < pieces.length; ) {
    const lists: ChunkPart[][] = [];
    let bytes = 0;
    while (from < pieces.length && (lists.length === 0 || bytes < bytesAtOnce)) {
      lists.push(partsOf(pieces[from]));
      bytes += pieces[from].byteLength;
      from++;
    }
    const parts = await read(lists.flat());
    let at = 0;
    for (const list of lists) {
      const own = parts.slice(at, at + list.length);
      at += list.length;
      found.push(join(own));
    }
  }
  return found;
}

function join(read: ReadonlyArray<Uint8Array | undefined>): Uint8Array | undefined {
  if (read.includes(undefined)) return undefined;
  return read.length === 1 ? read[0] : Buffer.concat(read as Uint8Array[]);
}
