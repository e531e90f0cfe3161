/** A parent on a Redis Cluster by TLS, with flags as users give them: it scrapes, answers, keeps its secrets. */
import { afterAll, describe, expect, it } from 'vitest';
import { CA_CERT, CLIENT_CERT, CLIENT_KEY, SERVER_CERT, SERVER_KEY } from '@canopy/scrape/testing';
import { type RedisClusterServers, startRedisCluster } from '@canopy/store/testing';
import { Site, eventually, freePort, get, isWithout, query, waitReady } from '../processes.js';

const site = new Site();
let cluster: RedisClusterServers | undefined;
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await cluster?.stop();
});

describe.skipIf(isWithout('redis'))('a parent on a Redis Cluster by TLS', () => {
  it('keeps there what it scrapes, and comes back with it', async () => {
    const clientTls = { clientCert: CLIENT_CERT, clientKey: CLIENT_KEY };
    const tls = { ca: CA_CERT, cert: SERVER_CERT, key: SERVER_KEY, ...clientTls };
    cluster = await startRedisCluster(3, false, ['--maxmemory', '100mb'], tls);
    for (const node of cluster.nodes) {
      await node.command('acl', 'setuser', 'canopy', 'on', '>s3cret', '~canopy:*', '+@all');
    }
    const port = await freePort();
    const base = `http://127.0.0.1:${port}`;
    const config = site.file(
      'cluster.yml',
      `global: { scrape_interval: 200ms }\nscrape_configs: [{ job_name: self, static_configs: [{ targets: ["127.0.0.1:${port}"] }] }]`,
    );
    const start = () =>
      site.canopy(
        'parent',
        ...['parent', '--config.file', config, '--storage.path', site.path('cluster')],
        ...['--web.listen-address', `127.0.0.1:${port}`],
        ...['--store', cluster!.url.replace('//', '//canopy:s3cret@')],
        ...['--store.redis.tls-ca-file', site.file('ca.pem', CA_CERT)],
        ...['--store.redis.tls-cert-file', site.file('client.pem', CLIENT_CERT)],
        ...['--store.redis.tls-key-file', site.file('client-key.pem', CLIENT_KEY)],
      );
    const first = start();
    await waitReady(base, 20_000);
    const count = async (): Promise<number> =>
      Number((await query(base, 'count_over_time(up{job="self"}[1h])'))[0]?.value?.[1] ?? 0);
    await eventually(20_000, 'scrapes', async () => expect(await count()).toBeGreaterThan(10));
    const before = await count();
    await first.kill('SIGTERM');
    const second = start();
    await waitReady(base, 20_000);
    expect(await count()).toBeGreaterThanOrEqual(before);
    const flags = await get(`${base}/api/v1/status/flags`);
    const hierarchy = await get(`${base}/api/v1/status/hierarchy`);
    expect(flags).toContain('rediss+cluster://canopy:<secret>@127.0.0.1:');
    expect(hierarchy).toMatch(/a cluster of 3 masters at .* maxmemory is 100MiB/);
    const said = [flags, hierarchy, await get(`${base}/metrics`), first.output, second.output];
    expect(said.join('\n')).not.toContain('s3cret');
  });
});
