/**
 * Announced leaves as targets of the job `canopy`.
 */
import type { LeafRegistry, RegisteredLeaf } from '@canopy/federation';
import type { DurationMs } from '@canopy/model';
import type { Discovery, HttpClientConfig, ScrapeConfig, TargetGroup } from '@canopy/scrape';

export const LEAF_JOB = 'canopy';
/** Largest page that is taken, decompressed. */
export const PAGE_BYTES_MAX = 64 * 1024 * 1024;

export class LeafDiscovery implements Discovery {
  readonly #registry: LeafRegistry;

  constructor(registry: LeafRegistry) {
    this.#registry = registry;
  }

  start(onGroups: (groups: readonly TargetGroup[]) => void): { stop(): void } {
    const tell = (leaves: readonly RegisteredLeaf[]) => onGroups(leaves.map(groupOf));
    tell(this.#registry.leaves());
    return { stop: this.#registry.onChange(tell) };
  }
}

function groupOf(leaf: RegisteredLeaf): TargetGroup {
  const url = new URL(leaf.url);
  const path = url.pathname.replace(/\/+$/, '');
  return {
    targets: [
      url.port === '' ? `${url.hostname}:${url.protocol === 'https:' ? 443 : 80}` : url.host,
    ],
    labels: {
      __scheme__: url.protocol.slice(0, -1),
      __metrics_path__: `${path}/federate`,
    },
    source: `announced by ${leaf.name}`,
  };
}

/** The job that pulls announced leaves. Without `match[]`: everything they have. */
export function leafJob(
  interval: DurationMs,
  timeout: DurationMs,
  http: HttpClientConfig,
): ScrapeConfig {
  return {
    ...http,
    jobName: LEAF_JOB,
    scrapeInterval: interval,
    scrapeTimeout: timeout,
    metricsPath: '/federate',
    scheme: 'http',
    params: {},
    honorLabels: true,
    honorTimestamps: true,
    // What is larger is no page.
    bodySizeLimit: PAGE_BYTES_MAX,
    sampleLimit: 0,
    labelLimit: 0,
    labelNameLengthLimit: 0,
    labelValueLengthLimit: 0,
    targetLimit: 0,
    staticConfigs: [],
    fileSdConfigs: [],
    relabelConfigs: [],
    metricRelabelConfigs: [],
    // An address that was announced leads to no other, and to nothing but frames.
    followRedirects: false,
    pullOnly: true,
  };
}
