/**
 * From objects to targets, a function a role. Targets of one object stand together; each has all its labels.
 */
import { isIPv6 } from 'node:net';
import type { KubernetesAttach, TargetGroup } from '../../config.js';
import { joinHostPort } from '../dns.js';
import {
  type LabelSet,
  NAMESPACE,
  PREFIX,
  addAttachedNamespace,
  addAttachedNode,
  addContainer,
  addObjectMeta,
  containersOf,
  podLabels,
  sanitize,
  serviceLabels,
} from './meta.js';
import type { Ingress, KubeObject, Namespace, Node, Pod, Service } from './objects.js';

/** Objects of other kinds, undefined where they are not (or not yet) known. */
export interface Lookup {
  node(name: string): Node | undefined;
  namespace(name: string): Namespace | undefined;
  pod(namespace: string, name: string): Pod | undefined;
  service(namespace: string, name: string): Service | undefined;
}

export type BuildTargets<T extends KubeObject> = (
  object: T,
  look: Lookup,
  attach: KubernetesAttach,
) => TargetGroup[];

/** Gathers the targets of one object. */
export class Targets {
  readonly groups: TargetGroup[] = [];
  readonly #source: string;
  readonly #common: LabelSet;

  /** `common` is what all of them have; a target's own labels win. */
  constructor(source: string, common: LabelSet) {
    this.#source = source;
    this.#common = common;
  }

  add(address: string, labels: LabelSet): void {
    this.groups.push({
      targets: [address],
      labels: { ...this.#common, ...labels },
      source: this.#source,
    });
  }
}

/** In the order in which an address is preferred. */
const NODE_ADDRESSES = [
  'InternalIP',
  'InternalDNS',
  'ExternalIP',
  'ExternalDNS',
  'LegacyHostIP',
  'Hostname',
];

/** One target: the kubelet. */
export const nodeTargets: BuildTargets<Node> = ({ metadata, spec, status }) => {
  const addresses = new Map<string, string>();
  for (const { type, address } of status?.addresses ?? []) {
    if (!addresses.has(type)) addresses.set(type, address);
  }
  const host = NODE_ADDRESSES.map((type) => addresses.get(type)).find((one) => one !== undefined);
  if (host === undefined) return [];
  const labels: LabelSet = {
    instance: metadata.name,
    [`${PREFIX}node_provider_id`]: spec?.providerID ?? '',
  };
  addObjectMeta(labels, metadata, 'node');
  for (const { type, status: is } of status?.conditions ?? []) {
    labels[`${PREFIX}node_condition_${sanitize(type.toLowerCase())}`] = is.toLowerCase();
  }
  for (const [type, address] of addresses) {
    labels[`${PREFIX}node_address_${sanitize(type)}`] = address;
  }
  const targets = new Targets(`node/${metadata.name}`, labels);
  targets.add(joinHostPort(host, status?.daemonEndpoints?.kubeletEndpoint?.Port ?? 0), {});
  return targets.groups;
};

/** A target for each port of each service. */
export const serviceTargets: BuildTargets<Service> = (service, look, attach) => {
  const { metadata, spec } = service;
  const { namespace = '', name } = metadata;
  const common = serviceLabels(service);
  if (attach.namespace) addAttachedNamespace(common, look.namespace(namespace));
  const targets = new Targets(`svc/${namespace}/${name}`, common);
  for (const port of spec?.ports ?? []) {
    const labels: LabelSet = {
      [`${PREFIX}service_port_name`]: port.name ?? '',
      [`${PREFIX}service_port_number`]: String(port.port),
      [`${PREFIX}service_port_protocol`]: port.protocol ?? '',
      [`${PREFIX}service_type`]: spec?.type ?? '',
    };
    if (spec?.type === 'ExternalName') {
      labels[`${PREFIX}service_external_name`] = spec.externalName ?? '';
    } else labels[`${PREFIX}service_cluster_ip`] = spec?.clusterIP ?? '';
    if (spec?.type === 'LoadBalancer') {
      labels[`${PREFIX}service_loadbalancer_ip`] = spec.loadBalancerIP ?? '';
    }
    targets.add(joinHostPort(`${name}.${namespace}.svc`, port.port), labels);
  }
  return targets.groups;
};

/** A target for each port of each container; one without a port where a container declares none. */
export const podTargets: BuildTargets<Pod> = (pod, look, attach) => {
  const { metadata, spec, status } = pod;
  const namespace = metadata.namespace ?? '';
  const ip = status?.podIP ?? '';
  // Starting, or evicted.
  if (ip === '') return [];
  const common: LabelSet = { [NAMESPACE]: namespace, ...podLabels(pod) };
  if (attach.node) addAttachedNode(common, look.node(spec?.nodeName ?? ''));
  if (attach.namespace) addAttachedNamespace(common, look.namespace(namespace));
  const targets = new Targets(`pod/${namespace}/${metadata.name}`, common);
  for (const one of containersOf(pod)) {
    const { container, isInit } = one;
    const statuses = isInit ? status?.initContainerStatuses : status?.containerStatuses;
    const known = statuses?.find(({ name }) => name === container.name);
    const ports = container.ports ?? [];
    for (const port of ports.length === 0 ? [undefined] : ports) {
      const labels: LabelSet = { [`${PREFIX}pod_container_id`]: known?.containerID ?? '' };
      addContainer(labels, one, port);
      const bare = isIPv6(ip) ? `[${ip}]` : ip;
      targets.add(port === undefined ? bare : joinHostPort(ip, port.containerPort), labels);
    }
  }
  return targets.groups;
};

/** A target for each path of each rule. */
export const ingressTargets: BuildTargets<Ingress> = ({ metadata, spec }, look, attach) => {
  const { namespace = '', name } = metadata;
  const common: LabelSet = {
    [NAMESPACE]: namespace,
    [`${PREFIX}ingress_class_name`]: spec?.ingressClassName ?? '',
  };
  addObjectMeta(common, metadata, 'ingress');
  if (attach.namespace) addAttachedNamespace(common, look.namespace(namespace));
  const targets = new Targets(`ingress/${namespace}/${name}`, common);
  const secureHosts = (spec?.tls ?? []).flatMap(({ hosts }) => hosts ?? []);
  for (const { host = '', http } of spec?.rules ?? []) {
    const isSecure = secureHosts.some((pattern) => matchesHost(pattern, host));
    // A rule without a list of paths is for all of them.
    for (const { path } of http?.paths ?? [{ path: '/' }]) {
      targets.add(host, {
        [`${PREFIX}ingress_scheme`]: isSecure ? 'https' : 'http',
        [`${PREFIX}ingress_host`]: host,
        [`${PREFIX}ingress_path`]: path || '/',
      });
    }
  }
  return targets.groups;
};

/** `*` stands for one whole label, at the beginning only. */
function matchesHost(pattern: string, host: string): boolean {
  if (pattern === host) return true;
  if (!pattern.startsWith('*.')) return false;
  const dot = host.indexOf('.');
  return dot >= 0 && host.slice(dot) === pattern.slice(1);
}
