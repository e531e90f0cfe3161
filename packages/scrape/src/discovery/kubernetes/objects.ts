/**
 * Objects of the Kubernetes API, as far as targets are made of them. They come from another
 * program: every field but the name may be missing.
 */

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: ReadonlyArray<{
    readonly kind: string;
    readonly name: string;
    readonly controller?: boolean;
  }>;
}

export interface KubeObject {
  readonly metadata: ObjectMeta;
}

export interface ObjectReference {
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
}

export interface Node extends KubeObject {
  readonly spec?: { readonly providerID?: string };
  readonly status?: {
    readonly addresses?: ReadonlyArray<{ readonly type: string; readonly address: string }>;
    readonly conditions?: ReadonlyArray<{ readonly type: string; readonly status: string }>;
    readonly daemonEndpoints?: { readonly kubeletEndpoint?: { readonly Port?: number } };
  };
}

export interface ContainerPort {
  readonly name?: string;
  readonly containerPort: number;
  readonly protocol?: string;
}

export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly ports?: readonly ContainerPort[];
}

interface ContainerStatus {
  readonly name: string;
  readonly containerID?: string;
}

export interface Pod extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly containers?: readonly Container[];
    readonly initContainers?: readonly Container[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: ReadonlyArray<{ readonly ip?: string }>;
    readonly hostIP?: string;
    readonly conditions?: ReadonlyArray<{ readonly type: string; readonly status: string }>;
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}

export interface Service extends KubeObject {
  readonly spec?: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly externalName?: string;
    readonly loadBalancerIP?: string;
    readonly ipFamilyPolicy?: string;
    readonly ipFamilies?: readonly string[];
    readonly ports?: ReadonlyArray<{
      readonly name?: string;
      readonly port: number;
      readonly protocol?: string;
    }>;
  };
}

export interface EndpointAddress {
  readonly ip: string;
  readonly hostname?: string;
  readonly nodeName?: string;
  readonly targetRef?: ObjectReference;
}

export interface Endpoints extends KubeObject {
  readonly subsets?: ReadonlyArray<{
    readonly addresses?: readonly EndpointAddress[];
    readonly notReadyAddresses?: readonly EndpointAddress[];
    readonly ports?: ReadonlyArray<{
      readonly name?: string;
      readonly port: number;
      readonly protocol?: string;
    }>;
  }>;
}

export interface SliceEndpoint {
  readonly addresses?: readonly string[];
  readonly conditions?: {
    readonly ready?: boolean;
    readonly serving?: boolean;
    readonly terminating?: boolean;
  };
  readonly hostname?: string;
  readonly nodeName?: string;
  readonly zone?: string;
  readonly targetRef?: ObjectReference;
  readonly deprecatedTopology?: Readonly<Record<string, string>>;
}

export interface EndpointSlice extends KubeObject {
  readonly addressType?: string;
  readonly endpoints?: readonly SliceEndpoint[] | null;
  readonly ports?: ReadonlyArray<{
    readonly name?: string;
    readonly port?: number;
    readonly protocol?: string;
    readonly appProtocol?: string;
  }> | null;
}

export type Namespace = KubeObject;

export interface Ingress extends KubeObject {
  readonly spec?: {
    readonly ingressClassName?: string;
    readonly tls?: ReadonlyArray<{ readonly hosts?: readonly string[] }>;
    readonly rules?: ReadonlyArray<{
      readonly host?: string;
      readonly http?: { readonly paths?: ReadonlyArray<{ readonly path?: string }> };
    }>;
  };
}

/** What is listed and watched. */
export type Resource =
  | 'nodes'
  | 'pods'
  | 'services'
  | 'endpoints'
  | 'endpointslices'
  | 'ingresses'
  | 'namespaces';

/** The API group that a resource is in, and whether its objects are in a namespace. */
export const RESOURCES: Readonly<Record<Resource, { base: string; isNamespaced: boolean }>> = {
  nodes: { base: '/api/v1', isNamespaced: false },
  namespaces: { base: '/api/v1', isNamespaced: false },
  pods: { base: '/api/v1', isNamespaced: true },
  services: { base: '/api/v1', isNamespaced: true },
  endpoints: { base: '/api/v1', isNamespaced: true },
  endpointslices: { base: '/apis/discovery.k8s.io/v1', isNamespaced: true },
  ingresses: { base: '/apis/networking.k8s.io/v1', isNamespaced: true },
};

export const keyOf = (namespace: string | undefined, name: string): string =>
  `${namespace ?? ''}/${name}`;
