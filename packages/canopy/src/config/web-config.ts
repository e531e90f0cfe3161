/**
 * The file of `--web.config.file`: TLS, headers and users of our own HTTP server, with the keys and rules
 * of Prometheus's exporter-toolkit (web/tls_config.go, web/handler.go).
 */
import { dirname, resolve } from 'node:path';
import { CanopyError } from '@canopy/model';
import {
  CIPHER_SUITES,
  CLIENT_AUTH_TYPES,
  CURVES,
  type ClientAuthType,
  type Guard,
  type ServerTls,
  checkServerTls,
} from '@canopy/web';
import { z } from 'zod';
import { TLS_VERSIONS } from './http-client.js';
import { ConfigReader, type KeyPath, pathText } from './reader.js';
import { boolean, fail, optional, optionalText, refused, scalar, text } from './scalars.js';

const known = (what: string, names: Readonly<Record<string, unknown>>) =>
  scalar((name) => (name in names ? name : fail(`unknown ${what}: ${name}`)));
const version = (initial: string) =>
  optional(
    scalar((name) => TLS_VERSIONS[name] ?? fail(`unknown TLS version: ${name}`)).prefault(initial),
  );

const AUTH_TYPES: ReadonlyMap<string, ClientAuthType> = new Map([
  ['', 'NoClientCert'],
  // The older name.
  ['RequireClientCert', 'RequireAnyClientCert'],
  ...CLIENT_AUTH_TYPES.map((name) => [name, name] as const),
]);

const tlsShape = {
  cert: optionalText().describe('PEM of the certificate, in place of `cert_file`'),
  key: optionalText().describe('PEM of the key, in place of `key_file`'),
  client_ca: optionalText().describe('PEM, in place of `client_ca_file`'),
  cert_file: optionalText().describe('PEM of the certificate, or of a chain that begins with it'),
  key_file: optionalText().describe('PEM of its key'),
  client_auth_type: scalar((name) => AUTH_TYPES.get(name) ?? fail(`invalid ClientAuth: ${name}`))
    .optional()
    .describe(`${CLIENT_AUTH_TYPES.map((name) => `\`${name}\``).join(', ')}; default: the first`),
  client_ca_file: optionalText().describe(
    'PEM of those who sign certificates of clients; default: the authorities Node.js knows',
  ),
  client_allowed_sans: optional(z.array(text()).optional()).describe(
    'The certificate of a client must be for one of these: DNS names, IP addresses, mail addresses, URIs',
  ),
  min_version: version('TLS12').describe('`TLS10`, `TLS11`, `TLS12` (default), `TLS13`'),
  max_version: version('TLS13').describe('Default `TLS13`'),
  cipher_suites: optional(z.array(known('cipher', CIPHER_SUITES)).default([])).describe(
    "Up to TLS 1.2, by Go's names, in order of preference; those of TLS 1.3 are always on",
  ),
  prefer_server_cipher_suites: boolean().prefault('true').describe('The order above decides'),
  curve_preferences: optional(z.array(known('curve', CURVES)).default([])).describe(
    `${Object.keys(CURVES)
      .map((name) => `\`${name}\``)
      .join(', ')}, in order of preference`,
  ),
};

/** Name → values it may have; none: any. */
const HEADERS: Readonly<Record<string, readonly string[]>> = {
  'Strict-Transport-Security': [],
  'X-Content-Type-Options': ['nosniff'],
  'X-Frame-Options': ['deny', 'sameorigin'],
  'X-XSS-Protection': [],
  'Content-Security-Policy': [],
};

const headers = z.record(z.string(), text()).superRefine((given, context) => {
  for (const [name, value] of Object.entries(given)) {
    const issue = (message: string) => context.addIssue({ code: 'custom', message, path: [name] });
    const values = HEADERS[name];
    if (values === undefined) issue(`HTTP header "${name}" can not be configured`);
    else if (values.length > 0 && !values.includes(value)) {
      const list = values.map((one) => `"${one}"`).join(' ');
      issue(`invalid value for ${name}. Expected one of: [${list}], but got: "${value}"`);
    }
  }
});

const HASH_LENGTH = 59;

/** What Go's bcrypt says of a hash before it is used; '' for nothing. */
function hashProblem(hash: string): string {
  if (hash.length < HASH_LENGTH) {
    return 'crypto/bcrypt: hashedSecret too short to be a bcrypted password';
  }
  const [, version = '', cost = ''] = /^\$(.)[^$]?\$(\d\d)\$/.exec(hash) ?? [];
  if (version === '') return 'crypto/bcrypt: not a bcrypt hash';
  if (version > '2') {
    return `crypto/bcrypt: bcrypt algorithm version '${version}' requested is newer than current version '2'`;
  }
  const isCost = Number(cost) >= 4 && Number(cost) <= 31;
  return isCost ? '' : `crypto/bcrypt: cost ${Number(cost)} is outside allowed range (4,31)`;
}

const users = z.record(z.string(), text()).superRefine((given, context) => {
  for (const [name, hash] of Object.entries(given)) {
    const message = hashProblem(hash);
    if (message !== '') context.addIssue({ code: 'custom', message, path: [name] });
  }
});

/** For CONFIG.md, too. */
export const webConfigShape = {
  tls_server_config: z.strictObject(tlsShape),
  http_server_config: z.strictObject({
    http2: boolean().optional().describe('No effect: HTTP/1.1 is spoken'),
    headers: optional(headers.default({})).describe(
      `On every answer: ${Object.keys(HEADERS)
        .map((name) => `\`${name}\``)
        .join(', ')}`,
    ),
  }),
  basic_auth_users: users,
  rate_limit: refused('requests are not counted by time'),
};

const schema = z.strictObject({
  tls_server_config: optional(webConfigShape.tls_server_config.prefault({})),
  http_server_config: optional(webConfigShape.http_server_config.prefault({})),
  basic_auth_users: optional(users.default({})),
  rate_limit: webConfigShape.rate_limit,
});

type RawTls = z.output<typeof webConfigShape.tls_server_config>;

export interface LoadedWebConfig {
  readonly guard: Guard;
  /** For people: what is there and has no effect. */
  readonly notices: readonly string[];
}

/**
 * Reads and checks the file, certificates included.
 * @throws CanopyError `config_invalid` with `file:line:column: key: what is wrong`.
 */
export function loadWebConfig(path: string, readFile: (path: string) => string): LoadedWebConfig {
  const reader = new ConfigReader(path, read(path, readFile, path), schema);
  const parsed = schema.safeParse(reader.tree());
  if (!parsed.success) throw reader.schemaError(parsed.error);
  const { tls_server_config: raw, http_server_config: http, basic_auth_users } = parsed.data;
  const absolute = (file: string): string => resolve(dirname(path), file);
  const filled = Object.entries(http.headers).filter(([, value]) => value !== '');
  const guard: Guard = {
    tls: serverTls(raw, reader, (file) => read(absolute(file), readFile, file)),
    headers: Object.fromEntries(filled),
    users: new Map(Object.entries(basic_auth_users)),
  };
  return {
    guard,
    notices: http.http2 === true ? ['http_server_config.http2: HTTP/1.1 is spoken'] : [],
  };
}

function read(path: string, readFile: (path: string) => string, shown: string): string {
  try {
    return readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'no such file or directory' : message;
    throw new CanopyError('config_invalid', `open ${shown}: ${why}`);
  }
}

function serverTls(
  raw: RawTls,
  reader: ConfigReader,
  readPem: (file: string) => string,
): ServerTls | undefined {
  const wrong = (key: keyof typeof tlsShape | '', message: string): CanopyError => {
    const path: KeyPath = key === '' ? ['tls_server_config'] : ['tls_server_config', key];
    return reader.error(reader.offsetOf(path), pathText(path), message);
  };
  const given = [raw.cert, raw.cert_file, raw.key, raw.key_file, raw.client_ca, raw.client_ca_file];
  if (!given.some(Boolean) && raw.client_auth_type === undefined) return undefined;
  if (!raw.cert && !raw.cert_file) throw wrong('', 'missing one of cert or cert_file');
  if (!raw.key && !raw.key_file) throw wrong('', 'missing one of key or key_file');
  const pem = (key: 'cert_file' | 'key_file' | 'client_ca_file', inline?: string): string => {
    const file = raw[key];
    if (!file) return inline ?? '';
    try {
      return readPem(file);
    } catch (error) {
      throw wrong(key, (error as Error).message);
    }
  };
  const clientAuth = raw.client_auth_type ?? 'NoClientCert';
  const hasClientCa = !!raw.client_ca_file || !!raw.client_ca;
  const tls: ServerTls = {
    cert: pem('cert_file', raw.cert),
    key: pem('key_file', raw.key),
    clientCa: hasClientCa ? pem('client_ca_file', raw.client_ca) : undefined,
    clientAuth,
    allowedSans: raw.client_allowed_sans,
    minVersion: raw.min_version,
    maxVersion: raw.max_version,
    cipherSuites: raw.cipher_suites,
    curves: raw.curve_preferences,
    prefersOwnCiphers: raw.prefer_server_cipher_suites,
  };
  if (hasClientCa && clientAuth === 'NoClientCert') {
    throw wrong('', "client CA's have been configured without a Client Auth Policy");
  }
  if (tls.clientCa !== undefined && !tls.clientCa.includes('-----BEGIN CERTIFICATE-----')) {
    throw wrong('client_ca_file', 'holds no certificate');
  }
  if (tls.allowedSans !== undefined && !clientAuth.startsWith('Require')) {
    const message = 'requires client_auth_type RequireAnyClientCert or RequireAndVerifyClientCert';
    throw wrong('client_allowed_sans', message);
  }
  if (tls.minVersion > tls.maxVersion) throw wrong('min_version', 'is above max_version');
  try {
    checkServerTls(tls);
  } catch (error) {
    throw wrong('', `the certificate cannot be used: ${(error as Error).message}`);
  }
  return tls;
}
