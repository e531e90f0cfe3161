/**
 * The keys of `http_sd_configs`, `dns_sd_configs` and `kubernetes_sd_configs`, with Prometheus's rules
 * (discovery/http, discovery/dns, discovery/kubernetes).
 */
import type { DnsSdConfig, HttpSdConfig, KubernetesRole, KubernetesSdConfig } from '@canopy/scrape';
import { z } from 'zod';
import {
  type RawHttpClient,
  checkHttpClient,
  httpClientOf,
  httpClientShape,
} from './http-client.js';
import { wrongFieldSelector, wrongLabelSelector } from './kubernetes-selectors.js';
import {
  blankable,
  boolean,
  count,
  duration,
  fail,
  onlyFalse,
  optional,
  scalar,
  text,
} from './scalars.js';

/** Not the text itself in a complaint: it may hold a password. */
const httpUrl = (name: string) =>
  scalar((text) => {
    if (text === '') return fail('URL is missing');
    if (!/^https?:/.test(text)) return fail("URL scheme must be 'http' or 'https'");
    if (/^https?:(\/\/([^/]*@)?([/:?#]|$)|(?!\/\/))/.test(text))
      return fail('host is missing in URL');
    return URL.canParse(text) ? text : fail(`${name} is not a URL`);
  });

export const httpSdConfig = z
  .strictObject({
    ...httpClientShape,
    url: httpUrl('url').prefault('').describe('Answers with a JSON list of target groups'),
    refresh_interval: duration().prefault('1m'),
  })
  .superRefine((sd, context) => {
    const issue = (message: string) => context.addIssue({ code: 'custom', message });
    if (sd.refresh_interval === 0) issue('refresh_interval is 0');
    checkHttpClient(sd, issue);
  });

const RECORD_TYPES: ReadonlyArray<DnsSdConfig['type']> = ['A', 'AAAA', 'MX', 'NS', 'SRV'];

const recordType = () =>
  scalar((text) => {
    const name = text.toUpperCase();
    return (
      RECORD_TYPES.find((type) => type === name) ?? fail(`invalid DNS-SD records type ${text}`)
    );
  });

export const dnsSdConfig = z
  .strictObject({
    names: optional(
      z
        .array(text().pipe(z.string().min(1, 'a name is empty')))
        .default([])
        .refine(
          ({ length }) => length > 0,
          'DNS-SD config must contain at least one SRV record name',
        ),
    ),
    type: recordType().prefault('SRV'),
    port: count().prefault('0'),
    refresh_interval: duration().prefault('30s'),
  })
  .superRefine((sd, context) => {
    const issue = (message: string) => context.addIssue({ code: 'custom', message });
    if (sd.refresh_interval === 0) issue('refresh_interval is 0');
    if (sd.type !== 'SRV' && sd.port === 0) {
      issue('a port is required in DNS-SD configs for all record types except SRV');
    }
    if (sd.port > 65_535) issue(`${sd.port} is not a port`);
  });

const ROLES = ['node', 'pod', 'service', 'endpoints', 'endpointslice', 'ingress'] as const;
const role = () =>
  scalar((text): KubernetesRole => {
    if (text === '') {
      return fail('role missing (one of: pod, service, endpoints, endpointslice, node, ingress)');
    }
    return ROLES.find((name) => name === text) ?? fail(`unknown Kubernetes SD role "${text}"`);
  }).prefault('');

/** Roles whose objects are looked up for a role's targets, and may be selected. */
const SELECTABLE: Readonly<Record<KubernetesRole, readonly KubernetesRole[]>> = {
  pod: ['pod'],
  service: ['service'],
  endpointslice: ['pod', 'service', 'endpointslice'],
  endpoints: ['pod', 'service', 'endpoints'],
  node: ['node'],
  ingress: ['ingress'],
};

const selector = z.strictObject({
  role: role(),
  label: text().default(''),
  field: text().default(''),
});

/** An empty one is the same as none, as in Prometheus. */
const apiServer = blankable(httpUrl('api_server').optional());

const NO_OWNERS = 'owners of pods are not looked up';

export const kubernetesSdConfig = z
  .strictObject({
    ...httpClientShape,
    role: role(),
    api_server: apiServer,
    kubeconfig_file: text().optional(),
    namespaces: optional(
      z
        .strictObject({
          names: optional(z.array(text()).default([])),
          own_namespace: boolean().prefault('false'),
        })
        .prefault({}),
    ),
    selectors: optional(z.array(selector).default([])),
    attach_metadata: optional(
      z
        .strictObject({
          node: boolean().prefault('false'),
          namespace: boolean().prefault('false'),
          deployment: onlyFalse(NO_OWNERS),
          job: onlyFalse(NO_OWNERS),
          cronjob: onlyFalse(NO_OWNERS),
        })
        .prefault({}),
    ),
  })
  .superRefine((sd, context) => {
    const issue = (message: string) => context.addIssue({ code: 'custom', message });
    checkHttpClient(sd, issue);
    checkServer(sd, issue);
    const seen = new Set<string>();
    for (const one of sd.selectors) {
      const wrong = wrongFieldSelector(one.field) || wrongLabelSelector(one.label);
      if (wrong !== '') issue(wrong);
      if (seen.has(one.role)) issue(`duplicated selector role: ${one.role}`);
      seen.add(one.role);
      // Documented so: nodes are asked for where they are attached.
      const isAttached = sd.role === 'pod' && sd.attach_metadata.node;
      const allowed = isAttached ? ([...SELECTABLE.pod, 'node'] as const) : SELECTABLE[sd.role];
      if (!allowed.includes(one.role)) {
        issue(`${sd.role} role supports only ${allowed.join(', ')} selectors`);
      }
    }
  });

interface RawServer extends RawHttpClient {
  readonly api_server?: string | undefined;
  readonly kubeconfig_file?: string | undefined;
  readonly namespaces: { readonly own_namespace: boolean };
}

function checkServer(sd: RawServer, issue: (message: string) => void): void {
  const { api_server: server, kubeconfig_file: kubeconfig } = sd;
  const isOwn = sd.namespaces.own_namespace;
  if (server && kubeconfig) issue("cannot use 'kubeconfig_file' and 'api_server' simultaneously");
  if (hasHttpClient(sd)) {
    if (kubeconfig) {
      issue("cannot use a custom HTTP client configuration together with 'kubeconfig_file'");
    } else if (!server) {
      issue(
        "to use custom HTTP client configuration please provide the 'api_server' URL explicitly",
      );
    }
  }
  if (server && isOwn) {
    issue("cannot use 'api_server' and 'namespaces.own_namespace' simultaneously");
  }
  if (kubeconfig && isOwn) {
    issue("cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously");
  }
}

/** Something of the `http_config` differs from its default. */
function hasHttpClient(raw: RawHttpClient): boolean {
  const { follow_redirects: redirects, enable_http2: http2, proxy_connect_header, ...rest } = raw;
  const names = Object.keys(httpClientShape).filter((name) => name in rest);
  const given = names.some((name) => Boolean((rest as Record<string, unknown>)[name]));
  return given || !redirects || !http2 || Object.keys(proxy_connect_header).length > 0;
}

type Absolute = (path: string) => string;

export function httpSdOf(raw: z.output<typeof httpSdConfig>, absolute: Absolute): HttpSdConfig {
  return {
    ...httpClientOf(raw, absolute),
    url: raw.url,
    refreshInterval: raw.refresh_interval,
  };
}

export function dnsSdOf(raw: z.output<typeof dnsSdConfig>): DnsSdConfig {
  const { names, type, port, refresh_interval: refreshInterval } = raw;
  return { names, type, port, refreshInterval };
}

export function kubernetesSdOf(
  raw: z.output<typeof kubernetesSdConfig>,
  absolute: Absolute,
): KubernetesSdConfig {
  return {
    ...httpClientOf(raw, absolute),
    role: raw.role,
    ...(raw.api_server && { apiServer: raw.api_server }),
    ...(raw.kubeconfig_file && { kubeconfigFile: absolute(raw.kubeconfig_file) }),
    namespaces: raw.namespaces.names,
    ownNamespace: raw.namespaces.own_namespace,
    selectors: raw.selectors,
    attach: { node: raw.attach_metadata.node, namespace: raw.attach_metadata.namespace },
  };
}
