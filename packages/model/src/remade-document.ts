import { CanopyError } from './errors.js';
import type { Store } from './store.js';

/**
 * A document that is made anew where it is gone: a damaged one is as one that is gone (the store reports it). Not for what
 * nobody but the document knows.
 */
export async function readRemade(
  store: Pick<Store, 'getDocument'>,
  name: string,
): Promise<string | undefined> {
  try {
    return await store.getDocument(name);
  } catch (error) {
    if (error instanceof CanopyError && error.code === 'storage_corrupt') return undefined;
    throw error;
  }
}
