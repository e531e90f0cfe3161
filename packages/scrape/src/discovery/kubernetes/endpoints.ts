/**
 * The roles `endpoints` and `endpointslice`: addresses behind a service, with the labels of the service and
 * of the pods, and the other ports of those pods.
 */
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
import {
  type EndpointAddress,
  type EndpointSlice,
  type Endpoints,
  type ObjectMeta,
  type ObjectReference,
  type Pod,
  type Service,
  type SliceEndpoint,
  keyOf,
} from './objects.js';
import { type BuildTargets, type Lookup, Targets } from './roles.js';

/** One address of a service, in the words of either resource. */
interface Endpoint {
  readonly address: string;
  readonly port: number | undefined;
  readonly labels: LabelSet;
  readonly targetRef: ObjectReference | undefined;
  readonly nodeName: string | undefined;
}

export const endpointsTargets: BuildTargets<Endpoints> = (endpoints, look, attach) => {
  const { metadata, subsets } = endpoints;
  const { namespace = '', name } = metadata;
  const common: LabelSet = {};
  addObjectMeta(common, metadata, 'endpoints');
  const service = look.service(namespace, name);
  const backed = new BackedTargets('endpoints', metadata, common, service, look, attach);
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of subsets ?? []) {
    for (const port of ports) {
      const add = (at: EndpointAddress, isReady: boolean): void =>
        backed.add({
          address: at.ip,
          port: port.port,
          labels: {
            [`${PREFIX}endpoint_port_name`]: port.name ?? '',
            [`${PREFIX}endpoint_port_protocol`]: port.protocol ?? '',
            [`${PREFIX}endpoint_ready`]: String(isReady),
            [`${PREFIX}endpoint_node_name`]: at.nodeName ?? '',
            [`${PREFIX}endpoint_hostname`]: at.hostname ?? '',
            ...referenceLabels('endpoint', at.targetRef),
          },
          targetRef: at.targetRef,
          nodeName: at.nodeName,
        });
      for (const at of addresses) add(at, true);
      for (const at of notReadyAddresses) add(at, false);
    }
  }
  return backed.finish();
};

const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

export const endpointSliceTargets: BuildTargets<EndpointSlice> = (slice, look, attach) => {
  const { metadata, addressType = '' } = slice;
  const { namespace = '' } = metadata;
  const common: LabelSet = { [`${PREFIX}endpointslice_address_type`]: addressType };
  addObjectMeta(common, metadata, 'endpointslice');
  const serviceName = metadata.labels?.[SERVICE_NAME_LABEL];
  const service = serviceName === undefined ? undefined : look.service(namespace, serviceName);
  if (isSecondFamily(slice, service)) return [];
  const backed = new BackedTargets('endpointslice', metadata, common, service, look, attach);
  for (const endpoint of slice.endpoints ?? []) {
    for (const port of slice.ports ?? []) {
      const labels: LabelSet = {
        [`${PREFIX}endpointslice_port_name`]: port.name ?? '',
        [`${PREFIX}endpointslice_port_protocol`]: port.protocol ?? '',
        [`${PREFIX}endpointslice_port`]: textOf(port.port),
        [`${PREFIX}endpointslice_port_app_protocol`]: port.appProtocol ?? '',
        ...sliceEndpointLabels(endpoint),
      };
      for (const address of endpoint.addresses ?? []) {
        const { targetRef, nodeName } = endpoint;
        backed.add({ address, port: port.port, labels, targetRef, nodeName });
      }
    }
  }
  return backed.finish();
};

/** The slice repeats, in the service's other family of addresses, what another slice has. */
function isSecondFamily(slice: EndpointSlice, service: Service | undefined): boolean {
  const { ipFamilyPolicy = '', ipFamilies = [] } = service?.spec ?? {};
  const { addressType } = slice;
  const isIp = addressType === 'IPv4' || addressType === 'IPv6';
  return (
    isIp &&
    ipFamilyPolicy.endsWith('DualStack') &&
    ipFamilies.length > 1 &&
    ipFamilies[0] !== addressType
  );
}

function sliceEndpointLabels(endpoint: SliceEndpoint): LabelSet {
  const { conditions, deprecatedTopology } = endpoint;
  const prefix = `${PREFIX}endpointslice_endpoint_`;
  const labels: LabelSet = {
    [`${prefix}conditions_ready`]: textOf(conditions?.ready),
    [`${prefix}conditions_serving`]: textOf(conditions?.serving),
    [`${prefix}conditions_terminating`]: textOf(conditions?.terminating),
    [`${prefix}hostname`]: endpoint.hostname ?? '',
    [`${prefix}node_name`]: endpoint.nodeName ?? '',
    [`${prefix}zone`]: endpoint.zone ?? '',
    ...referenceLabels('endpointslice', endpoint.targetRef),
  };
  for (const [name, value] of Object.entries(deprecatedTopology ?? {})) {
    labels[`${prefix}topology_${sanitize(name)}`] = value;
    labels[`${prefix}topology_present_${sanitize(name)}`] = 'true';
  }
  return labels;
}

const textOf = (value: boolean | number | undefined | null): string =>
  value === undefined || value === null ? '' : String(value);

function referenceLabels(kind: string, reference: ObjectReference | undefined): LabelSet {
  return {
    [`${PREFIX}${kind}_address_target_kind`]: reference?.kind ?? '',
    [`${PREFIX}${kind}_address_target_name`]: reference?.name ?? '',
  };
}

/** Targets behind a service: what the pods add, and ports of theirs that the service does not name. */
class BackedTargets {
  readonly #targets: Targets;
  readonly #look: Lookup;
  readonly #attach: KubernetesAttach;
  /** Ports of each pod that are targets already. */
  readonly #pods = new Map<string, { readonly pod: Pod; readonly ports: Set<number> }>();

  constructor(
    role: 'endpoints' | 'endpointslice',
    { namespace = '', name }: ObjectMeta,
    common: LabelSet,
    service: Service | undefined,
    look: Lookup,
    attach: KubernetesAttach,
  ) {
    common[NAMESPACE] = namespace;
    if (service !== undefined) Object.assign(common, serviceLabels(service));
    if (attach.namespace) addAttachedNamespace(common, look.namespace(namespace));
    this.#targets = new Targets(`${role}/${namespace}/${name}`, common);
    this.#look = look;
    this.#attach = attach;
  }

  add({ address, port, labels, targetRef, nodeName }: Endpoint): void {
    const own: LabelSet = { ...labels };
    if (this.#attach.node) {
      const node = targetRef?.kind === 'Node' ? targetRef.name : nodeName;
      addAttachedNode(own, node === undefined ? undefined : this.#look.node(node));
    }
    const pod =
      targetRef?.kind === 'Pod'
        ? this.#look.pod(targetRef.namespace ?? '', targetRef.name ?? '')
        : undefined;
    if (pod !== undefined) this.#addPod(own, pod, port);
    this.#targets.add(port === undefined ? address : joinHostPort(address, port), own);
  }

  #addPod(labels: LabelSet, pod: Pod, port: number | undefined): void {
    Object.assign(labels, podLabels(pod));
    for (const one of containersOf(pod)) {
      const found = one.container.ports?.find(({ containerPort }) => containerPort === port);
      if (found !== undefined) addContainer(labels, one, found);
    }
    const key = keyOf(pod.metadata.namespace, pod.metadata.name);
    const seen = this.#pods.get(key) ?? { pod, ports: new Set() };
    if (port !== undefined) seen.ports.add(port);
    this.#pods.set(key, seen);
  }

  finish(): TargetGroup[] {
    for (const { pod, ports } of this.#pods.values()) {
      const ip = pod.status?.podIP ?? '';
      // Starting, or evicted.
      if (ip === '') continue;
      for (const one of containersOf(pod)) {
        for (const port of one.container.ports ?? []) {
          if (ports.has(port.containerPort)) continue;
          const labels = podLabels(pod);
          addContainer(labels, one, port);
          this.#targets.add(joinHostPort(ip, port.containerPort), labels);
        }
      }
    }
    return this.#targets.groups;
  }
}
