/** A leaf and a Prometheus with the same file for --web.config.file let in, and turn away, the same. */
import { type RequestOptions, request } from 'node:https';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  CA_CERT,
  CLIENT_CERT,
  CLIENT_KEY,
  OTHER_CERT,
  OTHER_KEY,
  SERVER_CERT,
  SERVER_KEY,
} from '../../packages/scrape/src/testing/certificates.js';
import { Site, eventually, freePort, isWithout } from '../processes.js';

const without = isWithout('prometheus');
const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

/** Of "test". */
const HASH = '$2b$04$HLluHRxLh91xyQQcDqM.NeeQokD38R4UTu5obKWtccx2VSm2lOE5u';
const CLIENT = { cert: CLIENT_CERT, key: CLIENT_KEY };
const ME = { auth: 'me:test' };
const ports = { canopy: 0, prometheus: 0 };
let webConfig = '';

const config = (keys: string): string => `tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  min_version: TLS12
${keys}
http_server_config: {headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=7}}
`;

function ask(port: number, path: string, options: RequestOptions): Promise<string> {
  return new Promise((resolve) => {
    const req = request(
      { host: '127.0.0.1', port, path, ca: CA_CERT, agent: false, ...options },
      (res) => {
        res.resume();
        const { 'www-authenticate': scheme, 'x-frame-options': frames } = res.headers;
        const hsts = res.headers['strict-transport-security'];
        resolve(`${res.statusCode} ${scheme} ${frames} ${hsts}`);
      },
    );
    req.on('error', () => resolve('no connection'));
    req.end();
  });
}

const both = async (path: string, options: RequestOptions): Promise<string[]> => [
  await ask(ports.canopy, path, options),
  await ask(ports.prometheus, path, options),
];

beforeAll(async () => {
  if (without) return;
  ports.canopy = await freePort();
  ports.prometheus = await freePort();
  site.file('server.pem', SERVER_CERT);
  site.file('server.key', SERVER_KEY);
  site.file('ca.pem', CA_CERT);
  webConfig = site.file('web.yml', config(`basic_auth_users: {me: "${HASH}"}`));
  const empty = site.file('empty.yml', 'global: {}\n');
  const common = ['--config.file', empty, '--web.config.file', webConfig];
  const at = (port: number): string[] => ['--web.listen-address', `127.0.0.1:${port}`];
  const leaf = ['leaf', ...common, ...at(ports.canopy), '--storage.path', site.path('leaf')];
  site.canopy('leaf', ...leaf);
  const store = ['--storage.tsdb.path', site.path('prometheus')];
  site.program('prometheus', 'prometheus', ...common, ...at(ports.prometheus), ...store);
  await eventually(30_000, 'both are ready', async () => {
    const answers = await both('/-/ready', { ...CLIENT, ...ME });
    expect(answers.every((answer) => answer.startsWith('200'))).toBe(true);
  });
});

it.skipIf(without)('who is let in', async () => {
  const check = async (options: RequestOptions, expected: string, path = '/-/healthy') => {
    expect(await both(path, options), JSON.stringify([path, options.auth])).toEqual([
      expected,
      expected,
    ]);
  };
  const headers = 'deny max-age=7';
  await check({ ...CLIENT, ...ME }, `200 undefined ${headers}`);
  await check({ ...CLIENT, ...ME }, `200 undefined ${headers}`, '/metrics');
  await check({ ...CLIENT, ...ME }, `404 undefined ${headers}`, '/api/v1/nothing');
  await check({ ...CLIENT }, `401 Basic ${headers}`);
  await check({ ...CLIENT, method: 'OPTIONS' }, `401 Basic ${headers}`, '/api/v1/query');
  await check({ ...CLIENT, auth: 'me:wrong' }, `401 Basic ${headers}`);
  await check({ ...CLIENT, auth: 'you:test' }, `401 Basic ${headers}`);
  await check({ ...CLIENT, auth: 'me:' }, `401 Basic ${headers}`);
  await check({ ...ME }, 'no connection');
  await check({ ...ME, cert: OTHER_CERT, key: OTHER_KEY }, `200 undefined ${headers}`);
  await check({ ...CLIENT, ...ME, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }, 'no connection');
  // The file changes: nothing is started again.
  site.file('web.yml', config(''));
  await check({ ...CLIENT }, `200 undefined ${headers}`);
  site.file('ca.pem', OTHER_CERT);
  await check({ ...CLIENT }, 'no connection');
  site.file('ca.pem', CA_CERT);
  site.file('server.pem', OTHER_CERT);
  site.file('server.key', OTHER_KEY);
  await check({ ...CLIENT }, 'no connection'); // a name that is not ours
  await check({ ...CLIENT, servername: 'other.test' }, `200 undefined ${headers}`);
});
