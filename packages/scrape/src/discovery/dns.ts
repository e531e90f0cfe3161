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

type Records = ReadonlyArray<readonly [address: string, labels: Record<string, string>]>;

/** Of one name, sorted, for name servers rotate their answers. */
async function groupsOf(
  config: DnsSdConfig,
  name: string,
  resolver: DnsResolver,
): Promise<TargetGroup[]> {
  const records = await recordsOf(config, name, resolver);
  return [...records]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([address, labels]) => ({
      targets: [address],
      labels: { __meta_dns_name: name, ...labels },
      source: name,
    }));
}

async function recordsOf(
  { type, port: own }: DnsSdConfig,
  name: string,
  resolver: DnsResolver,
): Promise<Records> {
  if (type === 'SRV') {
    return (await resolver.services(name)).map(({ name: host, port }) => [
      joinHostPort(host, port),
      {
        __meta_dns_srv_record_target: `${host}.`,
        __meta_dns_srv_record_port: String(port),
      },
    ]);
  }
  if (type === 'MX' || type === 'NS') {
    const label = `__meta_dns_${type.toLowerCase()}_record_target`;
    const hosts = await resolver.hosts(name, type);
    return hosts.map((host) => [joinHostPort(host, own), { [label]: `${host}.` }]);
  }
  const addresses = await resolver.addresses(name, type === 'A' ? 4 : 6);
  return addresses.map((address) => [joinHostPort(address, own), {}]);
}

/** `host:port`, an IPv6 address in brackets. */
export function joinHostPort(host: string, port: number | string): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
