/**
 * `npm run bench -- wire`: bytes on the wire from a leaf to a parent for a sample of real exporters (node, Redis, a
 * Prometheus), beside a Prometheus that federates the same from another. Each exporter is scraped by several jobs, as
 * many of its kind would be. `--small` is a short run to see that it works.
 */
import { cpus } from 'node:os';
import { Site, eventually, freePort, query, sleep, waitReady } from '../processes.js';
import { federateConfig } from './farm-config.js';
import { countingProxy } from './measure.js';
import { EXPORTERS, startExporters } from './recording.js';

const isSmall = process.argv.includes('--small');
const JOBS_OF_EACH = isSmall ? 2 : 10;
const INTERVAL_S = isSmall ? 1 : 5;
const MEASURE_S = isSmall ? 10 : 120;

const say = (line: string): void => console.log(line);

function scrapeConfig(ports: readonly number[]): string {
  const jobs = ports.flatMap((port, i) =>
    Array.from(
      { length: JOBS_OF_EACH },
      (_, k) =>
        `  - { job_name: ${EXPORTERS[i]}-${k}, static_configs: [{ targets: ["127.0.0.1:${port}"] }] }\n`,
    ),
  );
  return `global: { scrape_interval: ${INTERVAL_S}s, scrape_timeout: ${INTERVAL_S}s }
scrape_configs:
${jobs.join('')}`;
}

async function main(): Promise<void> {
  say(
    `${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}`,
  );
  await using site = new Site();
  const exporters = await startExporters(site, INTERVAL_S * 1000);
  const [promLeaf, promParent, leaf, parent] = await Promise.all([0, 0, 0, 0].map(freePort));
  const address = (port: number): string => `127.0.0.1:${port}`;
  const prometheus = (name: string, config: string, port: number): void => {
    site.program(
      name,
      'prometheus',
      ...[`--config.file=${site.file(`${name}.yml`, config)}`, '--log.level=warn'],
      ...[`--storage.tsdb.path=${site.path(name)}`, `--web.listen-address=${address(port)}`],
    );
  };
  const canopy = (role: string, config: string, port: number): void => {
    site.canopy(
      role,
      ...[role, '--config.file', site.file(`${role}.yml`, config)],
      ...['--web.listen-address', address(port), '--storage.path', site.path(role)],
    );
  };
  const wires = { canopy: await countingProxy(leaf), prometheus: await countingProxy(promLeaf) };
  const config = scrapeConfig(exporters.ports);
  canopy('leaf', config, leaf);
  prometheus('prom-leaf', config, promLeaf);
  canopy('parent', federateConfig(wires.canopy.port, INTERVAL_S), parent);
  prometheus('prom-parent', federateConfig(wires.prometheus.port, INTERVAL_S), promParent);
  const urls = [leaf, promLeaf, parent, promParent].map((port) => `http://${address(port)}`);
  for (const url of urls) await waitReady(url, 30_000);
  const targets = exporters.ports.length * JOBS_OF_EACH;
  for (const url of urls) {
    await eventually(60_000, `${targets} targets at ${url}`, async () => {
      const [up] = await query(url, 'count(up{job!="federate"} == 1)');
      if (Number(up?.value?.[1]) !== targets) throw new Error(String(up?.value?.[1]));
    });
  }
  await sleep(4 * INTERVAL_S * 1000);
  const seriesAt = async (url: string): Promise<number> =>
    Number((await query(url, 'count({job!="",job!="federate"})'))[0]?.value?.[1]);
  const series = { canopy: await seriesAt(urls[0]), prometheus: await seriesAt(urls[1]) };
  say(
    `${targets} targets of ${EXPORTERS.join(', ')}, ${series.canopy} series every ${INTERVAL_S} s`,
  );
  for (const wire of Object.values(wires)) wire.takeBytes();
  const begin = performance.now();
  await sleep(MEASURE_S * 1000);
  const scrapes = (performance.now() - begin) / 1000 / INTERVAL_S;
  say('');
  say('| wire, bytes a sample | |');
  say('|---|---|');
  for (const name of ['canopy', 'prometheus'] as const) {
    say(`| ${name} | ${(wires[name].takeBytes() / (series[name] * scrapes)).toFixed(2)} |`);
    wires[name].close();
  }
  exporters.stopLoad();
}

await main();
process.exit(0);
