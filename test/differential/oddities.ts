/**
 * Exporters made up of what real ones do wrong or seldom: each gives the body of its n-th scrape, and may
 * bring keys of its scrape configuration.
 */
import { type AnswerSource, openMetrics, protobuf, text } from './recorded.js';

export interface Oddity {
  readonly source: AnswerSource;
  /** Lines for the job's scrape configuration. */
  readonly config?: readonly string[];
}

/** Times of samples' own are never those of a scrape: they lie before the first one, and pass more slowly. */
const T0 = Math.floor(Date.now() / 1000) * 1000 - 30_000 + 37;

export const ODDITIES: Readonly<Record<string, Oddity>> = {
  values: {
    source: (n) =>
      text(
        [
          `counting ${n}`,
          'zero 0',
          'minus_zero -0',
          'infinite +Inf',
          'minus_infinite -Inf',
          'not_a_number NaN',
          `sometimes_nan ${n % 2 === 0 ? 'NaN' : n}`,
          'smallest 5e-324',
          'largest 1.7976931348623157e308',
          `sum ${0.1 * n + 0.2}`,
          `exponent 1.5e+0${n % 9}`,
          `hard_decimal 9007199254740993.${n}`,
        ].join('\n') + '\n',
      ),
  },
  vanishing: {
    source: (n) =>
      text(
        `stays ${n}\n${n % 4 < 2 ? `comes_and_goes{n="x"} ${n}\n` : ''}${n < 5 ? 'goes 1\n' : ''}${n >= 7 ? 'comes 1\n' : ''}`,
      ),
  },
  renamed: {
    source: (n) => text(`metric{version="${n < 6 ? 'a' : 'b'}",pod="p"} ${n}\n`),
  },
  failing: {
    source: (n) =>
      n % 5 === 3 ? { status: 500, contentType: 'text/plain', body: 'no' } : text(`alive ${n}\n`),
  },
  broken: {
    source: (n) => text(n % 5 === 3 ? `alive ${n}\nhalf{a="b` : `alive ${n}\n`),
  },
  empty: { source: (n) => text(n % 3 === 1 ? '' : `alive ${n}\n`) },
  moving_lines: {
    source: (n) => {
      const lines = Array.from({ length: 20 }, (_, i) => `line{i="${(i + n * 7) % 20}"} ${i}`);
      return text(`${lines.join('\n')}\n`);
    },
  },
  label_order: {
    source: (n) => text(n % 2 === 0 ? `x{a="1",b="2"} ${n}\n` : `x{b="2",a="1"} ${n}\n`),
  },
  doubled: { source: (n) => text(`twice ${n}\ntwice ${n + 100}\nother ${n}\n`) },
  escapes: {
    source: (n) =>
      text(`# HELP e A \\\\ and \\n.\n# TYPE e gauge\ne{a="q\\"b\\\\n\\nl",u="日本é"} ${n}\n`),
  },
  empty_line: { source: (n) => text(`\nx ${n}\n\ny ${n}\n`) },
  blank_line: { source: (n) => text(`x ${n}\n  \ny ${n}\n`) },
  indented: { source: (n) => text(`\tx ${n}\n  y ${n}\n`) },
  comment: { source: (n) => text(`# a comment\n#another\nx ${n}\n`) },
  blank_before_brace: { source: (n) => text(`x {a="1"} ${n}\n`) },
  blanks_in_braces: { source: (n) => text(`x{ a = "1" , b="2" } ${n}\n`) },
  comma_at_end: { source: (n) => text(`x{a="1",} ${n}\n`) },
  blanks_around_value: { source: (n) => text(`x{a="1"}   ${n}  \ny\t${n}\n`) },
  no_line_end: { source: (n) => text(`x ${n}\ny ${n}`) },
  carriage_returns: { source: (n) => text(`x ${n}\r\ny ${n}\r\n`) },
  conflicting_types: {
    source: (n) => text(`# TYPE x counter\nx ${n}\n# TYPE x gauge\nx{a="1"} ${n}\n`),
  },
  own_times: {
    source: (n) =>
      text(
        `timed ${n} ${T0 + n * 500}\nsame_time ${Math.floor(n / 3)} ${T0 + Math.floor(n / 3) * 1000}\nuntimed ${n}\n`,
      ),
  },
  ignored_times: {
    source: (n) => text(`timed ${n} ${T0 - 86_400_000 + n}\n`),
    config: ['honor_timestamps: false'],
  },
  conflicts: { source: (n) => text(`x{job="own",instance="i",exported_job="e"} ${n}\n`) },
  honoured: {
    source: (n) => text(`x{job="conflicting",instance=""} ${n}\ny ${n}\n`),
    config: ['honor_labels: true'],
  },
  relabelled: {
    source: (n) => text(`keep_me{a="1",secret="s"} ${n}\ndrop_me ${n}\nrename_me ${n}\n`),
    config: [
      'metric_relabel_configs:',
      '  - { source_labels: [__name__], regex: "drop_.*", action: drop }',
      '  - { regex: secret, action: labeldrop }',
      '  - { source_labels: [__name__], regex: "rename_(.*)", target_label: __name__, replacement: "called_$1" }',
    ],
  },
  limited: {
    source: (n) =>
      text(Array.from({ length: n % 4 === 2 ? 9 : 4 }, (_, i) => `m{i="${i}"} ${n}\n`).join('')),
    config: ['sample_limit: 5'],
  },
  histogram: {
    source: (n) =>
      text(
        [
          '# HELP h_seconds Durations.',
          '# TYPE h_seconds histogram',
          `h_seconds_bucket{le="0.5"} ${n}`,
          `h_seconds_bucket{le="2.5"} ${n * 2}`,
          `h_seconds_bucket{le="+Inf"} ${n * 3}`,
          `h_seconds_sum ${n * 1.5}`,
          `h_seconds_count ${n * 3}`,
        ].join('\n') + '\n',
      ),
  },
  openmetrics: {
    source: (n) =>
      openMetrics(
        [
          '# TYPE c_seconds counter',
          '# UNIT c_seconds seconds',
          '# HELP c_seconds A \\"c\\".',
          `c_seconds_total{a="x"} ${n} # {trace_id="t"} 0.5 ${T0 / 1000}`,
          'c_seconds_created{a="x"} 1.5e9',
          '# TYPE h histogram',
          `h_bucket{le="0.5"} ${n} # {} 0.1`,
          `h_bucket{le="+Inf"} ${n + 1}`,
          `h_sum ${n / 3}`,
          `h_count ${n + 1}`,
          '# TYPE i info',
          'i_info{version="1"} 1',
          '# TYPE s stateset',
          `s{s="on"} ${n % 2}`,
          `${n % 4 < 2 ? 'comes_and_goes 1' : 'other{l="a\\n\\\\",m=" # "} NaN'}`,
          '# EOF',
        ].join('\n'),
      ),
  },
  openmetrics_times: {
    source: (n) =>
      openMetrics(
        `timed ${n} ${(T0 + n * 500) / 1000}\nsame_time ${Math.floor(n / 3)} ${T0 / 1000 + Math.floor(n / 3)}\nuntimed ${n}\n# EOF\n`,
      ),
  },
  openmetrics_cut: {
    source: (n) => openMetrics(`alive ${n}\n${n % 5 === 3 ? '' : '# EOF\n'}`),
  },
  openmetrics_comment: { source: (n) => openMetrics(`# a comment\nx ${n}\n# EOF\n`) },
  openmetrics_blank: { source: (n) => openMetrics(`x{ a="1"} ${n}\n# EOF\n`) },
  openmetrics_unit: { source: (n) => openMetrics(`# UNIT x seconds\nx ${n}\n# EOF\n`) },
  protobuf: { source: (n) => protobuf(n) },
  protobuf_cut: {
    source: (n) => ({ ...protobuf(n), body: protobuf(n).body.subarray(0, -1) }),
  },
};
