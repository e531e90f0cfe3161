/**
 * Targets from a server, as `http_sd_configs` reads them (docs/http_sd of Prometheus).
 */
import { CanopyError, type Clock } from '@canopy/model';
import type { HttpSdConfig, TargetGroup } from '../config.js';
import { type Fetcher, requestClient } from '../fetch.js';
import type { Discovery, DiscoveryReport } from './discovery.js';
import { RefreshDiscovery } from './refresh.js';
import { readTargetGroups } from './target-file.js';

/** A longer answer is refused; some 50,000 targets. */
export const HTTP_SD_BYTES_MAX = 4 << 20;

const JSON_TYPE = /^application\/json(;\s*charset=("utf-8"|utf-8))?$/i;

export function httpDiscovery(
  config: HttpSdConfig,
  clock: Clock,
  fetcher: Fetcher,
  report: DiscoveryReport,
): Discovery {
  const { url, refreshInterval } = config;
  const shownUrl = withoutSecrets(url);
  const client = requestClient(config);
  const headers = {
    accept: 'application/json',
    'accept-encoding': 'gzip',
    'x-prometheus-refresh-interval-seconds': String(refreshInterval / 1000),
  };
  const look = (signal: AbortSignal): Promise<TargetGroup[]> =>
    fetcher.fetch(
      {
        url,
        headers,
        ...client,
        timeout: refreshInterval,
        bodyBytesMax: HTTP_SD_BYTES_MAX,
        signal,
      },
      () => (task) => task(),
      async ({ contentType, body }) => {
        if (!JSON_TYPE.test(contentType.trim())) {
          throw new CanopyError('format', `unsupported content type "${contentType}"`);
        }
        return readTargetGroups(shownUrl, Buffer.from(body).toString('utf8'), {
          __meta_url: shownUrl,
        });
      },
    );
  const fields = { url: shownUrl };
  const failure = 'cannot get targets from a server';
  return new RefreshDiscovery({ clock, interval: refreshInterval, report, failure, fields, look });
}

/** A password in the URL stays out of logs, pages and labels. */
function withoutSecrets(url: string): string {
  const parsed = new URL(url);
  if (parsed.password === '') return url;
  parsed.password = 'xxxxx';
  return parsed.href;
}
