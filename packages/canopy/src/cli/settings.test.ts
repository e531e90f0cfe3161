import { describe, expect, it } from 'vitest';
import { flagsOf } from './flags.js';
import { nearest } from './nearest.js';
import { parseListenAddress, settingsOf } from './settings.js';

const values = (given: Record<string, string>) => {
  const all = new Map<string, string>();
  for (const flag of flagsOf('parent')) {
    if (flag.default.parent !== undefined) all.set(flag.name, flag.default.parent);
  }
  for (const [name, value] of Object.entries(given)) all.set(name, value);
  return all;
};

describe('settingsOf', () => {
  it('names a parent by its external URL', () => {
    const settings = settingsOf('parent', values({ 'web.listen-address': '127.0.0.1:1234' }));
    expect(settings.externalUrl).toBe('http://127.0.0.1:1234');
    expect(settings.name).toBe('127.0.0.1:1234');
    const behind = settingsOf('parent', values({ 'web.external-url': 'https://c.example/x/' }));
    expect([behind.externalUrl, behind.name]).toEqual(['https://c.example/x', 'c.example']);
  });

  it('never names an address nobody can reach', () => {
    const settings = settingsOf('parent', values({ 'web.listen-address': '0.0.0.0:1' }));
    expect(settings.externalUrl).not.toContain('0.0.0.0');
  });

  const check = (flag: string, value: string, message: RegExp) =>
    expect(() => settingsOf('parent', values({ [flag]: value }))).toThrow(message);
  it('names the flag that is wrong', () => {
    check('web.listen-address', '9090', /--web.listen-address: "9090" is not an address/);
    check('web.listen-address', 'h:99999', /--web.listen-address/);
    check('retention.raw', '15 d', /--retention.raw: not a valid duration/);
    check('retention.bytes', 'lots', /--retention.bytes: not a valid size/);
    check('store', 'http://x', /--store: not a URL like redis/);
    check('store', 'redis+sentinel://h', /--store: Sentinel's name of the master/);
    check('store.redis.wait-replicas', '-1', /--store.redis.wait-replicas: "-1" is not a number/);
    check('store.redis.wait-timeout', '0', /--store.redis.wait-timeout: "0" is not a time/);
    check('store.redis.tls-ca-file', 'ca.pem', /--store.redis.tls-ca-file: only for a --store/);
    check('parent', 'leaf', /--parent: "leaf" is not a URL/);
    check('query.max-samples', '-1', /--query.max-samples/);
  });
});

it('reads what a store by TLS needs', () => {
  const tls = { store: 'rediss+cluster://h', 'store.redis.tls-cert-file': 'c.pem' };
  expect(() => settingsOf('parent', values(tls))).toThrow(/tls-key-file go together/);
  const { redis } = settingsOf(
    'parent',
    values({ ...tls, 'store.redis.tls-key-file': 'k.pem', 'store.redis.wait-replicas': '2' }),
  );
  expect(redis).toMatchObject({ tlsCertFile: 'c.pem', tlsKeyFile: 'k.pem', waitReplicas: 2 });
  expect(redis.waitTimeout).toBe(1000);
});

it('parseListenAddress reads what Prometheus reads', () => {
  const check = (text: string, host: string, port: number) =>
    expect(parseListenAddress(text)).toEqual({ host, port });
  check('127.0.0.1:9090', '127.0.0.1', 9090);
  check(':9090', '', 9090);
  check('[::1]:9090', '::1', 9090);
});

it('nearest finds a misspelt name and keeps quiet about a wild one', () => {
  const names = ['web.listen-address', 'storage.path', 'store'];
  expect(nearest('web.listen-adress', names)).toBe('web.listen-address');
  expect(nearest('storge.path', names)).toBe('storage.path');
  expect(nearest('something-else', names)).toBeUndefined();
});

it('labels that are enforced, and limits of registration', () => {
  const given = values({
    'federation.enforce-labels': 'cluster, zone',
    'federation.max-leaves': '7',
    'federation.max-registrations-per-minute': '9',
  });
  const settings = settingsOf('parent', given);
  expect(settings.enforceLabels).toEqual(['cluster', 'zone']);
  expect([settings.leavesMax, settings.registrationsPerMinuteMax]).toEqual([7, 9]);
  for (const wrong of ['cluster,', 'a-b']) {
    const bad = values({ 'federation.enforce-labels': wrong });
    expect(() => settingsOf('parent', bad)).toThrow(/enforce-labels: ".*" is not a label name/);
  }
});

it('pages of a size that a parent takes', () => {
  const check = (given: string, expected: number | RegExp): void => {
    const flags = values({ 'federation.max-page-bytes': given });
    if (typeof expected === 'number') expect(settingsOf('leaf', flags).pageBytesMax).toBe(expected);
    else expect(() => settingsOf('leaf', flags)).toThrow(expected);
  };
  check('1B', 1);
  check('32MiB', 32 * 2 ** 20);
  check('0', /max-page-bytes: "0" is not between/); // nothing would ever be sent
  check('33MiB', /max-page-bytes: "33MiB" is not between/); // parents would refuse them
});

it('an address of its own is https where the server speaks TLS', () => {
  const given = values({ 'web.listen-address': '127.0.0.1:1' });
  expect(settingsOf('parent', given, true).externalUrl).toBe('https://127.0.0.1:1');
});
