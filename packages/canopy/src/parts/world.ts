/** The network and the disk as ports ask for them. */
import { readFile } from 'node:fs/promises';
import type { PostJson } from '@canopy/federation';
import type { DurationMs } from '@canopy/model';

/** Reads the bearer token anew each time, so that it can be changed while the process runs. */
export function tokenReader(file: string | undefined): () => Promise<string | undefined> {
  if (file === undefined) return () => Promise.resolve(undefined);
  return async () => {
    const token = (await readFile(file, 'utf8')).trim();
    return token === '' ? undefined : token;
  };
}

export const postJson: PostJson = async (url, headers, body, timeout: DurationMs) => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
    redirect: 'error',
    signal: AbortSignal.timeout(timeout),
  });
  return { status: response.status, body: (await response.text()).slice(0, 1024) };
};
