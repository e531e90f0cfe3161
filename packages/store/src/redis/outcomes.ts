/** Redis's error words and what becomes of them. README.md shows the table; a test compares them. */
import { CanopyError, type ErrorCode, errorText } from '@canopy/model';

interface Outcome {
  readonly code: ErrorCode;
  /** Follows `Redis at <address>`. */
  readonly says: string;
}

/** The first word of Redis's error → what callers and people get. */
export const OUTCOMES: Readonly<Record<string, Outcome>> = {
  OOM: { code: 'storage_full', says: 'has reached maxmemory' },
  READONLY: { code: 'storage_unavailable', says: 'is a replica now; the master is looked for' },
  MASTERDOWN: { code: 'storage_unavailable', says: 'is a replica that has lost its master' },
  LOADING: { code: 'storage_unavailable', says: 'is loading its data' },
  MOVED: { code: 'storage_unavailable', says: 'sends on to another node again and again' },
  ASK: { code: 'storage_unavailable', says: 'sends on to another node again and again' },
  TRYAGAIN: { code: 'storage_unavailable', says: 'is moving the slot of this journal' },
  CLUSTERDOWN: {
    code: 'storage_unavailable',
    says: 'is a cluster without a master for every slot',
  },
  BUSY: {
    code: 'storage_unavailable',
    says: "runs somebody's script that does not end (redis-cli SCRIPT KILL ends it)",
  },
  MISCONF: {
    code: 'storage_unavailable',
    says: 'takes no writes because it cannot save to disk (its log says why)',
  },
  NOREPLICAS: {
    code: 'storage_unavailable',
    says: 'takes no writes with fewer replicas than its min-replicas-to-write',
  },
  NOAUTH: {
    code: 'storage_unsuitable',
    says: "refuses the user or password of the store's address",
  },
  WRONGPASS: {
    code: 'storage_unsuitable',
    says: "refuses the user or password of the store's address",
  },
  NOPERM: {
    code: 'storage_unsuitable',
    says: "does not let the user of the store's address do this (README.md has the ACL rule)",
  },
  WRONGTYPE: {
    code: 'storage_unsuitable',
    says: "holds something else under the store's key prefix",
  },
};

/** Said of a command inside of a script in Redis 7. */
const FORBIDDEN = /The user executing the script can't/;
/** ioredis's words for a connection that ended under a command, or is not there. */
const BROKEN = /max retries per request|Connection is closed|isn't writeable|Cluster isn't ready/;
/** In scripts before Redis 7 the word follows other text: `ERR Error running script …: -OOM …`. */
const WORD = new RegExp(`(?:^|[ -])(${Object.keys(OUTCOMES).join('|')})(?= )`);
/** Words of servers before 6 and of ioredis for a refused secret. */
const SECRET = /invalid password|without any password|invalid username-password/i;

/** The key of OUTCOMES that an error belongs to; '' for others. */
export function outcomeWord(error: unknown): string {
  const text = firstLine(error);
  const word = WORD.exec(text)?.[1];
  if (word !== undefined) return word;
  if (FORBIDDEN.test(text)) return 'NOPERM';
  return SECRET.test(text) ? 'WRONGPASS' : '';
}

/** ioredis's word for `commandTimeout`. */
export function isTimeout(error: unknown): boolean {
  return errorText(error) === 'Command timed out';
}

/** An error in the words of the port; `at` is `Redis at <address>`. */
export function translate(error: unknown, at: string): CanopyError {
  if (error instanceof CanopyError) return error;
  const text = firstLine(error);
  const word = outcomeWord(error);
  const outcome = OUTCOMES[word] as Outcome | undefined;
  if (outcome === undefined) {
    const what = BROKEN.test(text) ? 'the connection broke' : text;
    return new CanopyError('storage_unavailable', `${at}: ${what}`);
  }
  // No cause: ioredis hangs the command with its arguments on it, and AUTH's are the secret.
  const detail = outcome.code === 'storage_full' || isSecret(word) ? '' : `: ${text}`;
  return new CanopyError(outcome.code, `${at} ${outcome.says}${detail}`);
}

/** The server is not the one to ask, or does not know the script. */
export function isElsewhere(error: unknown): boolean {
  return /^(NOSCRIPT|MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b|^Connection is closed/.test(
    firstLine(error),
  );
}

export function isUnknownScript(error: unknown): boolean {
  return firstLine(error).startsWith('NOSCRIPT');
}

export function isSecret(word: string): boolean {
  return word === 'NOAUTH' || word === 'WRONGPASS';
}

export function firstLine(error: unknown): string {
  // Cluster's own error says nothing; what a node said hangs on it.
  const inner = (error as { lastNodeError?: unknown } | undefined)?.lastNodeError;
  return errorText(inner ?? error).split('\n', 1)[0];
}
