/** The questions of the benchmark of queries; `$` is the farm's prefix. */
export interface Question {
  readonly name: string;
  readonly query: string;
  /** VictoriaMetrics's `rate` and its like do not extrapolate: its values differ by design. */
  readonly ratesDiffer?: true;
}

const rate = (selector: string): string => `rate($_${selector}[5m])`;

export const QUESTIONS: readonly Question[] = [
  { name: 'selector, one a target', query: '$_up' },
  { name: 'selector', query: '$_cpu_seconds_total{mode="idle"}' },
  { name: 'rate', query: rate('http_requests_total'), ratesDiffer: true },
  {
    name: 'sum by (rate)',
    query: `sum by (handler, code) (${rate('http_requests_total')})`,
    ratesDiffer: true,
  },
  {
    name: 'histogram_quantile',
    query: `histogram_quantile(0.9, sum by (le, handler) (${rate('http_request_duration_seconds_bucket')}))`,
    ratesDiffer: true,
  },
  {
    name: 'histogram_quantile of one target',
    query: `histogram_quantile(0.9, ${rate('http_request_duration_seconds_bucket{instance="$-0:9100"}')})`,
    ratesDiffer: true,
  },
  { name: 'topk', query: 'topk(10, $_container_memory_bytes)' },
  {
    name: 'regular expressions',
    query: 'sum by (code) ($_http_requests_total{handler=~"/api/.*_1.*",code!~"2..|404"})',
  },
  {
    name: 'join',
    query: '$_container_memory_bytes / on (instance, container) $_container_limit_bytes',
  },
  {
    name: 'join with group_left',
    query: 'sum by (version) ($_queue_length * on (instance) group_left (version) $_build_info)',
  },
  {
    name: 'subquery',
    query: `max_over_time(sum by (instance) (${rate('http_requests_total{code="500"}')})[20m:1m])`,
    ratesDiffer: true,
  },
  { name: 'avg_over_time', query: 'avg by (instance) (avg_over_time($_queue_length[10m]))' },
  { name: 'count of all', query: 'count({__name__!=""})' },
];
