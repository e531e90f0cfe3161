/** A file with an `http_config`: how other Canopy processes are spoken to. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { CanopyError, errorText } from '@canopy/model';
import type { HttpClientConfig } from '@canopy/scrape';
import { httpClientFile, httpClientOf } from './http-client.js';
import { ConfigReader } from './reader.js';

/** What is said without such a file: nothing but the request. */
export const PLAIN_HTTP: HttpClientConfig = { followRedirects: false };

/**
 * Relative paths in it start at its folder; undefined: `PLAIN_HTTP`.
 * @throws CanopyError `config_invalid` with `file:line:column: key: what is wrong`.
 */
export function loadHttpConfigFile(
  path: string | undefined,
  readFile: (path: string) => string = (file) => readFileSync(file, 'utf8'),
): HttpClientConfig {
  if (path === undefined) return PLAIN_HTTP;
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    throw new CanopyError('config_invalid', `${path}: ${errorText(error)}`);
  }
  const reader = new ConfigReader(path, text, httpClientFile);
  const parsed = httpClientFile.safeParse(reader.tree());
  if (!parsed.success) throw reader.schemaError(parsed.error);
  return httpClientOf(parsed.data, (file) => resolve(dirname(path), file));
}
