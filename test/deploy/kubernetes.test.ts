/**
 * The configuration that the leaf of deploy/kubernetes runs with finds what it says, against an API
 * server of the test's own. Does not check that a cluster takes the manifests.
 */
import { type Clock, NO_LABELS, asDuration, asTime } from '@canopy/model';
import { KubernetesConnector, type ScrapeConfig, ScrapeManager } from '@canopy/scrape';
import { FakeFetcher, RecordingJournal, gatesOf } from '@canopy/scrape/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadConfig } from '../../packages/canopy/src/config/load.js';
import { KubernetesServer } from '../../packages/scrape/src/testing/kubernetes-server.js';
import { manifests } from './files.js';

const clock: Clock = {
  now: () => asTime(Date.now()),
  monotonic: () => performance.now(),
  after: (delay, fire) => {
    const timer = setTimeout(fire, delay);
    return { cancel: () => clearTimeout(timer) };
  },
};

const text =
  manifests().find((one) => one.kind === 'ConfigMap' && one.metadata.name === 'canopy-leaf')
    ?.data?.['prometheus.yml'] ?? '';
const jobs = loadConfig('prometheus.yml', {
  readFile: () => text,
  listFolder: () => [],
  env: {},
  defaultScrapeInterval: asDuration(60_000),
}).scrapeConfigs.filter((job) => (job.kubernetesSdConfigs ?? []).length > 0);

let server: KubernetesServer;
let connector: KubernetesConnector;
let manager: ScrapeManager;

const pod = (name: string, annotations: Record<string, string>, phase = 'Running') => ({
  metadata: { name, namespace: 'shop', annotations },
  spec: {
    containers: [{ name: 'main', ports: [{ containerPort: 8080 }, { containerPort: 8443 }] }],
    initContainers: [{ name: 'init', ports: [{ containerPort: 9999 }] }],
  },
  status: { phase, podIP: `10.0.0.${name.length}` },
});
const slice = (service: string, address: string) => ({
  metadata: {
    name: `${service}-1`,
    namespace: 'shop',
    labels: { 'kubernetes.io/service-name': service },
  },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: [{ addresses: [address] }],
});

beforeAll(async () => {
  server = await KubernetesServer.start();
  server.put('nodes', {
    metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': 'z1', other: 'x' } },
    status: {
      addresses: [{ type: 'InternalIP', address: '10.1.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
    },
  } as never);
  const scrape = { 'prometheus.io/scrape': 'true' };
  server.put('pods', pod('a', { ...scrape, 'prometheus.io/port': '9100' }));
  server.put('pods', pod('bb', { ...scrape, 'prometheus.io/path': '/m' }));
  server.put('pods', pod('ccc', scrape, 'Succeeded'));
  server.put('pods', pod('dddd', {}));
  for (const [name, annotations] of Object.entries({ asks: scrape, silent: {} })) {
    server.put('services', { metadata: { name, namespace: 'shop', annotations } });
    server.put('endpointslices', slice(name, '10.0.1.1'));
  }
  connector = new KubernetesConnector({
    clock,
    env: {},
    serviceAccountFolder: '/nowhere',
    userAgent: 'test',
  });
  const configs = jobs.map(
    (job): ScrapeConfig => ({
      ...job,
      kubernetesSdConfigs: job.kubernetesSdConfigs?.map((sd) => ({ ...sd, apiServer: server.url })),
    }),
  );
  manager = new ScrapeManager({
    clock,
    journal: new RecordingJournal(),
    fetcher: new FakeFetcher(clock, () => ''),
    kubernetes: connector,
    gates: gatesOf(),
    pullFormat: undefined,
    configs,
    externalLabels: NO_LABELS,
    discoveries: [],
    offsetSeed: '',
    enforcedLabels: [],
    limits: { seriesPerTargetMax: 1, targetsPerJobMax: 100, droppedTargetsMax: 100 },
    log: () => {},
  });
  manager.start();
});
afterAll(async () => {
  await manager.stop();
  connector[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

it('finds kubelets and what asks to be scraped; the rest is listed as dropped', async () => {
  const found = (): string[] =>
    manager
      .active()
      .map(({ scrapePool, scrapeUrl, labels }) => `${scrapePool} ${scrapeUrl} ${labels.join(' ')}`)
      .sort();
  await expect
    .poll(found, { timeout: 5000 })
    .toEqual([
      'kubelet https://10.1.0.1:10250/metrics instance n1 job kubelet topology_kubernetes_io_zone z1',
      'pods http://10.0.0.1:9100/metrics instance 10.0.0.1:9100 job pods namespace shop pod a',
      'pods http://10.0.0.2:8080/m instance 10.0.0.2:8080 job pods namespace shop pod bb',
      'pods http://10.0.0.2:8443/m instance 10.0.0.2:8443 job pods namespace shop pod bb',
      'services http://10.0.1.1:8080/metrics instance 10.0.1.1:8080 job services namespace shop service asks',
    ]);
  const dropped = manager.dropped().filter(({ scrapePool }) => scrapePool === 'services');
  expect(dropped).toHaveLength(1);
  expect(dropped[0].discoveredLabels.join(' ')).toContain('__meta_kubernetes_service_name silent');
});

it('the leaf may read all that its configuration watches', () => {
  const role = manifests().find((one) => one.kind === 'ClusterRole');
  const allowed = role?.rules?.flatMap((rule) => rule.resources ?? []);
  const watched = new Set(server.requests.map((path) => /\/(\w+)\?/.exec(path)?.[1]));
  expect(watched).toEqual(new Set(['nodes', 'pods', 'services', 'endpointslices']));
  expect(allowed).toEqual(expect.arrayContaining([...watched]));
});
