/**
 * From labels as an exporter writes them to labels as they are kept: the target's labels, metric
 * relabelling, limits, external labels, in Prometheus's order (scrape/target.go, scrape/scrape.go).
 */
import {
  CanopyError,
  type Family,
  type Labels,
  METRIC_NAME,
  formatLabels,
  isLegacyLabelName,
  isLegacyMetricName,
  labelValue,
} from '@canopy/model';
import type { ScrapeConfig } from './config.js';
import { LabelBuilder } from './label-builder.js';
import { LimitError } from './refusal.js';
import type { Relabel } from './relabel.js';
import type { StringPool } from './series-table.js';

export interface SampleLabelOptions {
  readonly config: ScrapeConfig;
  readonly targetLabels: Labels;
  readonly externalLabels: Labels;
  /** The job's compiled `metricRelabelConfigs`. */
  readonly relabel: Relabel;
  readonly pool: StringPool;
  /** Labels of which a series may say what its target's labels say, where they say something. */
  readonly enforcedLabels: readonly string[];
}

/** Whatever `label_limit` says: the work on one series is bounded. */
const LABELS_MAX = 1000;

const EXPORTED_PREFIX = 'exported_';

export class SampleLabels {
  readonly #options: SampleLabelOptions;
  readonly #builder = new LabelBuilder();
  readonly #limited: boolean;
  /** Name and value by turns. */
  readonly #enforced: Labels;

  constructor(options: SampleLabelOptions) {
    this.#options = options;
    const { enforcedLabels, targetLabels } = options;
    this.#enforced = enforcedLabels.flatMap((name) => {
      const value = labelValue(targetLabels, name);
      return value === '' ? [] : [name, value];
    });
    const { labelLimit, labelNameLengthLimit, labelValueLengthLimit } = options.config;
    this.#limited = labelLimit > 0 || labelNameLengthLimit > 0 || labelValueLengthLimit > 0;
  }

  /**
   * The label set of a sample, undefined where relabelling drops it. `pairs` as written, in
   * any order, no name twice.
   * @throws CanopyError `bad_data` or `limit`: the whole scrape is refused.
   */
  of(pairs: Labels): Labels | undefined {
    const { config, relabel } = this.#options;
    const builder = this.#builder;
    if (pairs.length > 2 * LABELS_MAX) {
      throw new CanopyError('limit', `more than ${LABELS_MAX} labels in one series`);
    }
    builder.reset(pairs);
    if (config.honorLabels) this.#addMissing(pairs);
    else this.#overrule(pairs);
    if (!relabel(builder) || builder.count === 0) return undefined;
    if (builder.get(METRIC_NAME) === '') {
      throw new CanopyError('bad_data', 'missing metric name (__name__ label)');
    }
    if (config.metricNameValidationScheme === 'legacy') checkLegacyNames(builder);
    if (this.#limited) checkLimits(builder, config);
    checkEnforced(builder, this.#enforced);
    return this.#finish();
  }

  /** The label set of a series that the scrape itself makes. */
  ofReport(name: string): Labels {
    this.#builder.reset(this.#options.targetLabels);
    this.#builder.set(METRIC_NAME, name);
    return this.#finish();
  }

  /** The target's labels as they are in all its series. */
  ofTarget(): Labels {
    this.#builder.reset(this.#options.targetLabels);
    return this.#finish();
  }

  #finish(): Labels {
    const { externalLabels, pool } = this.#options;
    for (let i = 0; i < externalLabels.length; i += 2) {
      if (this.#builder.get(externalLabels[i]) === '') {
        this.#builder.set(externalLabels[i], externalLabels[i + 1]);
      }
    }
    const labels = this.#builder.labels() as string[];
    for (let i = 0; i < labels.length; i++) labels[i] = pool.share(labels[i]);
    return labels;
  }

  /** The exporter's labels win, even written empty (`instance=""` in a federation text). */
  #addMissing(pairs: Labels): void {
    const { targetLabels } = this.#options;
    for (let i = 0; i < targetLabels.length; i += 2) {
      if (!hasName(pairs, targetLabels[i])) this.#builder.set(targetLabels[i], targetLabels[i + 1]);
    }
  }

  /** The target's labels win; what the exporter had under their names moves to `exported_…`. */
  #overrule(pairs: Labels): void {
    const { targetLabels } = this.#options;
    const builder = this.#builder;
    const moved: Array<readonly [name: string, value: string]> = [];
    for (let i = 0; i < targetLabels.length; i += 2) {
      const exposed = labelValue(pairs, targetLabels[i]);
      if (exposed !== '') moved.push([targetLabels[i], exposed]);
      builder.set(targetLabels[i], targetLabels[i + 1]);
    }
    if (moved.length === 0) return;
    // Shortest first, so that `exported_x` finds its place before a further `exported_exported_x`.
    moved.sort((a, b) => a[0].length - b[0].length);
    for (const [name, value] of moved) {
      let free = EXPORTED_PREFIX + name;
      while (builder.get(free) !== '') free = EXPORTED_PREFIX + free;
      builder.set(free, value);
    }
  }
}

/**
 * The family a series belongs to after relabelling: under another name where its metric was renamed
 * with the suffix kept, none where the new name does not fit.
 */
export function familyAfter(
  family: Family | undefined,
  nameBefore: string,
  nameAfter: string,
): Family | undefined {
  if (family === undefined || nameBefore === nameAfter) return family;
  const suffix = nameBefore.slice(family.name.length);
  if (!nameBefore.startsWith(family.name) || !nameAfter.endsWith(suffix)) return undefined;
  return { ...family, name: nameAfter.slice(0, nameAfter.length - suffix.length) };
}

function hasName(pairs: Labels, name: string): boolean {
  for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) return true;
  return false;
}

function checkLegacyNames(builder: LabelBuilder): void {
  let valid = isLegacyMetricName(builder.get(METRIC_NAME));
  builder.forEach((name) => {
    if (!isLegacyLabelName(name)) valid = false;
  });
  if (valid) return;
  const shown = formatLabels(builder.labels());
  throw new CanopyError('bad_data', `invalid metric name or label names: ${shown.slice(0, 200)}`);
}

/** After relabelling: who lists a source may drop, or rename, what it is not to say. */
function checkEnforced(builder: LabelBuilder, enforced: Labels): void {
  for (let i = 0; i < enforced.length; i += 2) {
    const [name, allowed] = [enforced[i], enforced[i + 1]];
    const said = builder.get(name);
    if (said === '' || said === allowed) continue;
    const metric = builder.get(METRIC_NAME).slice(0, 50);
    const shown = JSON.stringify(said.slice(0, 50));
    throw new LimitError(
      'forged_label',
      `label ${name} is enforced (metric: ${metric}, value: ${shown}, allowed: ${JSON.stringify(allowed)})`,
    );
  }
}

function checkLimits(builder: LabelBuilder, config: ScrapeConfig): void {
  const { labelLimit, labelNameLengthLimit, labelValueLengthLimit } = config;
  const metric = builder.get(METRIC_NAME).slice(0, 50);
  if (labelLimit > 0 && builder.count > labelLimit) {
    throw new LimitError(
      'label_limit',
      `label_limit exceeded (metric: ${metric}, number of labels: ${builder.count}, limit: ${labelLimit})`,
    );
  }
  if (labelNameLengthLimit === 0 && labelValueLengthLimit === 0) return;
  builder.forEach((name, value) => {
    const nameBytes = Buffer.byteLength(name);
    if (labelNameLengthLimit > 0 && nameBytes > labelNameLengthLimit) {
      throw new LimitError(
        'label_name_length_limit',
        `label_name_length_limit exceeded (metric: ${metric}, label name: ${name.slice(0, 50)}, ` +
          `length: ${nameBytes}, limit: ${labelNameLengthLimit})`,
      );
    }
    const valueBytes = Buffer.byteLength(value);
    if (labelValueLengthLimit > 0 && valueBytes > labelValueLengthLimit) {
      throw new LimitError(
        'label_value_length_limit',
        `label_value_length_limit exceeded (metric: ${metric}, label name: ${name.slice(0, 50)}, ` +
          `value: ${JSON.stringify(value.slice(0, 50))}, length: ${valueBytes}, ` +
          `limit: ${labelValueLengthLimit})`,
      );
    }
  });
}
