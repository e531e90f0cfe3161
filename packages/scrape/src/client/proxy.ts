/**
 * Which proxy a request takes: a configured one, or the environment's, with the exceptions that
 * NO_PROXY lists (golang.org/x/net/http/httpproxy).
 */
import { BlockList, isIP } from 'node:net';
import type { ProxyConfig } from '../config.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The proxy for a URL; undefined: straight. */
export type ProxyFor = (url: URL) => URL | undefined;

/** @throws TypeError where the environment's proxy is not a URL. */
export function proxyRule(config: ProxyConfig | undefined, env: Environment): ProxyFor {
  if (config === undefined) return () => undefined;
  if (config.url !== 'environment') {
    const proxy = new URL(config.url);
    // Without exceptions even the own host is asked through it.
    if (config.noProxy === '') return () => proxy;
    const skip = exceptions(config.noProxy);
    return (url) => (skip(url) ? undefined : proxy);
  }
  const read = (name: string): string => env[name] || env[name.toLowerCase()] || '';
  const forHttp = parseProxy(read('HTTP_PROXY'));
  const forHttps = parseProxy(read('HTTPS_PROXY'));
  const skip = exceptions(read('NO_PROXY'));
  return (url) => (skip(url) ? undefined : url.protocol === 'https:' ? forHttps : forHttp);
}

/** `host:port` alone means http. */
function parseProxy(text: string): URL | undefined {
  if (text === '') return undefined;
  return new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
}

interface Exception {
  /** '' for any. */
  readonly port: string;
  matches(host: string): boolean;
}

/** What is not asked through a proxy: the list, and always the own host. */
export function exceptions(list: string): (url: URL) => boolean {
  const entries: Exception[] = [];
  let everything = false;
  for (const text of list.split(',')) {
    const entry = text.trim().toLowerCase();
    if (entry === '*') everything = true;
    else if (entry !== '') entries.push(...exceptionOf(entry));
  }
  return (url) => {
    const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
    const port = url.port || (url.protocol === 'https:' ? '443' : '80');
    if (everything || host === 'localhost' || isLoopback(host)) return true;
    return entries.some(
      (entry) => (entry.port === '' || entry.port === port) && entry.matches(host),
    );
  };
}

function exceptionOf(entry: string): Exception[] {
  const [network, bits] = entry.split('/');
  if (bits !== undefined && isIP(network) !== 0 && /^\d{1,3}$/.test(bits)) {
    const version = isIP(network) === 6 ? 'ipv6' : 'ipv4';
    if (Number(bits) > (version === 'ipv6' ? 128 : 32)) return [];
    const list = new BlockList();
    list.addSubnet(network, Number(bits), version);
    return [{ port: '', matches: (host) => isIP(host) !== 0 && list.check(host, familyOf(host)) }];
  }
  const split = /^(?:\[(.*)\]|([^:]*)):(\d+)$/.exec(entry);
  let name = split === null ? entry.replace(/^\[|\]$/g, '') : (split[1] ?? split[2]);
  const port = split?.[3] ?? '';
  if (name === '') return [];
  if (isIP(name) !== 0) {
    const list = new BlockList();
    list.addAddress(name, familyOf(name));
    return [{ port, matches: (host) => isIP(host) !== 0 && list.check(host, familyOf(host)) }];
  }
  if (name.startsWith('*.')) name = name.slice(1);
  // `.example.org` means hosts below it, `example.org` itself, too.
  const suffix = name.startsWith('.') ? name : `.${name}`;
  const itself = name.startsWith('.') ? undefined : name;
  return [{ port, matches: (host) => host === itself || host.endsWith(suffix) }];
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

function isLoopback(host: string): boolean {
  return isIP(host) === 4 ? host.startsWith('127.') : host === '::1';
}
