/** What people are told of a failure that ends the process, and the exit code. */
import { CanopyError, errorText } from '@canopy/model';
import { ListenError } from '@canopy/web';
import type { Settings } from '../cli/settings.js';

/** The sentence for a failure before the process was up, and the exit code. */
export function explainStart(
  error: unknown,
  settings: Settings,
): { message: string; exitCode: number } {
  if (error instanceof ListenError) {
    return {
      message: `${error.message}; choose another address with --web.listen-address`,
      exitCode: 2,
    };
  }
  if (error instanceof CanopyError && !isDamage(error)) {
    const usage = ['config_invalid', 'storage_locked', 'storage_unsuitable'].includes(error.code);
    return { message: error.message, exitCode: usage ? 2 : 1 };
  }
  return { message: explainFault(error, settings), exitCode: 1 };
}

/** A fault nobody expected, with what helps where the disk is to blame. */
export function explainFault(error: unknown, settings: Settings): string {
  const text = errorText(error);
  if (!isDamage(error)) return `canopy ${settings.role} failed: ${text}`;
  return (
    `the store in ${settings.storagePath} is damaged (${text}). Move that folder away and start again: ` +
    'a new journal begins, and parents keep what they have pulled of the old one'
  );
}

/** LMDB's own errors come with their names only where its file is not as it left it. */
const isDamage = (error: unknown): boolean =>
  /\bMDB_(CORRUPTED|PAGE_NOTFOUND|PANIC|INVALID|BAD_\w+)\b/.test(errorText(error));
