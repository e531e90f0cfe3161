/**
 * The discoveries of a job's configuration.
 */
import type { Clock } from '@canopy/model';
import type { ScrapeConfig } from '../config.js';
import type { Fetcher } from '../fetch.js';
import type { Discovery, DiscoveryReport } from './discovery.js';
import { dnsDiscovery } from './dns.js';
import { FileDiscovery } from './file.js';
import { httpDiscovery } from './http.js';
import type { KubernetesConnector } from './kubernetes/connector.js';
import { KubernetesDiscovery } from './kubernetes/kubernetes.js';
import type { DnsResolver } from './resolver.js';

/** What discoveries ask. */
export interface DiscoveryWorld {
  readonly clock: Clock;
  readonly fetcher: Fetcher;
  /** Undefined where nothing is looked up; such a discovery finds nothing and says so. */
  readonly resolver?: DnsResolver;
  readonly kubernetes?: KubernetesConnector;
}

/** One entry of a `*_sd_configs`. */
export interface ConfiguredDiscovery {
  /** Equal for equal entries. */
  readonly key: string;
  readonly kind: 'file' | 'http' | 'dns' | 'kubernetes';
  open(report: DiscoveryReport): Discovery;
}

export function configuredDiscoveries(
  config: ScrapeConfig,
  world: DiscoveryWorld,
): ConfiguredDiscovery[] {
  const { clock, fetcher, resolver, kubernetes } = world;
  const list = <T>(
    kind: ConfiguredDiscovery['kind'],
    configs: readonly T[] | undefined,
    open: (sd: T, report: DiscoveryReport) => Discovery,
  ): ConfiguredDiscovery[] =>
    (configs ?? []).map((sd) => ({
      kind,
      key: `${kind} ${JSON.stringify(sd)}`,
      open: (report) => open(sd, report),
    }));
  return [
    ...list('file', config.fileSdConfigs, (sd, report) => new FileDiscovery(sd, clock, report)),
    ...list('http', config.httpSdConfigs, (sd, report) =>
      httpDiscovery(sd, clock, fetcher, report),
    ),
    ...list('dns', config.dnsSdConfigs, (sd, report) =>
      resolver === undefined ? nothing(report, 'DNS') : dnsDiscovery(sd, clock, resolver, report),
    ),
    ...list('kubernetes', config.kubernetesSdConfigs, (sd, report) =>
      kubernetes === undefined
        ? nothing(report, 'Kubernetes')
        : new KubernetesDiscovery(sd, clock, kubernetes, report),
    ),
  ];
}

/** Stands where this process cannot look. */
function nothing(report: DiscoveryReport, what: string): Discovery {
  return {
    start: (onGroups) => {
      report('this process does not discover so', { error: `${what} is not asked` });
      onGroups([]);
      return { stop: () => {} };
    },
  };
}
