/**
 * Builds `dist/kernel.wasm` from the AssemblyScript beside this file, where it is older than its
 * sources: `node packages/promql/kernel/build.mjs`. `npm run build` does it.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.', import.meta.url));
const output = fileURLToPath(new URL('../dist/kernel.wasm', import.meta.url));

/** Whether the output is missing, or older than its sources or this file. */
export function isKernelStale() {
  const built = statSync(output, { throwIfNoEntry: false });
  if (built === undefined) return true;
  return readdirSync(folder).some((name) => statSync(folder + name).mtimeMs >= built.mtimeMs);
}

/** Compiles. Others may build or read at the same time: the output appears whole. */
async function buildKernel() {
  const { default: asc } = await import('assemblyscript/asc');
  mkdirSync(fileURLToPath(new URL('../dist', import.meta.url)), { recursive: true });
  const unfinished = `${output}.${process.pid}`;
  // 128 KiB, for good: WebAssembly memory never shrinks.
  const pages = '2';
  const flags = ['-O3', '--converge', '--noAssert', '--runtime', 'stub', '--enable', 'simd'];
  const memory = ['--initialMemory', pages, '--maximumMemory', pages];
  const { error, stdout, stderr } = await asc.main([
    `${folder}print.ts`,
    ...flags,
    ...memory,
    '--outFile',
    unfinished,
  ]);
  if (error) {
    rmSync(unfinished, { force: true });
    throw new Error(`The kernel does not compile: ${error.message}\n${stdout}${stderr}`);
  }
  renameSync(unfinished, output);
}

if (process.argv[1] === fileURLToPath(import.meta.url) && isKernelStale()) await buildKernel();
