/**
 * Names that `metric_name_validation_scheme: legacy` refuses and `utf8` takes (Prometheus 3, model/relabel).
 */
import { isLegacyLabelName } from '@canopy/model';

/** A name with `$1` or `${name}` in it, as rules write them. */
const TEMPLATE = /^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$/;

/** Actions that set, or compare with, the label `target_label`. */
const NAMES_TARGET: ReadonlySet<string> = new Set([
  'replace',
  'hashmod',
  'lowercase',
  'uppercase',
  'keepequal',
  'dropequal',
]);

interface Rule {
  readonly action: string;
  readonly target_label: string;
  readonly replacement: string;
}

/** What a relabelling rule names that only `utf8` knows, or ''. */
export function legacyFault({ action, target_label: target, replacement }: Rule): string {
  if (action === 'labelmap') {
    return TEMPLATE.test(replacement)
      ? ''
      : `"${replacement}" is invalid 'replacement' for ${action} action`;
  }
  if (!NAMES_TARGET.has(action)) return '';
  const isTemplate = action === 'replace' && target.includes('$');
  const isFine = isTemplate ? TEMPLATE.test(target) : isLegacyLabelName(target);
  return isFine ? '' : `"${target}" is invalid 'target_label' for ${action} action`;
}
