/**
 * `canopy check config FILE`: what is wrong, or what would be scraped.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { CanopyError, type DurationMs, formatDuration } from '@canopy/model';
import { loadConfig } from '../config/load.js';
import { type CheckedFiles, checkFiles } from './check-files.js';

const MINUTE = 60_000 as DurationMs;

/** @returns 0 where the file can be used, 2 where it cannot. */
export function checkConfig(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
  print: (line: string) => void,
): number {
  const files: CheckedFiles = {
    readFile: (path) => readFileSync(path, 'utf8'),
    listFolder: (path) => readdirSync(path),
  };
  try {
    const config = loadConfig(file, {
      ...files,
      env,
      defaultScrapeInterval: MINUTE,
    });
    for (const ignored of config.ignored) {
      print(`${ignored.place}: ${ignored.key} is ignored: ${ignored.reason}`);
    }
    for (const job of config.scrapeConfigs) {
      const warnings = checkFiles(job, files);
      const targets = job.staticConfigs.flatMap((group) => group.targets);
      const patterns = job.fileSdConfigs.flatMap((sd) => sd.files);
      print(
        `job ${job.jobName}: every ${formatDuration(job.scrapeInterval)}, ` +
          `time-out ${formatDuration(job.scrapeTimeout)}, ${job.scheme} ${job.metricsPath}`,
      );
      for (const target of targets) print(`  target ${target}`);
      for (const pattern of patterns) print(`  targets from ${pattern}`);
      const asked = [
        ...(job.httpSdConfigs ?? []).map((sd) => hidePassword(sd.url)),
        ...(job.dnsSdConfigs ?? []).map((sd) => `DNS ${sd.type} ${sd.names.join(', ')}`),
        ...(job.kubernetesSdConfigs ?? []).map((sd) => `Kubernetes, role ${sd.role}`),
      ];
      for (const source of asked) print(`  targets from ${source}`);
      for (const warning of warnings) print(`  ${warning}`);
      if (targets.length + patterns.length + asked.length === 0) print('  no targets');
    }
    print(`${file} is valid: ${config.scrapeConfigs.length} scrape configurations`);
    return 0;
  } catch (error) {
    if (!(error instanceof CanopyError)) throw error;
    print(error.message);
    return 2;
  }
}

function hidePassword(url: string): string {
  return url.replace(/^(\w+:\/\/[^/:@]*):[^/]*@/, '$1:<secret>@');
}
