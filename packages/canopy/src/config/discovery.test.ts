import type { DurationMs } from '@canopy/model';
import type { ScrapeConfig } from '@canopy/scrape';
import { expect, test } from 'vitest';
import { loadConfig } from './load.js';

const load = (entry: string): ScrapeConfig => {
  const text = `scrape_configs:\n- job_name: a\n  ${entry}\n`;
  const { scrapeConfigs } = loadConfig('/etc/canopy/prometheus.yml', {
    readFile: () => text,
    listFolder: () => [],
    env: {},
    defaultScrapeInterval: 60_000 as DurationMs,
  });
  return scrapeConfigs[0];
};

function check(entry: string, expected: Partial<ScrapeConfig> | RegExp): void {
  if (expected instanceof RegExp) expect(() => load(entry), entry).toThrow(expected);
  else expect(load(entry), entry).toMatchObject(expected);
}

test('http_sd_configs', () => {
  check('http_sd_configs: [{url: "https://h/t"}]', {
    httpSdConfigs: [
      { url: 'https://h/t', refreshInterval: 60_000 as DurationMs, followRedirects: true },
    ],
  });
  check('http_sd_configs: [{url: "http://h", refresh_interval: 5s, bearer_token_file: tok}]', {
    httpSdConfigs: [
      {
        url: 'http://h',
        refreshInterval: 5000 as DurationMs,
        followRedirects: true,
        auth: { type: 'header', scheme: 'Bearer', credentials: { file: '/etc/canopy/tok' } },
      },
    ],
  });
  check('http_sd_configs: [{url: "ftp://h"}]', /URL scheme must be 'http' or 'https'/);
  check('http_sd_configs: [{url: "http://"}]', /host is missing in URL/);
  check('http_sd_configs: [{}]', /url: URL is missing/);
  check('http_sd_configs: [{url: "http://h", refresh_interval: 0s}]', /refresh_interval is 0/);
  check('http_sd_configs: [{url: "http://h", urll: x}]', /unknown key "urll" .*"url"/);
});

test('dns_sd_configs', () => {
  check('dns_sd_configs: [{names: [_m._tcp.x]}]', {
    dnsSdConfigs: [
      { names: ['_m._tcp.x'], type: 'SRV', port: 0, refreshInterval: 30_000 as DurationMs },
    ],
  });
  check('dns_sd_configs: [{names: [x], type: aaaa, port: 9100}]', {
    dnsSdConfigs: [
      { names: ['x'], type: 'AAAA', port: 9100, refreshInterval: 30_000 as DurationMs },
    ],
  });
  check('dns_sd_configs: [{names: [], type: A}]', /at least one SRV record name/);
  check('dns_sd_configs: [{names: [x], type: A}]', /a port is required/);
  check('dns_sd_configs: [{names: [x], type: A, port: 70000}]', /70000 is not a port/);
  check('dns_sd_configs: [{names: [x], type: MX}]', /a port is required/);
  check('dns_sd_configs: [{names: [x], type: ns, port: 53}]', {
    dnsSdConfigs: [{ names: ['x'], type: 'NS', port: 53, refreshInterval: 30_000 as DurationMs }],
  });
  check('dns_sd_configs: [{names: [x], type: PTR}]', /invalid DNS-SD records type PTR/);
});

const sd = (rest: string): string => `kubernetes_sd_configs: [{${rest}}]`;

test('kubernetes_sd_configs', () => {
  const plain = {
    role: 'pod',
    namespaces: [],
    ownNamespace: false,
    selectors: [],
    attach: { node: false, namespace: false },
    followRedirects: true,
  } as const;
  check(sd('role: pod'), { kubernetesSdConfigs: [plain] });
  check(sd('role: pod, namespaces: {names: [a], own_namespace: true}'), {
    kubernetesSdConfigs: [{ ...plain, namespaces: ['a'], ownNamespace: true }],
  });
  check(sd('role: pod, kubeconfig_file: kube.yml, attach_metadata: {node: true}'), {
    kubernetesSdConfigs: [
      {
        ...plain,
        kubeconfigFile: '/etc/canopy/kube.yml',
        attach: { node: true, namespace: false },
      },
    ],
  });
  check(sd('role: endpoints, selectors: [{role: pod, label: "a=b", field: "c=d"}]'), {
    kubernetesSdConfigs: [
      { ...plain, role: 'endpoints', selectors: [{ role: 'pod', label: 'a=b', field: 'c=d' }] },
    ],
  });
  check(sd('role: pod, api_server: "https://k", basic_auth: {username: u, password: p}'), {
    kubernetesSdConfigs: [
      {
        ...plain,
        apiServer: 'https://k',
        auth: { type: 'basic', username: 'u', password: 'p' },
      },
    ],
  });
});

test('nodes may be selected where they are attached to pods', () => {
  const selectors = [{ role: 'node' as const, label: 'zone=a', field: '' }];
  check(
    sd('role: pod, attach_metadata: {node: true}, selectors: [{role: node, label: "zone=a"}]'),
    {
      kubernetesSdConfigs: [expect.objectContaining({ role: 'pod', selectors })],
    },
  );
  check(sd('role: pod, selectors: [{role: node}]'), /pod role supports only pod selectors/);
});

test('kubernetes_sd_configs that Prometheus refuses', () => {
  check(sd(''), /role missing/);
  check(sd('role: vacation'), /unknown Kubernetes SD role "vacation"/);
  check(sd('role: gateway'), /unknown Kubernetes SD role "gateway"/);
  check(sd('role: pod, api_server: k'), /URL scheme/);
  check(sd('role: pod, bearer_token: x'), /please provide the 'api_server' URL explicitly/);
  check(sd('role: pod, follow_redirects: false'), /please provide the 'api_server' URL/);
  check(sd('role: pod, kubeconfig_file: k, bearer_token: x'), /together with 'kubeconfig_file'/);
  check(sd('role: pod, kubeconfig_file: k, api_server: "http://k"'), /simultaneously/);
  check(
    sd('role: pod, api_server: "http://k", namespaces: {own_namespace: true}'),
    /own_namespace/,
  );
  check(sd('role: pod, kubeconfig_file: k, namespaces: {own_namespace: true}'), /own_namespace/);
  check(sd('role: ingress, selectors: [{role: pod}]'), /ingress role supports only ingress/);
  check(sd('role: pod, selectors: [{role: pod}, {role: pod}]'), /duplicated selector role: pod/);
  check(
    sd('role: pod, attach_metadata: {deployment: true}'),
    /deployment: is not supported: owners/,
  );
  check(
    sd('role: pod, api_server: "http://k", bearer_token: a, bearer_token_file: b'),
    /at most one of bearer_token & bearer_token_file/,
  );
});
