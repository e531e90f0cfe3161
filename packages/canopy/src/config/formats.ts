/**
 * The keys that say in which format targets are scraped, with the rules of Prometheus 3 (config/config.go).
 */
import { ESCAPING_SCHEMES, type EscapingScheme } from '@canopy/exposition';
import { SCRAPE_PROTOCOLS, type ScrapeConfig, type ScrapeProtocol } from '@canopy/scrape';
import { z } from 'zod';
import { blankable, boolean, fail, optional, scalar } from './scalars.js';

const LIST = SCRAPE_PROTOCOLS.join(' ');

const protocol = () =>
  scalar((text): ScrapeProtocol => {
    const known = SCRAPE_PROTOCOLS.find((name) => name === text);
    return known ?? fail(`unknown scrape protocol ${text}, supported: [${LIST}]`);
  });

const protocols = z.array(protocol()).superRefine((names, context) => {
  const issue = (message: string) => context.addIssue({ code: 'custom', message });
  if (names.length === 0) issue('scrape_protocols cannot be empty');
  if (new Set(names).size < names.length) {
    issue(`duplicated protocol in scrape_protocols, got [${names.join(' ')}]`);
  }
});

const VALIDATION_SCHEMES = ['utf8', 'legacy'] as const;
type ValidationScheme = (typeof VALIDATION_SCHEMES)[number];

const oneOf = <T extends string>(what: string, names: readonly T[]) =>
  blankable(
    scalar((text): T => {
      const known = names.find((name) => name === text);
      return known ?? fail(`unknown ${what} "${text}", must be one of ${names.join(', ')}`);
    }).optional(),
  );

/** Keys of `global` and of a scrape configuration alike. */
export const formatShape = {
  scrape_protocols: optional(protocols.optional()).describe(
    `Formats asked for, best first, of ${LIST}; default: all but PrometheusProto, OpenMetrics first`,
  ),
  metric_name_validation_scheme: oneOf('name validation method', VALIDATION_SCHEMES).describe(
    '`legacy` refuses a scrape with a name that Prometheus 2 does not know; default `utf8`',
  ),
  metric_name_escaping_scheme: oneOf('name escaping method', ESCAPING_SCHEMES).describe(
    'How exporters are asked to write such names; default `allow-utf-8`, with `legacy` `underscores`',
  ),
};

/** Keys of a scrape configuration alone. */
export const jobFormatShape = {
  fallback_scrape_protocol: blankable(protocol().optional()).describe(
    'What a body without a usable content type is read as; default: such a scrape fails',
  ),
  enable_compression: boolean().prefault('true').describe('Asks for bodies in gzip'),
};

interface Names {
  readonly metric_name_validation_scheme?: ValidationScheme | undefined;
  readonly metric_name_escaping_scheme?: EscapingScheme | undefined;
}

interface Keys extends Names {
  readonly scrape_protocols?: readonly ScrapeProtocol[] | undefined;
}

interface JobKeys extends Keys {
  readonly fallback_scrape_protocol?: ScrapeProtocol | undefined;
  readonly enable_compression: boolean;
}

/** The schemes that count for a job; `wrong` where they contradict each other. */
export function nameSchemes(
  job: Names,
  global: Names,
): { validation: ValidationScheme; escaping: EscapingScheme; wrong: string } {
  const globalValidation = global.metric_name_validation_scheme ?? 'utf8';
  const validation = job.metric_name_validation_scheme ?? globalValidation;
  const ofValidation = (scheme: ValidationScheme): EscapingScheme =>
    scheme === 'legacy' ? 'underscores' : 'allow-utf-8';
  // A job that says how names are checked does not take over how the others escape them.
  const inherited =
    job.metric_name_validation_scheme === undefined
      ? (global.metric_name_escaping_scheme ?? ofValidation(globalValidation))
      : ofValidation(validation);
  const escaping = job.metric_name_escaping_scheme ?? inherited;
  const wrong =
    escaping === 'allow-utf-8' && validation !== 'utf8'
      ? 'utf8 metric names requested but validation scheme is not set to UTF8'
      : '';
  return { validation, escaping, wrong };
}

/** What a job and `global` say together. */
export function formatsOf(
  job: JobKeys,
  global: Keys,
): Pick<
  ScrapeConfig,
  | 'scrapeProtocols'
  | 'fallbackScrapeProtocol'
  | 'enableCompression'
  | 'metricNameValidationScheme'
  | 'metricNameEscapingScheme'
> {
  const scrapeProtocols = job.scrape_protocols ?? global.scrape_protocols;
  const { validation, escaping } = nameSchemes(job, global);
  return {
    ...(scrapeProtocols && { scrapeProtocols }),
    ...(job.fallback_scrape_protocol && { fallbackScrapeProtocol: job.fallback_scrape_protocol }),
    enableCompression: job.enable_compression,
    metricNameValidationScheme: validation,
    metricNameEscapingScheme: escaping,
  };
}
