/** Loading of WebAssembly kernels that say what they are by constants they export. */

/** What is needed of the global of that name, which the types of Node.js 20 lack. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

export interface WasmKernel<Exports> {
  readonly exports: Exports;
  /** The kernel's memory; fixed, so that views of it last. */
  readonly memory: ArrayBuffer;
  /** @throws Error where the kernel exports none of that name. */
  constant(name: string): number;
}

/**
 * What `make` makes of the kernel, or why there is none, in words. `read` gives the kernel's bytes, which must be of
 * `version`.
 */
export function loadKernel<Exports, Made>(
  read: () => Uint8Array,
  version: number,
  make: (kernel: WasmKernel<Exports>) => Made,
): Made | string {
  try {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(read()));
    const constants = instance.exports as Readonly<Record<string, { readonly value: number }>>;
    if (constants['VERSION']?.value !== version) return 'the kernel is of another version';
    const { memory } = instance.exports as { readonly memory: { readonly buffer: ArrayBuffer } };
    return make({
      exports: instance.exports as Exports,
      memory: memory.buffer,
      constant(name) {
        const value = constants[name]?.value;
        if (value === undefined) throw new Error(`the kernel has no ${name}`);
        return value;
      },
    });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
