/** `canopy check web-config FILE…`: whether files for `--web.config.file` can be used. */
import { readFileSync } from 'node:fs';
import { CanopyError } from '@canopy/model';
import { loadWebConfig } from '../config/web-config.js';

/** @returns 0 where all can be used, 1 where one cannot, as promtool. */
export function checkWebConfig(files: readonly string[], print: (line: string) => void): number {
  let exitCode = 0;
  for (const file of files) {
    try {
      const { notices } = loadWebConfig(file, (path) => readFileSync(path, 'utf8'));
      for (const notice of notices) print(`${file}: no effect: ${notice}`);
      print(`${file} SUCCESS`);
    } catch (error) {
      if (!(error instanceof CanopyError)) throw error;
      print(`${file} FAILED: ${error.message}`);
      exitCode = 1;
    }
  }
  return exitCode;
}
