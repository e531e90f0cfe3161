/** A network whose lines can be cut; see network-main.ts. */
import { fileURLToPath } from 'node:url';
import { type Site, eventually, freePort, get } from '../processes.js';
import type { Network } from './proxy.js';

const MAIN = fileURLToPath(new URL('network-main.ts', import.meta.url));
const READY_MS = 60_000;

/** From a port of its own to another. */
export interface Line {
  readonly port: number;
  /** Resolves once it is so. */
  become(network: Network): Promise<void>;
}

export class Lines {
  #base = '';

  async open(site: Site, seed: number): Promise<void> {
    const port = await freePort();
    this.#base = `http://127.0.0.1:${port}`;
    site.program('network', process.execPath, '--import', 'tsx', MAIN, String(port), String(seed));
    await eventually(READY_MS, 'the network', () => get(`${this.#base}/`));
  }

  async to(target: number): Promise<Line> {
    const port = Number(await get(`${this.#base}/-/line?target=${target}`));
    const become = async (network: Network): Promise<void> => {
      await get(`${this.#base}/-/network?port=${port}&is=${network}`);
    };
    return { port, become };
  }
}
