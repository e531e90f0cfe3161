import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asDuration } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, test } from 'vitest';
import type { DnsSdConfig, TargetGroup } from '../config.js';
import { dnsDiscovery } from './dns.js';
import { type DnsResolver, type NodeResolver, SystemResolver, searchNames } from './resolver.js';

const REFRESH = 30_000;

/** Answers by name; an Error is a look-up that fails. */
type Records = Record<string, ReadonlyArray<string | { name: string; port: number }> | Error>;

function rig(config: Partial<DnsSdConfig>, records: Records) {
  const clock = new VirtualClock();
  const seen: { groups?: readonly TargetGroup[]; spoken: number } = { spoken: 0 };
  const reports: string[] = [];
  const find = async <T>(name: string): Promise<readonly T[]> => {
    const found = records[name] ?? [];
    if (found instanceof Error) throw found;
    return found as readonly T[];
  };
  const resolver: DnsResolver = {
    addresses: (name, family) => find(`${family} ${name}`),
    services: (name) => find(name),
    hosts: (name, type) => find(`${type} ${name}`),
  };
  const whole = {
    names: ['x'],
    type: 'SRV',
    port: 0,
    refreshInterval: asDuration(REFRESH),
  } as const;
  const run = dnsDiscovery({ ...whole, ...config }, clock, resolver, (message, fields) =>
    reports.push(`${message}: ${fields.name}: ${fields.error}`),
  ).start((groups) => {
    seen.groups = groups;
    seen.spoken++;
  });
  return { clock, seen, reports, run, records };
}

async function check(
  config: Partial<DnsSdConfig>,
  records: Records,
  expected: Array<[address: string, labels: Record<string, string>]>,
): Promise<void> {
  const { clock, seen, run } = rig(config, records);
  await clock.advance(0);
  expect(seen.groups?.map(({ targets, labels }) => [targets[0], labels])).toEqual(expected);
  run.stop();
}

test('records as targets', async () => {
  const srv = (host: string, port: number) => ({
    __meta_dns_name: 'x',
    __meta_dns_srv_record_target: `${host}.`,
    __meta_dns_srv_record_port: String(port),
  });
  await check(
    {},
    {
      x: [
        { name: 'b.y', port: 2 },
        { name: 'a.y', port: 1 },
      ],
    },
    [
      ['a.y:1', srv('a.y', 1)],
      ['b.y:2', srv('b.y', 2)],
    ],
  );
  const name = { __meta_dns_name: 'x' };
  await check({ type: 'A', port: 80 }, { '4 x': ['10.0.0.2', '10.0.0.1'] }, [
    ['10.0.0.1:80', name],
    ['10.0.0.2:80', name],
  ]);
  await check({ type: 'AAAA', port: 80 }, { '6 x': ['fe80::1'] }, [['[fe80::1]:80', name]]);
  await check({ type: 'MX', port: 25 }, { 'MX x': ['b.y', 'a.y'] }, [
    ['a.y:25', { ...name, __meta_dns_mx_record_target: 'a.y.' }],
    ['b.y:25', { ...name, __meta_dns_mx_record_target: 'b.y.' }],
  ]);
  await check({ type: 'NS', port: 53 }, { 'NS x': ['n.y'] }, [
    ['n.y:53', { ...name, __meta_dns_ns_record_target: 'n.y.' }],
  ]);
  await check({}, {}, []);
});

test('a name that cannot be looked up keeps its last good list, the others go on', async () => {
  const records: Records = { '4 x': ['10.0.0.1'], '4 y': ['10.0.0.2'] };
  const { clock, seen, reports, run } = rig({ names: ['x', 'y'], type: 'A', port: 1 }, records);
  const targets = (): string[] => (seen.groups ?? []).flatMap((group) => [...group.targets]);
  await clock.advance(0);
  expect(targets()).toEqual(['10.0.0.1:1', '10.0.0.2:1']);
  records['4 x'] = new Error('SERVFAIL');
  records['4 y'] = ['10.0.0.3'];
  await clock.advance(REFRESH);
  expect(targets()).toEqual(['10.0.0.1:1', '10.0.0.3:1']);
  expect(reports).toEqual(['cannot look up targets: x: SERVFAIL']);
  // That it is gone is an answer.
  records['4 x'] = [];
  await clock.advance(REFRESH);
  expect(targets()).toEqual(['10.0.0.3:1']);
  await clock.advance(REFRESH);
  expect(seen.spoken).toBe(3);
  run.stop();
  records['4 y'] = [];
  await clock.advance(3 * REFRESH);
  expect(seen.spoken).toBe(3);
});

test('the search list of resolv.conf', () => {
  const names = (name: string, text: string, expected: string[]): void =>
    expect(searchNames(name, text), `${name} ${text}`).toEqual(expected);
  const cluster = 'nameserver 10.0.0.10\nsearch a.svc b.svc.\noptions timeout:1 ndots:5\n';
  names('x', '', ['x']);
  names('x.', cluster, ['x']); // complete as it is
  names('x', cluster, ['x.a.svc', 'x.b.svc', 'x']);
  names('a.b.c.d.e.f', cluster, ['a.b.c.d.e.f', 'a.b.c.d.e.f.a.svc', 'a.b.c.d.e.f.b.svc']);
  names('x', 'domain d # mine\n', ['x.d', 'x']);
  names('x.y', 'search d\n', ['x.y', 'x.y.d']); // one dot is enough where nothing is said
  names('x', '; search d\n#search e\n', ['x']);
});

test('what name servers answer', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'canopy-dns-'));
  const resolvConf = join(folder, 'resolv.conf');
  writeFileSync(resolvConf, 'search a b\n');
  const asked: string[] = [];
  const coded = (code: string): Error => Object.assign(new Error(`query ${code}`), { code });
  const answers: Record<string, string[] | Error> = {};
  const resolve4 = async (name: string): Promise<string[]> => {
    asked.push(name);
    const answer = answers[name] ?? coded('ENOTFOUND');
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const never = async (): Promise<never> => Promise.reject(new Error('BUG: not asked for'));
  const resolver: NodeResolver = {
    resolve4,
    resolve6: never,
    resolveSrv: never,
    resolveMx: async (name) => (await resolve4(name)).map((exchange) => ({ exchange })),
    resolveNs: resolve4,
  };
  const system = new SystemResolver({ resolvConf, resolver });
  const check4 = async (given: typeof answers, expected: string[] | RegExp, names: string[]) => {
    asked.length = 0;
    for (const name of Object.keys(answers)) delete answers[name];
    Object.assign(answers, given);
    if (expected instanceof RegExp) {
      await expect(system.addresses('x', 4)).rejects.toThrow(expected);
    } else expect(await system.addresses('x', 4)).toEqual(expected);
    expect(asked).toEqual(names);
  };
  try {
    await check4({ 'x.b': ['1.1.1.1'] }, ['1.1.1.1'], ['x.a', 'x.b']);
    expect(await system.hosts('x', 'MX')).toEqual(['1.1.1.1']);
    expect(await system.hosts('x', 'NS')).toEqual(['1.1.1.1']);
    await check4({}, [], ['x.a', 'x.b', 'x']); // nobody knows it: an answer
    await check4({ 'x.a': coded('ENODATA'), x: ['1.1.1.1'] }, [], ['x.a']);
    await check4({ 'x.a': coded('ESERVFAIL'), x: ['1.1.1.1'] }, ['1.1.1.1'], ['x.a', 'x.b', 'x']);
    const refused = /could not resolve "x": query ETIMEOUT/;
    await check4({ 'x.a': coded('ETIMEOUT') }, refused, ['x.a', 'x.b', 'x']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
