/** The table of `/api/v1`. */
import { cleanTombstones, deleteSeries, snapshot } from './admin.js';
import type { Handler } from './call.js';
import { ledger } from './ledger.js';
import { formatQueryText, parsedQuery, query, queryExemplars, queryRange } from './queries.js';
import { provenance } from './provenance.js';
import { labelNames, labelValues, metadata, series, targetsMetadata } from './series.js';
import { buildInfo, config, flags, hierarchy, runtimeInfo, tsdb, walReplay } from './status.js';
import { alertmanagers, alerts, rules, scrapePools, targets } from './targets.js';

export interface ApiRoute {
  readonly path: string;
  readonly methods: readonly ('GET' | 'POST' | 'PUT')[];
  readonly handler: Handler;
  /** Answered with 503 until samples can be read. */
  readonly needsData: boolean;
  /** Changes something: not for pages of another origin. */
  readonly changes: boolean;
}

const GET = ['GET'] as const;
const GET_OR_POST = ['GET', 'POST'] as const;
const POST_OR_PUT = ['POST', 'PUT'] as const;

function route(
  methods: ApiRoute['methods'],
  path: string,
  handler: Handler,
  needsData: 'data' | '',
): ApiRoute {
  const changes = methods === POST_OR_PUT;
  return { path: `/api/v1/${path}`, methods, handler, needsData: needsData === 'data', changes };
}

export const API_ROUTES: readonly ApiRoute[] = [
  route(GET_OR_POST, 'query', query, 'data'),
  route(GET_OR_POST, 'query_range', queryRange, 'data'),
  route(GET_OR_POST, 'query_exemplars', queryExemplars, 'data'),
  route(GET_OR_POST, 'format_query', formatQueryText, ''),
  route(GET_OR_POST, 'parse_query', parsedQuery, ''),
  route(GET_OR_POST, 'series', series, 'data'),
  route(GET_OR_POST, 'labels', labelNames, 'data'),
  route(GET, 'label/:name/values', labelValues, 'data'),
  route(GET, 'metadata', metadata, 'data'),
  route(GET_OR_POST, 'provenance', provenance, 'data'),
  route(GET, 'targets', targets, ''),
  route(GET, 'targets/metadata', targetsMetadata, 'data'),
  route(GET, 'scrape_pools', scrapePools, ''),
  route(GET, 'rules', rules, ''),
  route(GET, 'alerts', alerts, ''),
  route(GET, 'alertmanagers', alertmanagers, ''),
  route(GET, 'status/config', config, ''),
  route(GET, 'status/flags', flags, ''),
  route(GET, 'status/runtimeinfo', runtimeInfo, ''),
  route(GET, 'status/buildinfo', buildInfo, ''),
  route(GET, 'status/tsdb', tsdb, 'data'),
  route(GET, 'status/walreplay', walReplay, ''),
  route(GET, 'status/hierarchy', hierarchy, ''),
  route(GET, 'status/ledger', ledger, ''),
  route(POST_OR_PUT, 'admin/tsdb/snapshot', snapshot, 'data'),
  route(POST_OR_PUT, 'admin/tsdb/delete_series', deleteSeries, 'data'),
  route(POST_OR_PUT, 'admin/tsdb/clean_tombstones', cleanTombstones, 'data'),
];
