/**
 * Targets from DNS records, as `dns_sd_configs` makes them (discovery/dns of Prometheus).
 */
import { type Clock, errorText } from '@canopy/model';
import type { DnsSdConfig, TargetGroup } from '../config.js';
import type { Discovery, DiscoveryReport } from './discovery.js';
import { RefreshDiscovery } from './refresh.js';
import type { DnsResolver } from './resolver.js';

/** Most records taken of one answer; more are left out and reported. */
const RECORDS_MAX = 10_000;

export function dnsDiscovery(
  config: DnsSdConfig,
  clock: Clock,
  resolver: DnsResolver,
  report: DiscoveryReport,
): Discovery {
  /** By name: the last answer; a name that cannot be looked up keeps it. */
  const known = new Map<string, readonly TargetGroup[]>();
  const lookUp = async (name: string): Promise<void> => {
    try {
      const groups = await groupsOf(config, name, resolver);
      if (groups.length > RECORDS_MAX) {
        report('too many DNS records', { name, records: groups.length, error: 'limit' });
      }
      known.set(name, groups.slice(0, RECORDS_MAX));
    } catch (error) {
      report('cannot look up targets', { name, error: errorText(error) });
    }
  };
  return new RefreshDiscovery({
    clock,
    interval: config.refreshInterval,
    report,
    failure: 'cannot look up targets',
    fields: {},
    look: async () => {
      await Promise.all(config.names.map(lookUp));
      return config.names.flatMap((name) => known.get(name) ?? []);
    },
  });
}

async function groupsOf(
  config: DnsSdConfig,
  name: string,
  resolver: DnsResolver,
): Promise<TargetGroup[]> {
  const group = (address: string, labels: Record<string, string>): TargetGroup => ({
    targets: [address],
    labels: { __meta_dns_name: name, ...labels },
    source: name,
  });
  if (config.type === 'SRV') {
    // Sorted, for name servers rotate their answers.
    const records = (await resolver.services(name)).map(({ name: host, port }) =>
      group(joinHostPort(host, port), {
        __meta_dns_srv_record_target: `${host}.`,
        __meta_dns_srv_record_port: String(port),
      }),
    );
    return records.sort((a, b) => (a.targets[0] < b.targets[0] ? -1 : 1));
  }
  const addresses = await resolver.addresses(name, config.type === 'A' ? 4 : 6);
  return [...addresses].sort().map((address) => group(joinHostPort(address, config.port), {}));
}

/** `host:port`, an IPv6 address in brackets. */
export function joinHostPort(host: string, port: number | string): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
