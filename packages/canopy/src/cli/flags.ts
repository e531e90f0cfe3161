/**
 * The command line as data: `--help`, environment names, `/api/v1/status/flags` and CONFIG.md come
 * from here. Spelt as Prometheus spells its flags; ours are new words in the same manner.
 */

export type Role = 'leaf' | 'parent';

export interface Flag {
  /** Without the dashes. */
  readonly name: string;
  /** What stands for the value in `--help`; undefined for a switch: given alone it is `true`. */
  readonly value?: string;
  /** Default by role; undefined: none. */
  readonly default: Readonly<Partial<Record<Role, string>>>;
  readonly roles: readonly Role[];
  readonly help: string;
  /** The values it may have, where they are few. */
  readonly choices?: readonly string[];
}

const BOTH: readonly Role[] = ['leaf', 'parent'];
const both = (text: string) => ({ leaf: text, parent: text });

/** What `--enable-feature` knows; Prometheus warns of other names and goes on, and so does Canopy. */
export const FEATURES: readonly string[] = [
  'promql-experimental-functions',
  'promql-binop-fill-modifiers',
  'promql-extended-range-selectors',
  'promql-delayed-name-removal',
  'promql-per-step-stats',
  'type-and-unit-labels',
  'use-start-timestamps',
];

export const FLAGS: readonly Flag[] = [
  {
    name: 'config.file',
    value: 'FILE',
    default: { leaf: 'prometheus.yml' },
    roles: BOTH,
    help: 'Prometheus configuration file; optional for a parent',
  },
  {
    name: 'web.listen-address',
    value: 'HOST:PORT',
    default: { leaf: '0.0.0.0:9095', parent: '0.0.0.0:9090' },
    roles: BOTH,
    help: 'Address to listen on',
  },
  {
    name: 'web.config.file',
    value: 'FILE',
    default: {},
    roles: BOTH,
    help: "TLS, client certificates, users and headers of the HTTP server, as Prometheus's file of this name",
  },
  {
    name: 'web.enable-lifecycle',
    default: both('false'),
    roles: BOTH,
    help: 'Reload the configuration at POST /-/reload, end the process at POST /-/quit',
    choices: ['true', 'false'],
  },
  {
    name: 'web.enable-admin-api',
    default: both('false'),
    roles: BOTH,
    help: 'Take snapshots and hide series on request, at POST /api/v1/admin/tsdb/…',
    choices: ['true', 'false'],
  },
  {
    name: 'web.enable-remote-write-receiver',
    default: both('false'),
    roles: BOTH,
    help: 'Accept remote write (1.0 and 2.0) at POST /api/v1/write',
    choices: ['true', 'false'],
  },
  {
    name: 'web.cors.origin',
    value: 'REGEX',
    default: both('.*'),
    roles: BOTH,
    help: 'Origins whose pages may read the API from a browser; the expression must match all of one',
  },
  {
    name: 'web.external-url',
    value: 'URL',
    default: {},
    roles: BOTH,
    help: 'URL under which others reach this process; default: http:// (https:// with TLS) and the listen address',
  },
  {
    name: 'storage.path',
    value: 'FOLDER',
    default: both('data'),
    roles: BOTH,
    help: 'Folder of the journal and of the embedded store',
  },
  {
    name: 'storage.max-bytes',
    value: 'SIZE',
    default: { leaf: '9GiB', parent: '32GiB' },
    roles: BOTH,
    help: 'Most that the embedded store may take on disk',
  },
  {
    name: 'cluster',
    value: 'NAME',
    default: {},
    roles: BOTH,
    help: 'Attached to every scraped series as the label "cluster"',
  },
  {
    name: 'leaf.name',
    value: 'NAME',
    default: {},
    roles: BOTH,
    help: 'Name shown to others; default: the host and port of the external URL',
  },
  {
    name: 'parent',
    value: 'URL',
    default: {},
    roles: BOTH,
    help: 'Parent to announce this process to, every 30 s',
  },
  {
    name: 'store',
    value: 'URL',
    default: {},
    roles: ['parent'],
    help: 'URL of a Redis, see below; default: the embedded store in --storage.path',
  },
  {
    name: 'store.redis.tls-ca-file',
    value: 'FILE',
    default: {},
    roles: ['parent'],
    help: 'PEM of the authority that signed the certificate of a rediss store; default: those of Node.js',
  },
  {
    name: 'store.redis.tls-cert-file',
    value: 'FILE',
    default: {},
    roles: ['parent'],
    help: 'PEM of the certificate shown to a rediss store',
  },
  {
    name: 'store.redis.tls-key-file',
    value: 'FILE',
    default: {},
    roles: ['parent'],
    help: 'PEM of the key of that certificate',
  },
  {
    name: 'store.redis.tls-server-name',
    value: 'NAME',
    default: {},
    roles: ['parent'],
    help: 'Name expected in the certificates of a rediss store; default: the host of the address',
  },
  {
    name: 'store.redis.wait-replicas',
    value: 'COUNT',
    default: { parent: '0' },
    roles: ['parent'],
    help: 'Replicas that must have a write to Redis before it counts',
  },
  {
    name: 'store.redis.wait-timeout',
    value: 'DURATION',
    default: { parent: '1s' },
    roles: ['parent'],
    help: 'How long those replicas are waited for; then the write is tried again later',
  },
  {
    name: 'federation.token-file',
    value: 'FILE',
    default: {},
    roles: BOTH,
    help: 'Tokens, one a line: the first is shown to the parent, each is taken from leaves beyond loopback',
  },
  {
    name: 'federation.http-config-file',
    value: 'FILE',
    default: {},
    roles: BOTH,
    help: "How the parent and announced leaves are spoken to: TLS, credentials, proxy, as promtool's --http.config.file",
  },
  {
    name: 'federation.enforce-labels',
    value: 'NAMES',
    default: {},
    roles: ['parent'],
    help: 'Labels, by commas, of which a source may write the values only that it registered, its token names (remote write, too), or its target has in scrape_configs',
  },
  {
    name: 'federation.max-leaves',
    value: 'COUNT',
    default: { parent: '10000' },
    roles: ['parent'],
    help: 'Most leaves that may be registered',
  },
  {
    name: 'federation.max-registrations-per-minute',
    value: 'COUNT',
    default: { parent: '1000' },
    roles: ['parent'],
    help: 'Most registrations a minute that are new, change something or end',
  },
  {
    name: 'federation.max-page-bytes',
    value: 'SIZE',
    default: both('4MiB'),
    roles: BOTH,
    help: 'Largest page of a journal sent in one answer, but for one frame more; at most 32MiB',
  },
  {
    name: 'journal.retention',
    value: 'DURATION',
    default: both('24h'),
    roles: BOTH,
    help: 'How long the journal is kept for parents that are away; 0: no limit in time',
  },
  {
    name: 'journal.retention-bytes',
    value: 'SIZE',
    default: both('8GiB'),
    roles: BOTH,
    help: 'Most bytes of journal kept; 0: no limit in bytes',
  },
  {
    name: 'retention.raw',
    value: 'DURATION',
    default: { parent: '15d' },
    roles: ['parent'],
    help: 'How long samples are kept; 0: no limit in time',
  },
  {
    name: 'retention.bytes',
    value: 'SIZE',
    default: { parent: '0' },
    roles: ['parent'],
    help: 'Most bytes of samples kept; 0: 70 % of the maxmemory of Redis, or of --storage.max-bytes',
  },
  {
    name: 'blocks.window',
    value: 'DURATION',
    default: { parent: '2h' },
    roles: ['parent'],
    help: 'Settled samples are put into blocks by windows of so long; blocks of 4 and of 12 windows are merged',
  },
  {
    name: 'query.lookback-delta',
    value: 'DURATION',
    default: both('5m'),
    roles: BOTH,
    help: 'How far back the newest sample of a series is looked for',
  },
  {
    name: 'query.timeout',
    value: 'DURATION',
    default: both('2m'),
    roles: BOTH,
    help: 'Longest time a query may take',
  },
  {
    name: 'query.max-samples',
    value: 'COUNT',
    default: both('50000000'),
    roles: BOTH,
    help: 'Most samples a query may hold in memory',
  },
  {
    name: 'query.max-concurrency',
    value: 'COUNT',
    default: both('20'),
    roles: BOTH,
    help: 'Most queries evaluated at once',
  },
  {
    name: 'enable-feature',
    value: 'NAME,…',
    default: both(''),
    roles: BOTH,
    help: `Features that may still change: ${FEATURES.join(', ')} (of the last two queries only: no label of a type is attached at scrape, no start time is stored)`,
  },
  {
    name: 'query.complete',
    default: both('false'),
    roles: BOTH,
    help: 'Queries end where a source they select is not complete yet, unless they say complete=false',
    choices: ['true', 'false'],
  },
  {
    name: 'scrape.concurrency',
    value: 'COUNT',
    default: both('16'),
    roles: BOTH,
    help: 'Most bodies received and parsed at once',
  },
  {
    name: 'log.level',
    value: 'LEVEL',
    default: both('info'),
    roles: BOTH,
    help: 'Least severe messages that are logged',
    choices: ['debug', 'info', 'warn', 'error'],
  },
];

/** `web.listen-address` → `CANOPY_WEB_LISTEN_ADDRESS`. */
export function envName(flag: string): string {
  return `CANOPY_${flag.toUpperCase().replace(/[.-]/g, '_')}`;
}

export function flagsOf(role: Role): readonly Flag[] {
  return FLAGS.filter((flag) => flag.roles.includes(role));
}

/** Values by flag name, defaults and environment included. A flag without value or default is absent. */
export type FlagValues = ReadonlyMap<string, string>;
