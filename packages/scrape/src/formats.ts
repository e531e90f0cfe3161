/**
 * Which format a target is asked for, and which one its answer is in, as Prometheus 3 does both
 * (scrape/scrape.go `acceptHeader`, model/textparse/interface.go `extractMediaType`).
 */
import {
  type BodyReader,
  type EscapingScheme,
  ScrapeParser,
  type ScrapeParserOptions,
  openMetricsReader,
  protobufReader,
} from '@canopy/exposition';
import { FormatError } from '@canopy/model';

export type ExpositionFormat = 'text' | 'openmetrics' | 'protobuf';

const PROTOBUF = 'application/vnd.google.protobuf';
const OPENMETRICS = 'application/openmetrics-text';
const TEXT = 'text/plain';

/** By name in `scrape_protocols`: what is asked for, and whether its names may be escaped. */
const PROTOCOLS = {
  'OpenMetricsText0.0.1': { mediaType: OPENMETRICS, version: 'version=0.0.1', escaped: false },
  'OpenMetricsText1.0.0': { mediaType: OPENMETRICS, version: 'version=1.0.0', escaped: true },
  PrometheusProto: {
    mediaType: PROTOBUF,
    version: 'proto=io.prometheus.client.MetricFamily;encoding=delimited',
    escaped: false,
  },
  'PrometheusText0.0.4': { mediaType: TEXT, version: 'version=0.0.4', escaped: false },
  'PrometheusText1.0.0': { mediaType: TEXT, version: 'version=1.0.0', escaped: true },
} as const;

export type ScrapeProtocol = keyof typeof PROTOCOLS;
export const SCRAPE_PROTOCOLS = Object.keys(PROTOCOLS) as readonly ScrapeProtocol[];

/** Prometheus's choice where nothing is configured. */
export const DEFAULT_SCRAPE_PROTOCOLS: readonly ScrapeProtocol[] = [
  'OpenMetricsText1.0.0',
  'OpenMetricsText0.0.1',
  'PrometheusText1.0.0',
  'PrometheusText0.0.4',
];

const FORMATS: Readonly<Record<string, ExpositionFormat>> = {
  [TEXT]: 'text',
  [OPENMETRICS]: 'openmetrics',
  [PROTOBUF]: 'protobuf',
};

/** The `Accept` header: protocols in order of preference, then anything. */
export function acceptHeader(
  protocols: readonly ScrapeProtocol[],
  escaping: EscapingScheme,
): string {
  let weight = SCRAPE_PROTOCOLS.length + 1;
  const parts = protocols.map((name) => {
    const { mediaType, version, escaped } = PROTOCOLS[name];
    return `${mediaType};${version}${escaped ? `;escaping=${escaping}` : ''};q=0.${weight--}`;
  });
  return [...parts, `*/*;q=0.${weight}`].join(',');
}

/**
 * The format of an answer; what its content type does not say, `fallback` says.
 * @throws FormatError where neither does: such a scrape fails.
 */
export function formatOf(
  contentType: string,
  fallback: ScrapeProtocol | undefined,
): ExpositionFormat {
  const read = contentType === '' ? undefined : readMediaType(contentType);
  if (read?.error === undefined && read !== undefined && Object.hasOwn(FORMATS, read.mediaType)) {
    return FORMATS[read.mediaType];
  }
  if (fallback !== undefined) return FORMATS[PROTOCOLS[fallback].mediaType];
  if (read === undefined) {
    throw new FormatError(
      'non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target',
    );
  }
  const shown = JSON.stringify(contentType);
  throw new FormatError(
    read.error === undefined
      ? `received unsupported Content-Type ${shown} and no fallback_scrape_protocol specified for target`
      : `cannot parse Content-Type ${shown} and no fallback_scrape_protocol for target: mime: ${read.error}`,
  );
}

/** A reader of one format for one target. */
export function readerOf(format: ExpositionFormat, options: ScrapeParserOptions): BodyReader {
  if (format === 'openmetrics') return openMetricsReader(options);
  return format === 'protobuf' ? protobufReader(options) : new ScrapeParser(options);
}

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const MEDIA_TYPE = new RegExp(`^${TOKEN}(/${TOKEN})?$`);
const PARAMETER = new RegExp(
  `[ \\t]*;[ \\t]*(${TOKEN})[ \\t]*=[ \\t]*(${TOKEN}|"(?:[^"\\\\\\r\\n]|\\\\.)*")[ \\t]*`,
  'y',
);

interface MediaType {
  readonly mediaType: string;
  /** What Go's mime.ParseMediaType would say. */
  readonly error?: string;
}

function readMediaType(header: string): MediaType {
  const [base] = header.split(';', 1);
  const mediaType = base.trim().toLowerCase();
  if (mediaType === '') return { mediaType, error: 'no media type' };
  if (!MEDIA_TYPE.test(mediaType)) {
    return { mediaType, error: 'unexpected content after media subtype' };
  }
  const values = new Map<string, string>();
  for (let at = base.length; at < header.length; at = PARAMETER.lastIndex) {
    const rest = header.slice(at).trim();
    if (rest === '' || rest === ';') break;
    PARAMETER.lastIndex = at;
    const [, name, value] = PARAMETER.exec(header) ?? [];
    if (name === undefined) return { mediaType, error: 'invalid media parameter' };
    const key = name.toLowerCase();
    if (values.has(key) && values.get(key) !== value) {
      return { mediaType, error: 'duplicate parameter name' };
    }
    values.set(key, value);
  }
  return { mediaType };
}
