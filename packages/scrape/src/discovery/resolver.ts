/**
 * Name servers as `dns_sd_configs` asks them: the search list of resolv.conf is gone through, and a name
 * that does not exist is an answer, not an error.
 */
import { promises as dns } from 'node:dns';
import { readFile } from 'node:fs/promises';
import { CanopyError, errorText } from '@canopy/model';

export interface SrvRecord {
  /** Host without the dot at its end. */
  readonly name: string;
  readonly port: number;
}

/**
 * Port: asks for the records of a name as it stands in the configuration. Resolves to an empty list where
 * the name, or a record of that type, does not exist; rejects where that could not be found out.
 */
export interface DnsResolver {
  addresses(name: string, family: 4 | 6): Promise<readonly string[]>;
  services(name: string): Promise<readonly SrvRecord[]>;
  /** Mail exchangers or name servers: hosts without the dot at their end. */
  hosts(name: string, type: 'MX' | 'NS'): Promise<readonly string[]>;
}

/** What the resolver of Node has, so that tests can do without name servers. */
export interface NodeResolver {
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
  resolveSrv(name: string): Promise<SrvRecord[]>;
  resolveMx(name: string): Promise<Array<{ readonly exchange: string }>>;
  resolveNs(name: string): Promise<string[]>;
}

export interface SystemResolverOptions {
  /** `/etc/resolv.conf`; read at each look-up, for it changes with the network. */
  readonly resolvConf: string;
  /** Default: Node's, with the servers of the system. */
  readonly resolver?: NodeResolver;
}

const TIMEOUT_MS = 5000;
const TRIES = 2;

export class SystemResolver implements DnsResolver {
  readonly #options: SystemResolverOptions;
  readonly #resolver: NodeResolver;

  constructor(options: SystemResolverOptions) {
    this.#options = options;
    this.#resolver = options.resolver ?? new dns.Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  }

  addresses(name: string, family: 4 | 6): Promise<readonly string[]> {
    return this.#ask(name, (full) =>
      family === 4 ? this.#resolver.resolve4(full) : this.#resolver.resolve6(full),
    );
  }

  services(name: string): Promise<readonly SrvRecord[]> {
    return this.#ask(name, (full) => this.#resolver.resolveSrv(full));
  }

  hosts(name: string, type: 'MX' | 'NS'): Promise<readonly string[]> {
    return this.#ask(name, async (full) => {
      if (type === 'NS') return this.#resolver.resolveNs(full);
      return (await this.#resolver.resolveMx(full)).map(({ exchange }) => exchange);
    });
  }

  async #ask<T>(name: string, ask: (full: string) => Promise<T[]>): Promise<T[]> {
    let failure: unknown;
    for (const full of searchNames(name, await this.#readResolvConf())) {
      try {
        return await ask(full);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        // The name is there, without such a record.
        if (code === 'ENODATA') return [];
        // Another name of the list may have it; after an error nobody knows that none has it.
        if (code !== 'ENOTFOUND') failure = error;
      }
    }
    if (failure === undefined) return [];
    throw new CanopyError('unavailable', `could not resolve "${name}": ${errorText(failure)}`);
  }

  async #readResolvConf(): Promise<string> {
    try {
      return await readFile(this.#options.resolvConf, 'utf8');
    } catch {
      return '';
    }
  }
}

/** The names to ask for in turn, each complete, by `search`, `domain` and `ndots` (resolv.conf(5)). */
export function searchNames(name: string, resolvConf: string): string[] {
  const bare = name.replace(/\.$/, '');
  if (name.endsWith('.')) return [bare];
  let search: string[] = [];
  let dotsMin = 1;
  for (const line of resolvConf.split('\n')) {
    const [word, ...rest] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (word === 'search' || word === 'domain') search = rest;
    if (word !== 'options') continue;
    for (const option of rest) {
      if (/^ndots:\d+$/.test(option)) dotsMin = Number(option.slice('ndots:'.length));
    }
  }
  const suffixed = search.map((suffix) => `${bare}.${suffix.replace(/^\.|\.$/g, '')}`);
  const isFirst = bare.split('.').length - 1 >= dotsMin;
  return isFirst ? [bare, ...suffixed] : [...suffixed, bare];
}
