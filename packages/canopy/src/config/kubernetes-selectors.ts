/**
 * Selectors of Kubernetes objects as text: whether the API server will understand them
 * (k8s.io/apimachinery, fields.ParseSelector and labels.Parse).
 */

/** What is wrong with a field selector (`status.phase=Running,spec.nodeName!=a`), or ''. */
export function wrongFieldSelector(selector: string): string {
  for (const term of selector.split(/(?<!\\),/)) {
    if (term === '' || /(?<!\\)=/.test(term)) continue;
    return `invalid selector: '${selector}'; can't understand '${term}'`;
  }
  return '';
}

const NAME = '[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?';
const KEY = `(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?${NAME}`;
const VALUE = `(?:${NAME})?`;
const REQUIREMENT = new RegExp(
  `^(?:!?\\s*${KEY}|${KEY}\\s*(?:==?|!=)\\s*${VALUE}|${KEY}\\s*[<>]\\s*-?\\d+` +
    `|${KEY}\\s+(?:not)?in\\s*\\(\\s*${VALUE}(?:\\s*,\\s*${VALUE})*\\s*\\))$`,
);

/** What is wrong with a label selector (`app=web,tier in (a, b),!canary`), or ''. */
export function wrongLabelSelector(selector: string): string {
  if (selector.trim() === '') return '';
  const requirements = selector.split(/,(?![^(]*\))/).map((text) => text.trim());
  const wrong = requirements.find((text) => !REQUIREMENT.test(text));
  return wrong === undefined ? '' : `unable to parse requirement: '${wrong}' in '${selector}'`;
}
