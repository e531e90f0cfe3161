/** The query list of prometheus/compliance, expanded: `{{.name}}` stands for each value of `variants.name`. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const LIST = fileURLToPath(
  new URL('../../../shared/conformance/promql-queries.dev.yml', import.meta.url),
);

interface Template {
  readonly query: string;
  readonly variant_args?: readonly string[];
}

/** All queries; null where the list does not lie beside the repository. */
export function complianceQueries(): string[] | null {
  if (!existsSync(LIST)) return null;
  const { variants, queries } = parse(readFileSync(LIST, 'utf8')) as {
    variants: Record<string, string[]>;
    queries: Template[];
  };
  return queries.flatMap(({ query, variant_args: names = [] }) =>
    names.reduce<string[]>(
      (expanded, name) =>
        expanded.flatMap((text) =>
          variants[name].map((value) => text.replaceAll(`{{.${name}}}`, value)),
        ),
      [query],
    ),
  );
}
