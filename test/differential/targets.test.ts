/**
 * One configuration read by a real Prometheus and by a leaf: the same targets with the same labels before and after
 * relabelling, the same URL, interval and time-out, and as many dropped ones.
 *
 * Not compared: labels before relabelling where rules change labels, which 2.42 shows as its rules left them (it
 * used the memory again); a scheme's own port in an address, which 2.42 with no-default-scrape-port leaves out of the
 * URL and 3.x does not; a `__param_` label beside the same parameter in `params`, where 3.x, as Canopy, takes the
 * label and 2.42 the parameter.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { Site, eventually, freePort, get, isWithout, waitReady } from '../processes.js';

const site = new Site();
afterAll(() => site[Symbol.asyncDispose]());

/** Nobody listens on port 1 of loopback: what scrapes bring is of no interest here. */
const CONFIG = `
global:
  scrape_interval: 15s
  external_labels: { monitor: lab, region: "north" }
rule_files: [nothing/*.yml]
scrape_configs:
- job_name: defaults
  static_configs: [{ targets: ["127.0.0.1:1", "127.0.0.1", "[::1]:1", "[::1]"] }]
- job_name: own interval
  scrape_interval: 50s
  scrape_timeout: 5s
  static_configs: [{ targets: ["127.0.0.1:1"] }]
- job_name: short interval
  scrape_interval: 3s
  static_configs: [{ targets: ["127.0.0.1:1"] }]
- job_name: url
  scheme: https
  metrics_path: /probe
  params: { module: [http_2xx, "a b&c"], "match[]": ['{job="x"}'] }
  static_configs: [{ targets: ["127.0.0.1", "127.0.0.1:80"] }]
- job_name: labels decide
  static_configs:
  - targets: ["127.0.0.1:1"]
    labels: { __scheme__: https, __metrics_path__: /own, __scrape_interval__: 20s, __scrape_timeout__: 7s, __param_x: "1", job: mine, instance: me, empty: "" }
- job_name: blackbox
  metrics_path: /probe
  static_configs: [{ targets: ["https://example.com/a?b=c", "example.org"] , labels: {} }]
  relabel_configs:
  - { source_labels: [__address__], target_label: __param_target }
  - { source_labels: [__param_target], target_label: instance }
  - { target_label: __address__, replacement: "127.0.0.1:1" }
- job_name: rewriting
  honor_labels: true
  file_sd_configs: [{ files: [targets-*.json, more.yml], refresh_interval: 10m }]
  relabel_configs:
  - { source_labels: [job, __meta_role], regex: "(.*);some-[a-z]+", target_label: job, replacement: "foo-\${1}" }
  - { source_labels: [abc], target_label: cde }
  - { target_label: abc, replacement: static }
  - { source_labels: [__address__, abc], separator: "/", regex: "(?P<host>[^:]+):(\\\\d+)/.*", target_label: host, replacement: "$host-$2-$$" }
  - { action: labelmap, regex: "__meta_(role|zone)", replacement: "meta_\${1}" }
  - { action: lowercase, source_labels: [meta_zone], target_label: zone }
  - { action: uppercase, source_labels: [meta_zone], target_label: ZONE }
  - { action: labeldrop, regex: "tmp_.*" }
- job_name: choosing
  file_sd_configs: [{ files: [targets-*.json] }]
  relabel_configs:
  - { source_labels: [__meta_role], regex: "some-one|other", action: keep }
  - { source_labels: [__meta_zone], regex: "West", action: drop }
  - { source_labels: [__address__], modulus: 8, target_label: __tmp_hash, action: hashmod }
  - { source_labels: [__tmp_hash], target_label: shard }
- job_name: equal
  file_sd_configs: [{ files: [targets-*.json] }]
  relabel_configs:
  - { source_labels: [__meta_role], target_label: role, action: keepequal }
  - { source_labels: [__meta_zone], target_label: role, action: dropequal }
- job_name: few labels
  file_sd_configs: [{ files: [targets-*.json] }]
  relabel_configs: [{ regex: "__.*|job|role", action: labelkeep }]
- job_name: 測試
  static_configs: [{ targets: ["127.0.0.1:1"] }]
`;

const TARGETS_A = JSON.stringify([
  {
    targets: ['127.0.0.1:1', '127.0.0.2:1'],
    labels: {
      __meta_role: 'some-one',
      __meta_zone: 'East',
      role: 'some-one',
      tmp_x: '1',
      abc: 'z',
    },
  },
  { targets: ['127.0.0.3:1'], labels: { __meta_role: 'other', __meta_zone: 'West', role: 'West' } },
  {
    targets: ['127.0.0.4:1'],
    labels: { __meta_role: 'third', __meta_zone: 'third', role: 'third' },
  },
]);
const TARGETS_B =
  '- targets: ["127.0.0.5:1", "127.0.0.5:1"]\n  labels: { __meta_zone: Nord-Süd }\n';

interface TargetsPage {
  readonly activeTargets: ReadonlyArray<Record<string, unknown>>;
  readonly droppedTargets: ReadonlyArray<{ discoveredLabels: Record<string, string> }>;
}

/** Jobs whose rules change labels. */
const RELABELLED = new Set(['rewriting', 'choosing', 'equal', 'few labels']);

/** What is compared, as sorted text; file paths are the same for both. */
function shown({ activeTargets, droppedTargets }: TargetsPage): string[] {
  const sorted = (labels: unknown): string =>
    JSON.stringify(Object.entries(labels as object).sort(([a], [b]) => (a < b ? -1 : 1)));
  const active = activeTargets.map((target) => {
    const { scrapePool, scrapeUrl, scrapeInterval, scrapeTimeout } = target;
    const before = RELABELLED.has(String(scrapePool)) ? '' : sorted(target.discoveredLabels);
    return `${scrapePool} ${scrapeUrl} ${scrapeInterval} ${scrapeTimeout} ${sorted(target.labels)} of ${before}`;
  });
  const dropped = droppedTargets.map(
    ({ discoveredLabels: { job, __address__ } }) => `dropped: ${job} ${__address__}`,
  );
  return [...active, ...dropped].sort();
}

describe.skipIf(isWithout('prometheus'))('a configuration with much in it', () => {
  it('finds the targets that Prometheus finds', async () => {
    const config = site.file('prometheus.yml', CONFIG);
    site.file('targets-a.json', TARGETS_A);
    site.file('more.yml', TARGETS_B);
    const [port, leafPort] = [await freePort(), await freePort()];
    const [theirs, ours] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${leafPort}`];
    site.program(
      'prometheus',
      'prometheus',
      ...[`--config.file=${config}`, `--storage.tsdb.path=${site.path('data')}`],
      ...[`--web.listen-address=127.0.0.1:${port}`, '--log.level=warn'],
      // As 3.x does, and Canopy: an address keeps the port it has, or none.
      '--enable-feature=no-default-scrape-port',
    );
    const leaf = site.canopy(
      'leaf',
      ...['leaf', '--config.file', config, '--storage.path', site.path('leaf')],
      ...['--web.listen-address', `127.0.0.1:${leafPort}`],
    );
    await Promise.all([waitReady(theirs, 60_000), waitReady(ours, 60_000)]);
    const targets = async (base: string) => {
      const body = JSON.parse(await get(`${base}/api/v1/targets`)) as { data: TargetsPage };
      return shown(body.data);
    };
    await eventually(60_000, 'the same targets', async () => {
      const expected = await targets(theirs);
      expect(expected.length).toBeGreaterThan(25);
      expect(expected.filter((line) => line.startsWith('dropped')).length).toBe(4);
      expect(await targets(ours), leaf.output.slice(-500)).toEqual(expected);
    });
  });
});
