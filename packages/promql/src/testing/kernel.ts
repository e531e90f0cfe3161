import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const BUILD = fileURLToPath(new URL('../../kernel/build.mjs', import.meta.url));

/** Builds the WebAssembly kernel where it is missing or older than its sources. Before anything is printed. */
export async function ensureKernel(): Promise<void> {
  await promisify(execFile)(process.execPath, [BUILD], { timeout: 60_000 });
}
