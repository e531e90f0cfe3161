/**
 * Targets from the API of Kubernetes, as `kubernetes_sd_configs` finds them: resources are watched, and targets are
 * made anew of objects that have changed, or that other changed objects were looked up for.
 */
import { type Clock, type Timer, asDuration, errorText } from '@canopy/model';
import type { KubernetesRole, KubernetesSdConfig, TargetGroup } from '../../config.js';
import { type SlicedRun, runSliced } from '../../slices.js';
import type { Discovery, DiscoveryReport, DiscoveryRun } from '../discovery.js';
import type { KubernetesApi, KubernetesConnector } from './connector.js';
import { endpointSliceTargets, endpointsTargets } from './endpoints.js';
import { type KubeObject, type Resource, keyOf } from './objects.js';
import {
  type BuildTargets,
  type Lookup,
  ingressTargets,
  nodeTargets,
  podTargets,
  serviceTargets,
} from './roles.js';
import { ResourceWatch } from './watch.js';

/** A rollout changes hundreds of objects; targets are made of all of them together. */
const SETTLE = asDuration(1000);
/** Until the credentials are there. */
const CONNECT_PAUSE = asDuration(10_000);

interface RolePlan {
  /** What targets are made of. */
  readonly primary: Resource;
  /** What is looked up for them. */
  readonly others: readonly Resource[];
  readonly build: BuildTargets<never>;
}

const PLANS: Readonly<Record<KubernetesRole, RolePlan>> = {
  node: { primary: 'nodes', others: [], build: nodeTargets },
  pod: { primary: 'pods', others: [], build: podTargets },
  service: { primary: 'services', others: [], build: serviceTargets },
  ingress: { primary: 'ingresses', others: [], build: ingressTargets },
  endpoints: { primary: 'endpoints', others: ['services', 'pods'], build: endpointsTargets },
  endpointslice: {
    primary: 'endpointslices',
    others: ['services', 'pods'],
    build: endpointSliceTargets,
  },
};

/** Roles whose targets run on nodes. */
const ON_NODES: ReadonlySet<KubernetesRole> = new Set(['pod', 'endpoints', 'endpointslice']);

const RESOURCE_OF_ROLE: Readonly<Record<KubernetesRole, Resource>> = {
  node: 'nodes',
  pod: 'pods',
  service: 'services',
  endpoints: 'endpoints',
  endpointslice: 'endpointslices',
  ingress: 'ingresses',
};

export class KubernetesDiscovery implements Discovery {
  readonly #config: KubernetesSdConfig;
  readonly #clock: Clock;
  readonly #connector: KubernetesConnector;
  readonly #report: DiscoveryReport;

  constructor(
    config: KubernetesSdConfig,
    clock: Clock,
    connector: KubernetesConnector,
    report: DiscoveryReport,
  ) {
    this.#config = config;
    this.#clock = clock;
    this.#connector = connector;
    this.#report = report;
  }

  start(onGroups: (groups: readonly TargetGroup[]) => void): DiscoveryRun {
    const run = new KubernetesRun(this.#config, this.#clock, this.#report, onGroups);
    void run.start(this.#connector);
    return run;
  }
}

/** Targets of one object, and what they were made of. */
interface Built {
  readonly object: KubeObject;
  readonly lookups: ReadonlyArray<readonly [Resource, string, KubeObject | undefined]>;
  readonly groups: readonly TargetGroup[];
}

class KubernetesRun implements DiscoveryRun {
  readonly #config: KubernetesSdConfig;
  readonly #clock: Clock;
  readonly #report: DiscoveryReport;
  readonly #onGroups: (groups: readonly TargetGroup[]) => void;
  readonly #plan: RolePlan;
  /** One for each namespace asked, of each resource needed. */
  readonly #watches = new Map<Resource, ResourceWatch[]>();
  #built = new Map<string, Built>();
  #timer: Timer | undefined;
  #building: SlicedRun | undefined;
  #isBuilding = false;
  #hasSpoken = false;
  #isStopped = false;

  constructor(
    config: KubernetesSdConfig,
    clock: Clock,
    report: DiscoveryReport,
    onGroups: (groups: readonly TargetGroup[]) => void,
  ) {
    this.#config = config;
    this.#clock = clock;
    this.#report = report;
    this.#onGroups = onGroups;
    this.#plan = PLANS[config.role];
  }

  async start(connector: KubernetesConnector): Promise<void> {
    try {
      const api = await connector.connect(this.#config);
      const own = this.#config.ownNamespace ? [await connector.ownNamespace()] : [];
      const namespaces = new Set([...own, ...this.#config.namespaces]);
      if (!this.#isStopped) this.#watch(api, namespaces.size === 0 ? [''] : [...namespaces]);
    } catch (error) {
      if (this.#isStopped) return;
      this.#report('cannot reach Kubernetes', {
        role: this.#config.role,
        error: errorText(error),
      });
      this.#timer = this.#clock.after(CONNECT_PAUSE, () => void this.start(connector));
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#building?.cancel();
    for (const watches of this.#watches.values()) for (const watch of watches) watch.stop();
  }

  #watch(api: KubernetesApi, namespaces: readonly string[]): void {
    const { role, attach, selectors } = this.#config;
    const resources = [this.#plan.primary, ...this.#plan.others];
    if (attach.node && ON_NODES.has(role)) resources.push('nodes');
    if (attach.namespace && role !== 'node') resources.push('namespaces');
    for (const resource of resources) {
      const selector = selectors.find((one) => RESOURCE_OF_ROLE[one.role] === resource);
      const isClusterWide = resource === 'nodes' || resource === 'namespaces';
      const watches = (isClusterWide ? [''] : namespaces).map(
        (namespace) =>
          new ResourceWatch({
            clock: this.#clock,
            api,
            resource,
            namespace,
            labelSelector: selector?.label ?? '',
            fieldSelector: selector?.field ?? '',
            report: this.#report,
            onChange: () => this.#onChange(),
          }),
      );
      this.#watches.set(resource, watches);
    }
    for (const watches of this.#watches.values()) for (const watch of watches) watch.start();
  }

  #onChange(): void {
    if (this.#timer !== undefined || this.#isStopped) return;
    for (const watches of this.#watches.values()) {
      // Half of what there is would end targets that only have not been seen yet.
      if (!watches.every((watch) => watch.isListed)) return;
    }
    const wait = this.#hasSpoken ? SETTLE : asDuration(0);
    this.#timer = this.#clock.after(wait, () => {
      this.#timer = undefined;
      // Objects that change while targets are made of others are looked at the next time.
      if (this.#isBuilding) this.#onChange();
      else this.#build();
    });
  }

  #build(): void {
    const groups: TargetGroup[] = [];
    this.#isBuilding = true;
    this.#building = runSliced(this.#clock, this.#buildSteps(groups), () => {
      this.#isBuilding = false;
      this.#hasSpoken = true;
      this.#onGroups(groups);
    });
  }

  /** A step is an object. */
  *#buildSteps(groups: TargetGroup[]): Generator<void, void, void> {
    const built = new Map<string, Built>();
    for (const watch of this.#watches.get(this.#plan.primary) ?? []) {
      for (const [key, object] of watch.objects) {
        const before = this.#built.get(key);
        const isSame =
          before?.object === object &&
          before.lookups.every(([resource, at, found]) => this.#find(resource, at) === found);
        const now = isSame ? before : this.#buildOne(object);
        built.set(key, now);
        groups.push(...now.groups);
        yield;
      }
    }
    this.#built = built;
  }

  #buildOne(object: KubeObject): Built {
    const lookups: Array<readonly [Resource, string, KubeObject | undefined]> = [];
    const find = (resource: Resource, key: string): undefined => {
      const found = this.#find(resource, key);
      lookups.push([resource, key, found]);
      return found as undefined;
    };
    const look: Lookup = {
      node: (name) => find('nodes', keyOf('', name)),
      namespace: (name) => find('namespaces', keyOf('', name)),
      pod: (namespace, name) => find('pods', keyOf(namespace, name)),
      service: (namespace, name) => find('services', keyOf(namespace, name)),
    };
    try {
      const groups = this.#plan.build(object as never, look, this.#config.attach);
      return { object, lookups, groups };
    } catch (error) {
      // An object of another shape than its version of the API says.
      const { namespace, name } = object.metadata;
      this.#report('cannot read an object', { namespace, name, error: errorText(error) });
      return { object, lookups, groups: [] };
    }
  }

  #find(resource: Resource, key: string): KubeObject | undefined {
    for (const watch of this.#watches.get(resource) ?? []) {
      const found = watch.objects.get(key);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
