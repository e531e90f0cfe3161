/**
 * Labels of targets found in Kubernetes, named as Prometheus 3 names them (discovery/kubernetes;
 * docs/configuration, `kubernetes_sd_config`).
 */
import { isIPv4, isIPv6 } from 'node:net';
import type {
  Container,
  ContainerPort,
  Namespace,
  Node,
  ObjectMeta,
  Pod,
  Service,
} from './objects.js';

/** A label with an empty value is no label. */
export type LabelSet = Record<string, string>;

export const PREFIX = '__meta_kubernetes_';
export const NAMESPACE = `${PREFIX}namespace`;

/** What cannot be in a label name becomes `_`. */
export function sanitize(name: string): string {
  return name.replace(/[^a-zA-Z0-9_]/g, '_');
}

/** `<kind>_name`, labels and annotations of an object. */
export function addObjectMeta(labels: LabelSet, meta: ObjectMeta, kind: string): void {
  labels[`${PREFIX}${kind}_name`] = meta.name;
  addLabelsAndAnnotations(labels, meta, kind);
}

function addLabelsAndAnnotations(labels: LabelSet, meta: ObjectMeta, kind: string): void {
  addPresent(labels, `${PREFIX}${kind}_label`, meta.labels);
  addPresent(labels, `${PREFIX}${kind}_annotation`, meta.annotations);
}

function addPresent(
  labels: LabelSet,
  prefix: string,
  pairs: Readonly<Record<string, string>> | undefined,
): void {
  for (const [name, value] of Object.entries(pairs ?? {})) {
    const suffix = sanitize(name);
    labels[`${prefix}_${suffix}`] = value;
    labels[`${prefix}present_${suffix}`] = 'true';
  }
}

/** What `attach_metadata.node` adds: fewer than the role `node` has. */
export function addAttachedNode(labels: LabelSet, node: Node | undefined): void {
  if (node === undefined) return;
  labels[`${PREFIX}node_name`] = node.metadata.name;
  addPresent(labels, `${PREFIX}node_label`, node.metadata.labels);
}

/** What `attach_metadata.namespace` adds. */
export function addAttachedNamespace(labels: LabelSet, namespace: Namespace | undefined): void {
  if (namespace === undefined) return;
  addLabelsAndAnnotations(labels, namespace.metadata, 'namespace');
}

export function serviceLabels(service: Service): LabelSet {
  const labels: LabelSet = { [NAMESPACE]: service.metadata.namespace ?? '' };
  addObjectMeta(labels, service.metadata, 'service');
  return labels;
}

/** Without the namespace. */
export function podLabels(pod: Pod): LabelSet {
  const { status, spec, metadata } = pod;
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status ?? 'Unknown';
  const ips = (status?.podIPs ?? []).map(({ ip }) => ip ?? '');
  const labels: LabelSet = {
    [`${PREFIX}pod_ip`]: status?.podIP ?? '',
    [`${PREFIX}pod_ipv4`]: ips.find(isIPv4) ?? '',
    [`${PREFIX}pod_ipv6`]: ips.find(isIPv6) ?? '',
    [`${PREFIX}pod_ready`]: ready.toLowerCase(),
    [`${PREFIX}pod_phase`]: status?.phase ?? '',
    [`${PREFIX}pod_node_name`]: spec?.nodeName ?? '',
    [`${PREFIX}pod_host_ip`]: status?.hostIP ?? '',
    [`${PREFIX}pod_uid`]: metadata.uid ?? '',
  };
  addObjectMeta(labels, metadata, 'pod');
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  labels[`${PREFIX}pod_controller_kind`] = owner?.kind ?? '';
  labels[`${PREFIX}pod_controller_name`] = owner?.name ?? '';
  return labels;
}

/** A container of a pod; init containers come last. */
export interface PodContainer {
  readonly container: Container;
  readonly isInit: boolean;
}

export function containersOf(pod: Pod): PodContainer[] {
  const { containers = [], initContainers = [] } = pod.spec ?? {};
  return [
    ...containers.map((container) => ({ container, isInit: false })),
    ...initContainers.map((container) => ({ container, isInit: true })),
  ];
}

/** `port` undefined for a container without any. */
export function addContainer(
  labels: LabelSet,
  { container, isInit }: PodContainer,
  port: ContainerPort | undefined,
): void {
  labels[`${PREFIX}pod_container_name`] = container.name;
  labels[`${PREFIX}pod_container_image`] = container.image ?? '';
  labels[`${PREFIX}pod_container_init`] = String(isInit);
  if (port === undefined) return;
  labels[`${PREFIX}pod_container_port_name`] = port.name ?? '';
  labels[`${PREFIX}pod_container_port_number`] = String(port.containerPort);
  labels[`${PREFIX}pod_container_port_protocol`] = port.protocol ?? '';
}
