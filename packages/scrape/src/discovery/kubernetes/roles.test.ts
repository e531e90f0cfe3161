/** Names and values of labels, role by role, as Prometheus's own documentation and tests give them. */
import { expect, test } from 'vitest';
import type { KubernetesAttach } from '../../config.js';
import { endpointSliceTargets, endpointsTargets } from './endpoints.js';
import type { KubeObject, Node, Pod, Service } from './objects.js';
import { keyOf } from './objects.js';
import {
  type BuildTargets,
  type Lookup,
  ingressTargets,
  nodeTargets,
  podTargets,
  serviceTargets,
} from './roles.js';

interface Others {
  readonly node?: Node;
  readonly pod?: Pod;
  readonly service?: Service;
  readonly namespace?: KubeObject;
}

const NONE: KubernetesAttach = { node: false, namespace: false };
const BOTH: KubernetesAttach = { node: true, namespace: true };

/** `expected`: address → labels without `__meta_kubernetes_`, those with an empty value left out. */
function check<T extends KubeObject>(
  build: BuildTargets<T>,
  object: T,
  expected: ReadonlyArray<readonly [address: string, labels: Record<string, string>]>,
  others: Others = {},
  attach = NONE,
): void {
  const find = <O extends KubeObject>(one: O | undefined, namespace: string, name: string) =>
    one !== undefined && keyOf(one.metadata.namespace, one.metadata.name) === keyOf(namespace, name)
      ? one
      : undefined;
  const look: Lookup = {
    node: (name) => find(others.node, '', name),
    namespace: (name) => find(others.namespace, '', name),
    pod: (namespace, name) => find(others.pod, namespace, name),
    service: (namespace, name) => find(others.service, namespace, name),
  };
  const made = build(object, look, attach).map(({ targets, labels }) => [
    ...targets,
    Object.fromEntries(
      Object.entries(labels)
        .filter(([, value]) => value !== '')
        .map(([name, value]) => [name.replace('__meta_kubernetes_', ''), value]),
    ),
  ]);
  expect(made).toEqual(expected);
}

const NODE: Node = {
  metadata: {
    name: 'n1',
    labels: { 'topology.kubernetes.io/zone': 'z', empty: '' },
    annotations: { 'a/b-c': 'd' },
  },
  spec: { providerID: 'aws:///1' },
  status: {
    addresses: [
      { type: 'Hostname', address: 'host' },
      { type: 'InternalIP', address: '10.1.0.1' },
      { type: 'InternalIP', address: '10.1.0.2' },
    ],
    conditions: [{ type: 'MemoryPressure', status: 'False' }],
    daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
  },
};

test('node', () => {
  const labels = {
    instance: 'n1',
    node_name: 'n1',
    node_provider_id: 'aws:///1',
    node_label_topology_kubernetes_io_zone: 'z',
    node_labelpresent_topology_kubernetes_io_zone: 'true',
    node_labelpresent_empty: 'true',
    node_annotation_a_b_c: 'd',
    node_annotationpresent_a_b_c: 'true',
    node_condition_memorypressure: 'false',
    node_address_Hostname: 'host',
    node_address_InternalIP: '10.1.0.1',
  };
  check(nodeTargets, NODE, [['10.1.0.1:10250', labels]]);
  const v6 = { ...NODE.status, addresses: [{ type: 'ExternalIP', address: 'fd00::1' }] };
  check(nodeTargets, { metadata: { name: 'n' }, status: v6 }, [
    [
      '[fd00::1]:10250',
      {
        instance: 'n',
        node_name: 'n',
        node_condition_memorypressure: 'false',
        node_address_ExternalIP: 'fd00::1',
      },
    ],
  ]);
  check(nodeTargets, { metadata: { name: 'n' } }, []); // no address yet
});

const POD: Pod = {
  metadata: {
    name: 'p1',
    namespace: 'ns',
    uid: 'u-1',
    labels: { app: 'web' },
    annotations: { 'prometheus.io/scrape': 'true' },
    ownerReferences: [
      { kind: 'Other', name: 'x' },
      { kind: 'ReplicaSet', name: 'rs', controller: true },
    ],
  },
  spec: {
    nodeName: 'n1',
    containers: [
      {
        name: 'c1',
        image: 'c1:1',
        ports: [
          { name: 'http', containerPort: 80, protocol: 'TCP' },
          { containerPort: 81, protocol: 'UDP' },
        ],
      },
      { name: 'c2', image: 'c2:1' },
    ],
    initContainers: [{ name: 'i1', image: 'i1:1', ports: [{ containerPort: 90 }] }],
  },
  status: {
    phase: 'Running',
    podIP: '10.0.0.1',
    podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }],
    hostIP: '10.1.0.1',
    conditions: [{ type: 'Ready', status: 'True' }],
    containerStatuses: [{ name: 'c1', containerID: 'containerd://1' }],
    initContainerStatuses: [{ name: 'i1', containerID: 'containerd://2' }],
  },
};

const POD_LABELS = {
  pod_name: 'p1',
  pod_ip: '10.0.0.1',
  pod_ipv4: '10.0.0.1',
  pod_ipv6: 'fd00::1',
  pod_ready: 'true',
  pod_phase: 'Running',
  pod_node_name: 'n1',
  pod_host_ip: '10.1.0.1',
  pod_uid: 'u-1',
  pod_controller_kind: 'ReplicaSet',
  pod_controller_name: 'rs',
  pod_label_app: 'web',
  pod_labelpresent_app: 'true',
  pod_annotation_prometheus_io_scrape: 'true',
  pod_annotationpresent_prometheus_io_scrape: 'true',
};

const C1_HTTP = {
  pod_container_name: 'c1',
  pod_container_image: 'c1:1',
  pod_container_init: 'false',
  pod_container_port_name: 'http',
  pod_container_port_number: '80',
  pod_container_port_protocol: 'TCP',
};
const C1_81 = {
  pod_container_name: 'c1',
  pod_container_image: 'c1:1',
  pod_container_init: 'false',
  pod_container_port_number: '81',
  pod_container_port_protocol: 'UDP',
};
const I1_90 = {
  pod_container_name: 'i1',
  pod_container_image: 'i1:1',
  pod_container_init: 'true',
  pod_container_port_number: '90',
};
const C2 = {
  pod_container_name: 'c2',
  pod_container_image: 'c2:1',
  pod_container_init: 'false',
};

const NAMESPACE = { metadata: { name: 'ns', labels: { team: 't' }, annotations: { k: 'v' } } };
const ATTACHED_NODE = {
  node_name: 'n1',
  node_label_topology_kubernetes_io_zone: 'z',
  node_labelpresent_topology_kubernetes_io_zone: 'true',
  node_labelpresent_empty: 'true',
};
const ATTACHED_NAMESPACE = {
  namespace_label_team: 't',
  namespace_labelpresent_team: 'true',
  namespace_annotation_k: 'v',
  namespace_annotationpresent_k: 'true',
};

test('pod', () => {
  const all = (more: Record<string, string>) =>
    [
      ['10.0.0.1:80', { ...C1_HTTP, pod_container_id: 'containerd://1' }],
      ['10.0.0.1:81', { ...C1_81, pod_container_id: 'containerd://1' }],
      ['10.0.0.1', C2], // no port: the configuration adds one
      ['10.0.0.1:90', { ...I1_90, pod_container_id: 'containerd://2' }],
    ].map(
      ([address, own]) =>
        [address, { namespace: 'ns', ...POD_LABELS, ...(own as object), ...more }] as never,
    );
  check(podTargets, POD, all({}));
  const others = { node: NODE, namespace: NAMESPACE };
  check(podTargets, POD, all({ ...ATTACHED_NODE, ...ATTACHED_NAMESPACE }), others, BOTH);
  check(podTargets, POD, all({}), {}, BOTH); // not known yet
  check(podTargets, { ...POD, status: { phase: 'Pending' } }, []);
  const bare = { metadata: { name: 'p', namespace: 'ns' }, spec: { containers: [{ name: 'c' }] } };
  check(podTargets, { ...bare, status: { podIP: 'fd00::2' } }, [
    [
      '[fd00::2]',
      {
        namespace: 'ns',
        pod_name: 'p',
        pod_ip: 'fd00::2',
        pod_ready: 'unknown',
        pod_container_name: 'c',
        pod_container_init: 'false',
      },
    ],
  ]);
});

const SERVICE: Service = {
  metadata: { name: 's1', namespace: 'ns', labels: { a: 'b' }, annotations: { c: 'd' } },
  spec: {
    type: 'ClusterIP',
    clusterIP: '10.2.0.1',
    ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
  },
};
const SERVICE_LABELS = {
  namespace: 'ns',
  service_name: 's1',
  service_label_a: 'b',
  service_labelpresent_a: 'true',
  service_annotation_c: 'd',
  service_annotationpresent_c: 'true',
};

test('service', () => {
  const port = {
    service_port_name: 'http',
    service_port_number: '80',
    service_port_protocol: 'TCP',
  };
  const of = (spec: Service['spec'], more: Record<string, string>): void =>
    check(serviceTargets, { ...SERVICE, spec: { ...SERVICE.spec, ...spec } }, [
      ['s1.ns.svc:80', { ...SERVICE_LABELS, ...port, ...more }],
    ]);
  of({}, { service_type: 'ClusterIP', service_cluster_ip: '10.2.0.1' });
  of(
    { type: 'ExternalName', externalName: 'x.org' },
    { service_type: 'ExternalName', service_external_name: 'x.org' },
  );
  of(
    { type: 'LoadBalancer', loadBalancerIP: '1.2.3.4' },
    {
      service_type: 'LoadBalancer',
      service_cluster_ip: '10.2.0.1',
      service_loadbalancer_ip: '1.2.3.4',
    },
  );
  const attach = { node: false, namespace: true };
  const labels = { ...SERVICE_LABELS, ...port, service_type: 'ClusterIP' };
  check(
    serviceTargets,
    SERVICE,
    [['s1.ns.svc:80', { ...labels, service_cluster_ip: '10.2.0.1', ...ATTACHED_NAMESPACE }]],
    { namespace: NAMESPACE },
    attach,
  );
});

test('endpoints', () => {
  const targetRef = { kind: 'Pod', namespace: 'ns', name: 'p1' };
  const endpoints = {
    metadata: { name: 's1', namespace: 'ns', labels: { e: 'f' }, annotations: { g: 'h' } },
    subsets: [
      {
        addresses: [{ ip: '10.0.0.1', nodeName: 'n1', hostname: 'h', targetRef }],
        notReadyAddresses: [{ ip: '10.0.0.2' }],
        ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
      },
    ],
  };
  const common = {
    namespace: 'ns',
    endpoints_name: 's1',
    endpoints_label_e: 'f',
    endpoints_labelpresent_e: 'true',
    endpoints_annotation_g: 'h',
    endpoints_annotationpresent_g: 'true',
  };
  const port = { endpoint_port_name: 'http', endpoint_port_protocol: 'TCP' };
  const first = {
    ...port,
    endpoint_ready: 'true',
    endpoint_node_name: 'n1',
    endpoint_hostname: 'h',
    endpoint_address_target_kind: 'Pod',
    endpoint_address_target_name: 'p1',
  };
  const second = { ...port, endpoint_ready: 'false' };
  check(endpointsTargets, endpoints, [
    ['10.0.0.1:80', { ...common, ...first }],
    ['10.0.0.2:80', { ...common, ...second }],
  ]);
  const both = { ...common, ...SERVICE_LABELS };
  // Ports of the pod that the service does not name are targets as well.
  const others = { pod: POD, service: SERVICE, node: NODE };
  check(
    endpointsTargets,
    endpoints,
    [
      ['10.0.0.1:80', { ...both, ...first, ...POD_LABELS, ...C1_HTTP, ...ATTACHED_NODE }],
      ['10.0.0.2:80', { ...both, ...second }],
      ['10.0.0.1:81', { ...both, ...POD_LABELS, ...C1_81 }],
      ['10.0.0.1:90', { ...both, ...POD_LABELS, ...I1_90 }],
    ],
    others,
    { node: true, namespace: false },
  );
});

test('endpointslice', () => {
  const slice = {
    metadata: {
      name: 's1-x',
      namespace: 'ns',
      labels: { 'kubernetes.io/service-name': 's1' },
      annotations: { g: 'h' },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 80, protocol: 'TCP', appProtocol: 'http' }],
    endpoints: [
      {
        addresses: ['10.0.0.9'],
        conditions: { ready: true, serving: true, terminating: false },
        hostname: 'h',
        nodeName: 'n1',
        zone: 'z1',
        deprecatedTopology: { 'kubernetes.io/hostname': 'n1' },
        targetRef: { kind: 'Node', name: 'n1' },
      },
    ],
  };
  const common = {
    namespace: 'ns',
    endpointslice_name: 's1-x',
    endpointslice_address_type: 'IPv4',
    endpointslice_label_kubernetes_io_service_name: 's1',
    endpointslice_labelpresent_kubernetes_io_service_name: 'true',
    endpointslice_annotation_g: 'h',
    endpointslice_annotationpresent_g: 'true',
  };
  const own = {
    endpointslice_port_name: 'http',
    endpointslice_port_protocol: 'TCP',
    endpointslice_port: '80',
    endpointslice_port_app_protocol: 'http',
    endpointslice_endpoint_conditions_ready: 'true',
    endpointslice_endpoint_conditions_serving: 'true',
    endpointslice_endpoint_conditions_terminating: 'false',
    endpointslice_endpoint_hostname: 'h',
    endpointslice_endpoint_node_name: 'n1',
    endpointslice_endpoint_zone: 'z1',
    endpointslice_endpoint_topology_kubernetes_io_hostname: 'n1',
    endpointslice_endpoint_topology_present_kubernetes_io_hostname: 'true',
    endpointslice_address_target_kind: 'Node',
    endpointslice_address_target_name: 'n1',
  };
  check(endpointSliceTargets, slice, [['10.0.0.9:80', { ...common, ...own }]]);
  const attached = { ...common, ...SERVICE_LABELS, ...ATTACHED_NODE, ...ATTACHED_NAMESPACE };
  const others = { node: NODE, namespace: NAMESPACE, service: SERVICE };
  check(endpointSliceTargets, slice, [['10.0.0.9:80', { ...attached, ...own }]], others, BOTH);
  const empty = { ...slice, endpoints: null, ports: null };
  check(endpointSliceTargets, empty, []);
  const dual = { ipFamilyPolicy: 'PreferDualStack', ipFamilies: ['IPv6', 'IPv4'] };
  const service = { ...SERVICE, spec: { ...SERVICE.spec, ...dual } };
  check(endpointSliceTargets, slice, [], { service }); // the IPv6 slice has the same pods
});

test('ingress', () => {
  const ingress = {
    metadata: { name: 'i1', namespace: 'ns', labels: { a: 'b' }, annotations: { g: 'h' } },
    spec: {
      ingressClassName: 'nginx',
      tls: [{ hosts: ['*.x.org', 'y.org'] }],
      rules: [
        { host: 'a.x.org', http: { paths: [{ path: '/p' }, { path: '' }] } },
        { host: 'a.b.x.org', http: { paths: [{ path: '/' }] } },
        { host: 'y.org' },
      ],
    },
  };
  const common = {
    namespace: 'ns',
    ingress_name: 'i1',
    ingress_class_name: 'nginx',
    ingress_label_a: 'b',
    ingress_labelpresent_a: 'true',
    ingress_annotation_g: 'h',
    ingress_annotationpresent_g: 'true',
  };
  const rule = (host: string, scheme: string, path: string) =>
    [host, { ...common, ingress_scheme: scheme, ingress_host: host, ingress_path: path }] as const;
  check(ingressTargets, ingress, [
    rule('a.x.org', 'https', '/p'),
    rule('a.x.org', 'https', '/'),
    rule('a.b.x.org', 'http', '/'), // the wildcard is for one label
    rule('y.org', 'https', '/'),
  ]);
});
