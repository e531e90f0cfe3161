/** What a leaf says of itself, and the reading of it. */
import { CanopyError, type JournalId, errorText, isJournalId } from '@canopy/model';

export interface Announcement {
  readonly name: string;
  /** Where it can be pulled, without a path: `http://host:port`. */
  readonly url: string;
  readonly journal: JournalId;
  /** A leaf has its own journal only. */
  readonly role: 'leaf' | 'parent';
  /** Labels for the target that the parent makes of it (`cluster`, …). */
  readonly labels: Readonly<Record<string, string>>;
}

const NAME_LENGTH_MAX = 200;
const URL_LENGTH_MAX = 500;
const LABELS_MAX = 32;
const LABEL_LENGTH_MAX = 1024;

const refuse = (message: string): never => {
  throw new CanopyError('bad_data', `announcement refused: ${message}`);
};

/** @throws CanopyError `bad_data` with the reason. */
export function parseAnnouncement(text: string): Announcement {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    refuse(`not JSON: ${errorText(error)}`);
  }
  if (typeof parsed !== 'object' || parsed === null) return refuse('not an object');
  const { name, url, journal, role, labels } = parsed as Record<string, unknown>;
  if (typeof name !== 'string' || name === '' || name.length > NAME_LENGTH_MAX) {
    return refuse('name is missing or too long');
  }
  if (hasControls(name)) return refuse('name holds control characters');
  if (typeof journal !== 'string' || !isJournalId(journal)) {
    return refuse('journal is not a journal id');
  }
  if (role !== undefined && role !== 'leaf' && role !== 'parent') return refuse('role is unknown');
  return { name, url: baseUrl(url), journal, role: role ?? 'leaf', labels: labelsFrom(labels) };
}

/** Names and labels are printed on terminals: no escape sequences, no lines of their own. */
// oxlint-disable-next-line no-control-regex
const hasControls = (text: string): boolean => /[\u0000-\u001f\u007f-\u009f]/.test(text);

/** `http://host:port`, in one spelling. */
function baseUrl(text: unknown): string {
  if (typeof text !== 'string' || text.length > URL_LENGTH_MAX || !URL.canParse(text)) {
    return refuse('url cannot be read');
  }
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return refuse(`url has scheme ${url.protocol.slice(0, -1)}, not http or https`);
  }
  if (url.username !== '' || url.password !== '') return refuse('url holds a user or password');
  if (url.search !== '' || url.hash !== '') return refuse('url holds a query or fragment');
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

function labelsFrom(labels: unknown): Record<string, string> {
  if (labels === undefined) return {};
  if (typeof labels !== 'object' || labels === null || Array.isArray(labels)) {
    return refuse('labels are not an object');
  }
  const entries = Object.entries(labels);
  if (entries.length > LABELS_MAX) return refuse('too many labels');
  for (const [name, value] of entries) {
    // Any text, as external labels may have; `__` is for the parent's own use.
    const isFine = name !== '' && name.length <= LABEL_LENGTH_MAX && !hasControls(name);
    if (!isFine || name.startsWith('__')) {
      return refuse(`label name ${JSON.stringify(name.slice(0, 100))} is not allowed`);
    }
    if (typeof value !== 'string' || value.length > LABEL_LENGTH_MAX) {
      return refuse(`label ${name} has no text for a value, or too long a one`);
    }
    if (hasControls(value)) return refuse(`label ${name} holds control characters`);
  }
  return Object.fromEntries(entries) as Record<string, string>;
}
