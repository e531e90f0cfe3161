/**
 * Files that a configuration names: whether they are there, and whether lists of targets can be read.
 */
import { CanopyError } from '@canopy/model';
import {
  type AuthConfig,
  type ScrapeConfig,
  type TargetGroup,
  type TextSource,
  type TlsConfig,
  compileRelabel,
  makeTarget,
  parseTargetFile,
} from '@canopy/scrape';
import { filesOfPattern } from '../config/patterns.js';

export interface CheckedFiles {
  /** Throws as `node:fs` does. */
  readFile(path: string): string;
  listFolder(path: string): readonly string[];
}

/**
 * Checks one job's files and the targets it would have at the start.
 * @returns what is worth a warning: a scrape would say it, too.
 * @throws CanopyError `config_invalid` for what `promtool check config` refuses.
 */
export function checkFiles(job: ScrapeConfig, files: CheckedFiles): string[] {
  const warnings: string[] = [];
  const where = `scrape job "${job.jobName}"`;
  const isThere = (source: TextSource | undefined): string => {
    if (source === undefined || typeof source === 'string') return '';
    try {
      files.readFile(source.file);
      return '';
    } catch (error) {
      return `file "${source.file}": ${reasonOf(error)}`;
    }
  };
  const must = (what: string, source: TextSource | undefined): void => {
    const problem = isThere(source);
    if (problem === '') return;
    throw new CanopyError('config_invalid', `${where}: error checking ${what} ${problem}`);
  };
  const should = (what: string, source: TextSource | undefined): void => {
    const problem = isThere(source);
    if (problem !== '') warnings.push(`WARNING: ${where}: ${what} ${problem}`);
  };
  checkTls(job.tls, must, should);
  checkAuth(job.auth, must, should);
  for (const { name, values } of job.httpHeaders ?? []) {
    for (const value of values) should(`header ${name}`, value);
  }
  const groups = [...job.staticConfigs];
  for (const path of job.fileSdConfigs.flatMap((sd) => sd.files)) {
    const found = readTargets(path, files);
    if (found === undefined) {
      warnings.push(`WARNING: file "${path}" for file_sd in ${where} does not exist`);
    } else groups.push(...found);
  }
  return [...warnings, ...unusable(job, groups, where)];
}

type Check = (what: string, source: TextSource | undefined) => void;

/** Prometheus's own check does not look for the file of `ca_file`. */
function checkTls(tls: TlsConfig | undefined, must: Check, should: Check): void {
  should('CA', tls?.ca);
  must('client cert', tls?.cert);
  must('client key', tls?.key);
}

/** Prometheus's own check looks for the file of `authorization` only. */
function checkAuth(auth: AuthConfig | undefined, must: Check, should: Check): void {
  if (auth?.type === 'header') {
    must('authorization credentials or bearer token', auth.credentials);
  } else if (auth?.type === 'basic') {
    should('basic_auth username', auth.username);
    should('basic_auth password', auth.password);
  } else if (auth?.type === 'oauth2') {
    should('oauth2 client_secret', auth.clientSecret);
    checkTls(auth.tls, must, should);
  }
}

/** Undefined where there is no such file. */
function readTargets(pattern: string, files: CheckedFiles): TargetGroup[] | undefined {
  const groups: TargetGroup[] = [];
  let count = 0;
  for (const path of filesOfPattern(pattern, (folder) => files.listFolder(folder))) {
    let text: string;
    try {
      text = files.readFile(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw new CanopyError('config_invalid', `checking SD file "${path}": ${reasonOf(error)}`);
    }
    count++;
    groups.push(...parseTargetFile(path, text));
  }
  return count === 0 ? undefined : groups;
}

/** Addresses that would not be scraped, and why. */
function unusable(job: ScrapeConfig, groups: readonly TargetGroup[], where: string): string[] {
  const relabel = compileRelabel(job.relabelConfigs);
  return groups.flatMap((group) =>
    group.targets.flatMap((address) => {
      const outcome = makeTarget(job, relabel, group, address);
      if (outcome.kind !== 'invalid') return [];
      return `WARNING: ${where}: target ${address} cannot be scraped: ${outcome.reason}`;
    }),
  );
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' ? 'no such file or directory' : message;
}
