/** Paths with `*` in their last part, as `file_sd_configs` and `scrape_config_files` have them. */
import { basename, dirname, join } from 'node:path';

/**
 * Files that an absolute path names, in order of name. Without `*` the path itself, whether it is there or not.
 * @throws what `listFolder` throws, except that the folder is not there.
 */
export function filesOfPattern(
  path: string,
  listFolder: (path: string) => readonly string[],
): readonly string[] {
  const name = basename(path);
  if (!name.includes('*')) return [path];
  const parts = name.split('*').map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  const fits = new RegExp(`^${parts.join('.*')}$`);
  try {
    return listFolder(dirname(path))
      .filter((file) => fits.test(file))
      .sort()
      .map((file) => join(dirname(path), file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
