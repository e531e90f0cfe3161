/** How a package's kernel is built: its AssemblyScript to `dist/kernel.wasm`, where that is older than its sources. */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const OWN = fileURLToPath(import.meta.url);

/**
 * The kernel beside `script` (the `import.meta.url` of a package's `kernel/build.mjs`): its main `source`, and its
 * memory in `pages` of 64 KiB, for good: WebAssembly memory never shrinks. Built at once where `script` is what Node
 * was started with.
 */
export async function kernelOf(script, source, pages) {
  const folder = fileURLToPath(new URL('.', script));
  const dist = fileURLToPath(new URL('../dist', script));
  const output = `${dist}/kernel.wasm`;

  /** Whether the output is missing, or older than its sources or what builds it. */
  const isStale = () => {
    const built = statSync(output, { throwIfNoEntry: false });
    if (built === undefined) return true;
    const sources = [OWN, ...readdirSync(folder).map((name) => folder + name)];
    return sources.some((file) => statSync(file).mtimeMs >= built.mtimeMs);
  };

  /** Compiles. Others may build or read at the same time: the output appears whole. */
  const build = async () => {
    const { default: asc } = await import('assemblyscript/asc');
    mkdirSync(dist, { recursive: true });
    const unfinished = `${output}.${process.pid}`;
    const flags = ['-O3', '--converge', '--noAssert', '--runtime', 'stub', '--enable', 'simd'];
    const memory = ['--initialMemory', `${pages}`, '--maximumMemory', `${pages}`];
    const { error, stdout, stderr } = await asc.main([
      `${folder}${source}`,
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
  };

  if (process.argv[1] === fileURLToPath(script) && isStale()) await build();
  return { isStale };
}
