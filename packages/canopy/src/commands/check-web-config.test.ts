import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CA_CERT, OTHER_CERT, OTHER_KEY, SERVER_CERT, SERVER_KEY } from '@canopy/scrape/testing';
import { afterAll, expect, test } from 'vitest';
import { WebConfigFile } from '../parts/web-config-file.js';
import { checkWebConfig } from './check-web-config.js';

const folder = mkdtempSync(join(tmpdir(), 'canopy-web-config-'));
afterAll(() => rmSync(folder, { recursive: true }));
const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
write('ca.pem', CA_CERT);
write('server.pem', SERVER_CERT);
write('server.key', SERVER_KEY);
write('other.key', OTHER_KEY);
write('junk', 'x\n');

const tls = (keys = ''): string =>
  `tls_server_config: {cert_file: server.pem, key_file: server.key${keys === '' ? '' : `, ${keys}`}}`;
const headers = (text: string): string => `http_server_config: {headers: {${text}}}`;
const HASH = '$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG';
const user = (hash: string): string => `basic_auth_users: {me: "${hash}"}`;
const VERIFY = 'client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert';

/** Accepted by promtool 2.42 and by Canopy. */
const ACCEPTED: readonly string[] = [
  '',
  'tls_server_config: {}',
  'tls_server_config:\n',
  'tls_server_config: {min_version: TLS12}', // nothing that would turn TLS on
  tls(),
  tls(VERIFY),
  tls('client_auth_type: NoClientCert'),
  tls('client_auth_type: RequestClientCert'),
  tls('client_auth_type: RequireClientCert'), // the older name
  tls('client_auth_type: RequireAnyClientCert'),
  tls('client_auth_type: VerifyClientCertIfGiven'),
  tls('min_version: TLS10, max_version: TLS13'),
  tls('min_version: TLS11, max_version: TLS12'),
  tls('min_version: '),
  tls('cipher_suites: []'),
  tls('cipher_suites: [TLS_AES_128_GCM_SHA256]'),
  tls(
    'cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_RSA_WITH_AES_128_CBC_SHA]',
  ),
  tls('prefer_server_cipher_suites: no'),
  tls('curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]'),
  'http_server_config: {http2: false}',
  'http_server_config: {http2: true}',
  headers('X-Frame-Options: deny, X-Content-Type-Options: nosniff, X-XSS-Protection: "1"'),
  headers('Strict-Transport-Security: max-age=1, Content-Security-Policy: "default-src \'self\'"'),
  user(HASH),
  user(HASH.replace('2y', '2b')),
  user(HASH.replace('2y', '2z')), // the letter is not looked at
];

/** Refused by both, and what is said. */
const REFUSED: ReadonlyArray<readonly [string, RegExp]> = [
  ['a: 1', /:1:1: unknown key "a"/],
  ['basic_auth_users: {me: }', /me: crypto\/bcrypt: hashedSecret too short/],
  ['tls_config: {}', /unknown key "tls_config"/],
  ['tls_server_config: {cert_fil: a}', /unknown key "cert_fil" \(did you mean "cert_file"\?\)/],
  ['- a', /not a mapping/],
  ['a: [', /:1:/],
  ['tls_server_config: {cert_file: server.pem}', /missing one of key or key_file/],
  ['tls_server_config: {key_file: server.key}', /missing one of cert or cert_file/],
  ['tls_server_config: {client_auth_type: RequireAnyClientCert}', /missing one of cert/],
  ['tls_server_config: {client_ca_file: ca.pem}', /missing one of cert/],
  [
    'tls_server_config: {cert_file: nowhere, key_file: server.key}',
    /tls_server_config.cert_file: open nowhere: no such file or directory/,
  ],
  ['tls_server_config: {cert_file: server.pem, key_file: other.key}', /key values mismatch/],
  ['tls_server_config: {cert_file: junk, key_file: server.key}', /cannot be used/],
  ['tls_server_config: {cert_file: a, cert_file: b, key_file: c}', /"cert_file" already set/],
  [tls('client_ca_file: ca.pem'), /client CA's have been configured without a Client Auth Policy/],
  [tls('client_ca_file: nowhere, client_auth_type: RequireAnyClientCert'), /open nowhere/],
  [tls('client_auth_type: Nope'), /client_auth_type: invalid ClientAuth: Nope/],
  [tls('min_version: TLS9'), /min_version: unknown TLS version: TLS9/],
  [tls('max_version: "1.3"'), /unknown TLS version: 1.3/],
  [tls('cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]'), /unknown cipher: TLS_RSA_WITH_RC4_128_SHA/],
  [tls('cipher_suites: TLS_AES_128_GCM_SHA256'), /not a list/],
  [tls('curve_preferences: [P256]'), /curve_preferences\[0\]: unknown curve: P256/],
  [tls('prefer_server_cipher_suites: maybe'), /neither true nor false/],
  ['http_server_config: {http2: maybe}', /neither true nor false/],
  ['http_server_config: {http3: true}', /unknown key "http3"/],
  [headers('X-Frame-Options: no'), /Expected one of: \["deny" "sameorigin"\], but got: "no"/],
  [headers('x-frame-options: deny'), /HTTP header "x-frame-options" can not be configured/],
  [headers('Server: a'), /HTTP header "Server" can not be configured/],
  [user('plain'), /basic_auth_users.me: .*too short to be a bcrypted password/],
  ['basic_auth_users: {me: ""}', /too short/],
  ['basic_auth_users: [me]', /not a mapping/],
  [user(HASH.replace('2y', '3y')), /version '3' requested is newer than current version '2'/],
  [user(HASH.replace('$10$', '$99$')), /cost 99 is outside allowed range \(4,31\)/],
];

/** Where the two part, whether Canopy accepts, and why. */
const DIFFERENT: ReadonlyArray<readonly [string, boolean, string]> = [
  [tls(`${VERIFY}, client_allowed_sans: [a]`), true, 'of exporter-toolkit 0.10 and later'],
  [
    `tls_server_config: {cert: ${JSON.stringify(SERVER_CERT)}, key_file: server.key}`,
    true,
    'of exporter-toolkit 0.11 and later',
  ],
  [tls('min_version: TLS13, max_version: TLS12'), false, 'no handshake would succeed'],
  [
    tls('client_ca_file: junk, client_auth_type: RequireAndVerifyClientCert'),
    false,
    'nobody would be let in',
  ],
];

/** Refused by both for reasons of their own: newer Prometheus servers accept these. */
const NOT_HERE: ReadonlyArray<readonly [string, RegExp]> = [
  ['rate_limit: {interval: 1s, burst: 3}', /rate_limit: is not supported/],
  [tls('client_allowed_sans: [a]'), /client_allowed_sans: requires client_auth_type/],
];

function canopy(text: string): { exitCode: number; said: string } {
  const lines: string[] = [];
  const exitCode = checkWebConfig([write('web.yml', text)], (line) => lines.push(line));
  return { exitCode, said: lines.join('\n') };
}

test('what is accepted, what is refused, and how it is named', () => {
  for (const text of ACCEPTED) expect(canopy(text)).toMatchObject({ exitCode: 0 });
  for (const [text, names] of [...REFUSED, ...NOT_HERE]) {
    const { exitCode, said } = canopy(text);
    expect(exitCode, text).toBe(1);
    expect(said).toMatch(names);
    expect(said, text).not.toMatch(/invalid input|PRIVATE KEY/i);
  }
  for (const [text, accepted] of DIFFERENT) {
    const { exitCode, said } = canopy(text);
    expect(exitCode, `${text}\n${said}`).toBe(accepted ? 0 : 1);
  }
  expect(canopy('http_server_config: {http2: true}').said).toMatch(/no effect: .*http2/);
  expect(canopy(user('$2y$secret')).said).not.toContain('secret');
  expect(checkWebConfig([join(folder, 'nowhere')], () => undefined)).toBe(1);
});

const without = (process.env.CANOPY_TEST_WITHOUT ?? '').split(',');
const hasPromtool =
  !without.includes('prometheus') && spawnSync('promtool', ['--version']).status === 0;

test.skipIf(!hasPromtool)('promtool accepts and refuses the same', () => {
  const isAccepted = (text: string): boolean =>
    spawnSync('promtool', ['check', 'web-config', write('web.yml', text)]).status === 0;
  const wanted = [
    ...ACCEPTED.map((text) => [text, true] as const),
    ...[...REFUSED, ...NOT_HERE].map(([text]) => [text, false] as const),
    ...DIFFERENT.map(([text, accepted]) => [text, !accepted] as const),
  ];
  expect(wanted.filter(([text, accepted]) => isAccepted(text) !== accepted)).toEqual([]);
});

test('the file in use is read again when it, or one that it names, has changed', () => {
  const logged: string[] = [];
  let stamp = 1_700_000_000;
  /** Written so fast that the time of change might be the same. */
  const change = (name: string, text: string): void =>
    utimesSync(write(name, text), stamp, stamp++);
  change('cert', SERVER_CERT);
  change('key', SERVER_KEY);
  change('live.yml', 'tls_server_config: {cert_file: cert, key_file: key}');
  const file = new WebConfigFile(join(folder, 'live.yml'), (level, message) =>
    logged.push(`${level} ${message}`),
  );
  const first = file.guard;
  expect(file.guard).toBe(first);
  // A certificate comes before its key: until then the pair before is in use.
  change('cert', OTHER_CERT);
  expect(file.guard).toBe(first);
  expect(file.problem).toMatch(/key values mismatch/);
  expect(file.guard).toBe(first);
  expect(logged.length).toBe(1);
  change('key', OTHER_KEY);
  expect(file.guard.tls?.cert).toBe(OTHER_CERT);
  expect(file.problem).toBe('');
  change('live.yml', `${user(HASH)}\ntls_server_config: {cert_file: cert, key_file: key}`);
  expect([...file.guard.users.keys()]).toEqual(['me']);
  // Who forgets a part does not open the door.
  const guarded = file.guard;
  change('live.yml', user(HASH));
  expect(file.guard).toBe(guarded);
  expect(file.problem).toMatch(/restart/);
  rmSync(join(folder, 'live.yml'));
  expect(file.guard).toBe(guarded);
  expect(file.problem).toMatch(/no such file/);
  expect(() => new WebConfigFile(join(folder, 'live.yml'), () => undefined)).toThrow(/no such/);
});
