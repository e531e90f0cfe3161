/** Which form of keys and values a Redis was written in. */
import { CanopyError } from '@canopy/model';

/** Goes up with every change of keys or values that an older or newer process would take for something else. */
const FORM = 2;

/** Stands among the journals, so that it is there whenever one of them is, also after FLUSHALL. */
export const FORM_MEMBER = `form:${FORM}`;

/** `members`: of the set of journals. @throws CanopyError `storage_unsuitable` where another form is there. */
export function checkForm(key: string, members: readonly string[]): void {
  if (members.length === 0) return;
  const others = members.filter((member) => member.startsWith('form:') && member !== FORM_MEMBER);
  if (others.length === 0 && members.includes(FORM_MEMBER)) return;
  const found = others.length === 0 ? 'an older form' : others.join(', ').replaceAll(':', ' ');
  const text =
    `Redis holds metrics written in ${found} (set ${key}); this version reads form ${FORM} only. ` +
    'Give another key prefix or database, or remove the old keys';
  throw new CanopyError('storage_unsuitable', text);
}
