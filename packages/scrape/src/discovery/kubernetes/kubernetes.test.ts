/** Discovery against an API server of the test's own, over real HTTP. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, asTime } from '@canopy/model';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { KubernetesSdConfig, TargetGroup } from '../../config.js';
import { CA_CERT, SERVER_CERT, SERVER_KEY } from '../../testing/certificates.js';
import { KubernetesServer } from '../../testing/kubernetes-server.js';
import type { DiscoveryRun } from '../discovery.js';
import { KubernetesConnector, type KubernetesConnectorOptions } from './connector.js';
import { KubernetesDiscovery } from './kubernetes.js';

/** Time runs twenty times as fast: pauses of seconds are for clusters. */
const clock: Clock = {
  now: () => asTime(Date.now()),
  monotonic: () => performance.now() * 20,
  after: (delay, fire) => {
    const timer = setTimeout(fire, delay / 20);
    return { cancel: () => clearTimeout(timer) };
  },
};

let server: KubernetesServer;
let folder = '';
let connector: KubernetesConnector;
let run: DiscoveryRun | undefined;
let groups: readonly TargetGroup[] | undefined;
let spoken = 0;
let reports: string[] = [];

const connect = (options: Partial<KubernetesConnectorOptions> = {}): KubernetesConnector =>
  new KubernetesConnector({
    clock,
    env: {},
    serviceAccountFolder: folder,
    userAgent: 'test',
    ...options,
  });

beforeEach(async () => {
  server = await KubernetesServer.start();
  folder = mkdtempSync(join(tmpdir(), 'canopy-kubernetes-'));
  connector = connect();
  groups = undefined;
  spoken = 0;
  reports = [];
});
afterEach(async () => {
  run?.stop();
  connector[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function start(config: Partial<KubernetesSdConfig>): void {
  const whole: KubernetesSdConfig = {
    role: 'pod',
    apiServer: server.url,
    namespaces: [],
    ownNamespace: false,
    selectors: [],
    attach: { node: false, namespace: false },
    followRedirects: true,
    ...config,
  };
  const report = (message: string, fields: object): void =>
    void reports.push(`${message}: ${(fields as { error?: string }).error}`);
  run = new KubernetesDiscovery(whole, clock, connector, report).start((found) => {
    groups = found;
    spoken++;
  });
}

const targets = (): string[] | undefined => groups?.flatMap(({ targets }) => [...targets]).sort();
const until = (...expected: string[]): Promise<void> =>
  expect.poll(targets, { timeout: 5000, interval: 5 }).toEqual(expected);
const untilTrue = (is: () => boolean): Promise<void> =>
  expect.poll(is, { timeout: 5000, interval: 5 }).toBe(true);

const pod = (name: string, podIP: string, namespace = 'default', more: object = {}) => ({
  metadata: { name, namespace, ...more },
  spec: { nodeName: 'n1', containers: [{ name: 'c', ports: [{ containerPort: 80 }] }] },
  status: { podIP },
});

test('objects that are added, changed and removed, by one list and one watch', async () => {
  server.put('pods', pod('a', '10.0.0.1'));
  start({});
  await until('10.0.0.1:80');
  server.put('pods', pod('b', '10.0.0.2'));
  await until('10.0.0.1:80', '10.0.0.2:80');
  const [unchanged] = groups ?? [];
  server.put('pods', pod('b', '10.0.0.3'));
  await until('10.0.0.1:80', '10.0.0.3:80');
  server.remove('pods', pod('b', '10.0.0.3'));
  await until('10.0.0.1:80');
  // What has not changed is the same object: its targets are not made anew.
  expect(groups?.[0]).toBe(unchanged);
  expect(server.listsOf('pods')).toBe(1);
  expect(reports).toEqual([]);
});

test('an empty cluster is an answer', async () => {
  start({});
  await until();
});

test('a list in pages', async () => {
  server.pageObjectsMax = 3;
  for (let i = 0; i < 10; i++) server.put('pods', pod(`p${i}`, `10.0.0.${i}`));
  start({});
  await untilTrue(() => targets()?.length === 10);
  expect(server.listsOf('pods')).toBe(4);
  expect(spoken).toBe(1);
});

test('a dropped connection: the watch goes on where it was, nothing is listed again', async () => {
  server.put('pods', pod('a', '10.0.0.1'));
  start({});
  await until('10.0.0.1:80');
  await untilTrue(() => server.watching === 1);
  server.dropConnections();
  // While nobody watches.
  server.put('pods', pod('b', '10.0.0.2'));
  await until('10.0.0.1:80', '10.0.0.2:80');
  server.endWatches();
  server.remove('pods', pod('a', '10.0.0.1'));
  await until('10.0.0.2:80');
  expect(server.listsOf('pods')).toBe(1);
});

test('410: what was known stays until it has been listed anew', async () => {
  server.put('pods', pod('a', '10.0.0.1'));
  server.put('pods', pod('b', '10.0.0.2'));
  start({});
  await until('10.0.0.1:80', '10.0.0.2:80');
  await untilTrue(() => server.watching === 1);
  server.remove('pods', pod('b', '10.0.0.2'));
  server.put('pods', pod('c', '10.0.0.3'));
  server.forget();
  server.dropConnections();
  await until('10.0.0.1:80', '10.0.0.3:80');
  await untilTrue(() => server.watching === 1);
  const object = { kind: 'Status', code: 410, message: 'too old' };
  server.shout(`${JSON.stringify({ type: 'ERROR', object })}\n`);
  await untilTrue(() => server.listsOf('pods') === 3);
  expect(targets()).toEqual(['10.0.0.1:80', '10.0.0.3:80']);
});

test('a bookmark moves the version on, so that quiet resources need no new list', async () => {
  server.put('pods', pod('a', '10.0.0.1'));
  start({});
  await untilTrue(() => server.watching === 1);
  const object = { kind: 'Pod', metadata: { resourceVersion: '5000' } };
  server.shout(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
  server.endWatches();
  await untilTrue(() => server.requests.at(-1)?.includes('resourceVersion=5000') === true);
});

test('an API server that refuses, or talks nonsense, loses nothing', async () => {
  server.put('pods', pod('a', '10.0.0.1'));
  server.status = 403;
  start({});
  await untilTrue(() => reports.length > 0);
  expect(reports[0]).toBe('cannot watch Kubernetes: the API server answers 403 Forbidden');
  expect(groups).toBeUndefined();
  server.status = 200;
  await until('10.0.0.1:80');
  await untilTrue(() => server.watching === 1);
  reports = [];
  server.shout('nonsense\n');
  await untilTrue(() => reports.length > 0);
  await untilTrue(() => server.listsOf('pods') >= 3 && server.watching === 1);
  server.shout(`${JSON.stringify({ type: 'ADDED', object: { metadata: {} } })}\n`);
  await untilTrue(() => reports.length > 1);
  expect(reports[1]).toContain('an object without a name');
  // Of another shape than Kubernetes says: left out, the others stay.
  await untilTrue(() => server.watching === 1);
  server.put('pods', {
    metadata: { name: 'x', namespace: 'y' },
    spec: { containers: 7 },
    status: { podIP: '1' },
  } as never);
  server.put('pods', pod('b', '10.0.0.2'));
  await until('10.0.0.1:80', '10.0.0.2:80');
  expect(reports.at(-1)).toContain('cannot read an object');
});

test('namespaces, selectors, and the namespace of the process itself', async () => {
  server.put('pods', pod('a', '10.0.0.1', 'one', { labels: { app: 'x' } }));
  server.put('pods', pod('b', '10.0.0.2', 'two', { labels: { app: 'x' } }));
  server.put('pods', pod('c', '10.0.0.3', 'one', { labels: { app: 'y' } }));
  server.put('pods', pod('d', '10.0.0.4', 'three', { labels: { app: 'x' } }));
  writeFileSync(join(folder, 'namespace'), 'two\n');
  start({
    namespaces: ['one'],
    ownNamespace: true,
    selectors: [{ role: 'pod', label: 'app=x', field: 'status.phase=Running' }],
  });
  await until('10.0.0.1:80', '10.0.0.2:80');
  expect(
    server.requests.every((path) => path.includes('fieldSelector=status.phase%3DRunning')),
  ).toBe(true);
  expect(server.requests.some((path) => path.includes('/namespaces/three/'))).toBe(false);
});

test('nodes that are attached are those selected', async () => {
  server.put('nodes', { metadata: { name: 'n1', labels: { zone: 'a' } } });
  server.put('nodes', { metadata: { name: 'n2', labels: { zone: 'b' } } });
  const second = pod('b', '10.0.0.2');
  server.put('pods', pod('a', '10.0.0.1'));
  second.spec.nodeName = 'n2';
  server.put('pods', second);
  start({
    attach: { node: true, namespace: false },
    selectors: [{ role: 'node', label: 'zone=a', field: '' }],
  });
  await until('10.0.0.1:80', '10.0.0.2:80');
  const zoneOf = (address: string): string | undefined =>
    groups?.find(({ targets }) => targets[0] === address)?.labels.__meta_kubernetes_node_label_zone;
  expect([zoneOf('10.0.0.1:80'), zoneOf('10.0.0.2:80')]).toEqual(['a', undefined]);
});

test('endpoint slices follow their service, their pods and the nodes', async () => {
  const service = (tier: string) => ({
    metadata: { name: 's', namespace: 'default', labels: { tier } },
  });
  const node = (zone: string) => ({ metadata: { name: 'n1', labels: { zone } } });
  const slice = {
    metadata: {
      name: 's-1',
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': 's' },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
    endpoints: [
      {
        addresses: ['10.0.0.1'],
        nodeName: 'n1',
        targetRef: { kind: 'Pod', name: 'a', namespace: 'default' },
      },
    ],
  };
  const label = (name: string): string | undefined =>
    groups?.[0]?.labels[`__meta_kubernetes_${name}`];
  server.put('endpointslices', slice);
  start({ role: 'endpointslice', attach: { node: true, namespace: true } });
  await until('10.0.0.1:80');
  expect(label('pod_name')).toBeUndefined();
  server.put('pods', pod('a', '10.0.0.1'));
  await untilTrue(() => label('pod_name') === 'a');
  server.put('services', service('gold'));
  await untilTrue(() => label('service_label_tier') === 'gold');
  server.put('services', service('lead'));
  await untilTrue(() => label('service_label_tier') === 'lead');
  server.put('nodes', node('z1'));
  await untilTrue(() => label('node_label_zone') === 'z1');
  server.put('namespaces', { metadata: { name: 'default', labels: { team: 't' } } });
  await untilTrue(() => label('namespace_label_team') === 't');
  server.remove('services', service('lead'));
  await untilTrue(() => label('service_label_tier') === undefined);
  expect(label('node_name')).toBe('n1');
});

test('a change is told together with those around it', async () => {
  server.put('pods', pod('a', '10.0.0.1'));
  start({});
  await until('10.0.0.1:80');
  await untilTrue(() => server.watching === 1);
  for (let i = 0; i < 100; i++) server.put('pods', pod(`p${i}`, `10.0.1.${i}`));
  await untilTrue(() => targets()?.length === 101);
  expect(spoken).toBeLessThan(5);
});

test('after stop nothing is asked and nothing is said', async () => {
  server.put('pods', pod('a', '10.0.0.1'));
  start({});
  await until('10.0.0.1:80');
  await untilTrue(() => server.watching === 1);
  server.put('pods', pod('b', '10.0.0.2'));
  run?.stop();
  await untilTrue(() => server.watching === 0);
  const asked = server.requests.length;
  await new Promise((done) => setTimeout(done, 150));
  expect([server.requests.length, targets()]).toEqual([asked, ['10.0.0.1:80']]);
  expect(reports).toEqual([]);
});

test('in a pod: host, certificate and token of its account', async () => {
  await server[Symbol.asyncDispose]();
  server = await KubernetesServer.start({ cert: SERVER_CERT, key: SERVER_KEY });
  connector[Symbol.dispose]();
  const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: `${server.port}` };
  connector = connect({ env });
  for (const [name, text] of Object.entries({ 'ca.crt': CA_CERT, token: 't1', namespace: 'own' })) {
    writeFileSync(join(folder, name), text);
  }
  server.put('pods', pod('a', '10.0.0.1', 'own'));
  server.put('pods', pod('b', '10.0.0.2', 'other'));
  start({ apiServer: undefined, ownNamespace: true } as never);
  await until('10.0.0.1:80');
  expect(server.authorizations[0]).toBe('Bearer t1');
  expect(reports).toEqual([]);
});

test('outside of a pod that is said, and tried again', async () => {
  start({ apiServer: undefined } as never);
  await untilTrue(() => reports.length > 1);
  expect(reports[0]).toMatch(/KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined/);
  run?.stop();
  reports = [];
  start({ ownNamespace: true });
  await untilTrue(() => reports.length > 0);
  expect(reports[0]).toMatch(/could not determine the pod's namespace/);
});

test('credentials of the configuration go with each request, a changed token file too', async () => {
  const token = join(folder, 'token');
  writeFileSync(token, 'first');
  start({ auth: { type: 'header', scheme: 'Bearer', credentials: { file: token } } });
  await untilTrue(() => server.watching === 1);
  expect(new Set(server.authorizations)).toEqual(new Set(['Bearer first']));
  writeFileSync(token, 'second, and longer');
  // Files are looked at once a while.
  await new Promise((done) => setTimeout(done, 300));
  server.dropConnections();
  await untilTrue(() => server.authorizations.at(-1) === 'Bearer second, and longer');
});

const kubeconfig = (url: string): string => `
apiVersion: v1
kind: Config
current-context: test
contexts: [{ name: test, context: { cluster: c, user: u } }]
clusters: [{ name: c, cluster: { server: "${url}", insecure-skip-tls-verify: true } }]
users: [{ name: u, user: { token: secret-token } }]
`;

test('a kubeconfig file, by the optional dependency', { timeout: 20_000 }, async () => {
  const file = join(folder, 'kubeconfig');
  writeFileSync(file, kubeconfig(server.url));
  server.put('pods', pod('a', '10.0.0.1'));
  start({ apiServer: undefined, kubeconfigFile: file } as never);
  await expect.poll(targets, { timeout: 15_000 }).toEqual(['10.0.0.1:80']);
  expect(server.authorizations[0]).toBe('Bearer secret-token');
});

test('without the optional dependency, what is missing is said', async () => {
  connector[Symbol.dispose]();
  connector = connect({
    loadClient: () => Promise.reject(new Error("Cannot find package '@kubernetes/client-node'")),
  });
  start({ apiServer: undefined, kubeconfigFile: '/x' } as never);
  await untilTrue(() => reports.length > 0);
  expect(reports[0]).toMatch(
    /cannot reach Kubernetes: kubernetes_sd_configs with kubeconfig_file needs the optional dependency @kubernetes\/client-node.*Cannot find package/,
  );
});
