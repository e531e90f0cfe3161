/**
 * Who may announce a leaf, and write what labels. An announcement makes the parent call an address, so it is taken from this
 * machine, with a token, or with a client certificate that the HTTP server has verified.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { CanopyError, isLegacyLabelName } from '@canopy/model';
import type { Announcement } from './announcement.js';

/** The header of a token where `Authorization` holds something else. */
export const TOKEN_HEADER = 'canopy-token';

/** What a registration may be used for. */
export interface Rights {
  /** Name of the certificate that alone may change the registration; '' where there was none. */
  readonly identity: string;
  /** It may pass on journals of others. */
  readonly relays: boolean;
  /** Label → values that its series may have; others: those it announced. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
}

export interface TokenRule extends Pick<Rights, 'relays' | 'labels'> {
  readonly token: string;
}

/**
 * Reads a token file: a token a line, so that an old and a new one are valid together. After it `label=value` (several,
 * also of one label) narrows what is registered with it; such a token hands on other journals only with the
 * word `relay`. The first token is the one that a leaf shows.
 * @throws CanopyError `config_invalid`; its text holds no token.
 */
export function parseTokens(text: string): TokenRule[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .flatMap((line, index) => (line === '' || line.startsWith('#') ? [] : tokenRule(line, index)));
}

function tokenRule(line: string, index: number): TokenRule {
  const [token, ...words] = line.split(/\s+/);
  const labels: Record<string, string[]> = {};
  for (const word of words.filter((one) => one !== 'relay')) {
    const [, name = '', value = ''] = /^([^=]+)=(.+)$/.exec(word) ?? [];
    if (!isLegacyLabelName(name) || name.startsWith('__')) {
      const text = `line ${index + 1}: after the token come label=value and relay`;
      throw new CanopyError('config_invalid', text);
    }
    (labels[name] ??= []).push(value);
  }
  const relays = words.length === 0 || words.includes('relay');
  return { token, relays, labels };
}

export interface AuthorityOptions {
  /** Asked at each request so that tokens rotate; empty: no token is valid. */
  readTokens(): Promise<readonly TokenRule[]>;
  /** Names of the client's verified certificate; undefined: it has shown none. */
  clientNames(req: IncomingMessage): readonly string[] | undefined;
}

const FREE: Rights = { identity: '', relays: true, labels: {} };

/** Of a request, by what it shows. @throws CanopyError `forbidden` */
export async function rightsOf(req: IncomingMessage, options: AuthorityOptions): Promise<Rights> {
  const rule = await tokenOf(req, options);
  const [identity = ''] = options.clientNames(req) ?? [];
  return { ...(rule ?? FREE), identity };
}

/** What the token shown allows; undefined: none was needed. */
async function tokenOf(
  req: IncomingMessage,
  options: AuthorityOptions,
): Promise<Pick<Rights, 'relays' | 'labels'> | undefined> {
  const given = givenToken(req);
  const isTrusted = isFromHere(req) || (options.clientNames(req)?.length ?? 0) > 0;
  // A narrower token narrows, wherever it comes from.
  if (isTrusted && given === '') return undefined;
  const rules = await options.readTokens();
  let found: TokenRule | undefined;
  // All of them, so that time does not tell which one was close.
  for (const rule of rules) if (isSameText(given, rule.token)) found ??= rule;
  if (found !== undefined) return { relays: found.relays, labels: found.labels };
  if (isTrusted) return undefined;
  if (rules.length > 0) throw new CanopyError('forbidden', 'wrong or missing token');
  const message =
    'what comes from other machines needs a token: ' +
    'start both sides with --federation.token-file';
  throw new CanopyError('forbidden', message);
}

/** Headers of those who ask for somebody else. */
const PROXIED = ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via', 'x-forwarded-host'];

function isFromHere(req: IncomingMessage): boolean {
  // Behind a proxy everybody comes from this machine, and so does every page in a browser on it.
  const isForOthers = PROXIED.some((name) => name in req.headers);
  const isFromBrowser = 'origin' in req.headers || 'sec-fetch-site' in req.headers;
  return isLoopback(req.socket.remoteAddress) && !isForOthers && !isFromBrowser;
}

function isLoopback(address: string | undefined): boolean {
  return /^(::ffff:)?127\.\d+\.\d+\.\d+$|^::1$/.test(address ?? '');
}

function givenToken({ headers }: IncomingMessage): string {
  const own = headers[TOKEN_HEADER];
  if (typeof own === 'string') return own.trim();
  return /^Bearer\s+(\S+)\s*$/i.exec(headers.authorization ?? '')?.[1] ?? '';
}

/** In a time that does not tell where the texts differ. */
function isSameText(a: string, b: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}

/**
 * Whether these rights are for this announcement.
 * @throws CanopyError `forbidden`
 */
export function checkRights(
  { name, labels }: Announcement,
  rights: Rights,
  names: readonly string[] | undefined,
): void {
  const bare = name.replace(/:\d+$/, '');
  if (names !== undefined && names.length > 0 && !names.includes(name) && !names.includes(bare)) {
    const message = `the certificate is for ${names.join(', ')}, not for a leaf named ${name}`;
    throw new CanopyError('forbidden', message);
  }
  for (const [label, values] of Object.entries(rights.labels)) {
    const value = labels[label];
    if (value === undefined || values.includes(value)) continue;
    const allowed = values.map((one) => `${label}=${one}`).join(' or ');
    throw new CanopyError('forbidden', `this token is for ${allowed}, not for ${label}=${value}`);
  }
}
