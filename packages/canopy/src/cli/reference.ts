/**
 * CONFIG.md, written from the tables of flags and keys (reference.test.ts compares it with the file).
 */
import { ADDRESS_FORMS } from '@canopy/store';
import { IGNORED_GLOBAL, IGNORED_SECTIONS, REFUSED_SCRAPE } from '../config/keys.js';
import { globalSchema, scrapeConfigSchema } from '../config/schema.js';
import { webConfigShape } from '../config/web-config.js';
import { METRICS, type MetricDescription } from '../metrics/names.js';
import { FLAGS, envName } from './flags.js';

interface KeySchema {
  readonly description?: string;
}

function keyTable(shape: Readonly<Record<string, KeySchema>>): string[] {
  return Object.entries(shape).map(
    ([key, schema]) => `| \`${key}\` | ${schema.description ?? 'As in Prometheus'} |`,
  );
}

const codeList = (names: Iterable<string>): string =>
  [...names]
    .sort()
    .map((name) => `\`${name}\``)
    .join(', ');

export function configReference(): string {
  const flags = FLAGS.map((flag) => {
    const [leaf, parent] = [flag.default.leaf, flag.default.parent];
    const initial =
      flag.roles.length === 2 && leaf !== parent
        ? `leaf ${leaf ?? '–'}, parent ${parent ?? '–'}`
        : (leaf ?? parent ?? '–');
    return `| \`--${flag.name}\` | ${flag.roles.join(', ')} | ${initial} | ${flag.help} | \`${envName(flag.name)}\` |`;
  });
  const metrics = Object.entries(METRICS).map(([name, metric]: [string, MetricDescription]) => {
    const labels = metric.labels === undefined ? '' : ` (${metric.labels.join(', ')})`;
    return `| \`${name}\`${labels} | ${metric.type} | ${metric.help} |`;
  });
  return [
    '# Flags, configuration keys and metrics',
    '',
    'Generated from the program; `npx vitest run --config test/vitest.config.ts packages/canopy/src/cli -u` writes it anew.',
    '',
    '## Flags of `canopy leaf` and `canopy parent`',
    '',
    '| flag | role | default | meaning | environment |',
    '|---|---|---|---|---|',
    ...flags,
    '',
    'Values of `--store`; `rediss` in place of `redis` is TLS. A password is kept out of logs and pages; in `CANOPY_STORE` it is out of',
    'the process list, too. In user and password `/`, `@` and `%` are written `%2F`, `%40` and `%25`.',
    '',
    ...ADDRESS_FORMS.map((form) => `- \`${form}\``),
    '',
    '## Configuration file',
    '',
    'A `prometheus.yml` as it is. Keys of `global`:',
    '',
    '| key | meaning |',
    '|---|---|',
    ...keyTable(globalSchema.shape),
    '',
    'Keys of an entry of `scrape_configs`:',
    '',
    '| key | meaning |',
    '|---|---|',
    ...keyTable(scrapeConfigSchema.shape),
    '',
    '`storage.tsdb.out_of_order_time_window`: how late samples with times of their own may come (10m).',
    '',
    '`scrape_config_files`: files with a list `scrape_configs` of their own; `*` may stand in the last part of a path.',
    '',
    `Known and ignored, with a warning: sections ${codeList(Object.keys(IGNORED_SECTIONS))}; in \`global\` ${codeList(Object.keys(IGNORED_GLOBAL))}.`,
    '',
    `Refused, because without them other things would be scraped: ${codeList(REFUSED_SCRAPE)}.`,
    '',
    '## Web configuration file',
    '',
    "As Prometheus's; relative paths start at its folder. The file, and those it names, are looked at with each connection and",
    'request; what cannot be used leaves in use what was read before, and log, page and metrics say so. TLS is turned on',
    'and off by a restart only. `canopy check web-config FILE` checks it.',
    '',
    'Keys of `tls_server_config`:',
    '',
    '| key | meaning |',
    '|---|---|',
    ...keyTable(webConfigShape.tls_server_config.shape),
    '',
    'Keys of `http_server_config`:',
    '',
    '| key | meaning |',
    '|---|---|',
    ...keyTable(webConfigShape.http_server_config.shape),
    '',
    '`basic_auth_users`: names, each with the bcrypt hash of its password. Refused: `rate_limit`.',
    '',
    '## Metrics of the process itself',
    '',
    '| metric | type | meaning |',
    '|---|---|---|',
    ...metrics,
    '',
  ].join('\n');
}
