import type { IncomingMessage } from 'node:http';

/** `frames` where the request accepts pages of a version we write, else `text`. */
export function negotiate(_req: IncomingMessage): 'frames' | 'text' {
  return 'text';
}
