/** How much room there is on the disk, and how much of it is left to others. */
import { statfsSync } from 'node:fs';

/**
 * Kept free on the disk, or this part of it where that is less: lmdb 3.5 writes beyond a buffer of its own where the disk refuses a
 * page (`last_error` in its mdb.c), and mostly ends the process by that, so it is not let come to it.
 */
const RESERVE_BYTES = 16 * 1024 * 1024;
const RESERVE_PART = 1 / 20;
/** Of the reserve; below it nothing is deleted either, for that writes pages, too. */
const DELETION_PART = 1 / 4;

export interface DiskRoom {
  /** Infinite where the file system does not say. */
  readonly freeBytes: number;
  /** Kept free where something is added. */
  readonly reserveBytes: number;
  /** Kept free where something is deleted, or changed a little. */
  readonly deletionBytes: number;
}

/** `path`: a file or folder that is there. */
export function diskRoom(path: string): DiskRoom {
  const { bavail, blocks, bsize } = statfsSync(path);
  const reserveBytes = Math.min(RESERVE_BYTES, blocks * bsize * RESERVE_PART);
  return {
    freeBytes: blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize,
    reserveBytes,
    deletionBytes: reserveBytes * DELETION_PART,
  };
}

export const noRoom = (freeBytes: number, neededBytes: number): string =>
  `no room left on the disk: ${freeBytes} bytes are free, ${Math.ceil(neededBytes)} are needed`;
