/** What the files in deploy/ say, read into plain shapes for the tests beside this file. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const text = (path: string): string => readFileSync(join(root, path), 'utf8');
export const isThere = (path: string): boolean => existsSync(join(root, path));

/** Paths of all files in `deploy/` and the compose file, from the root. */
export function deployFiles(): string[] {
  const found = readdirSync(join(root, 'deploy'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
  return ['docker-compose.yml', ...found.sort()];
}

/** All documents of a YAML file. Throws where one has an error or a warning. */
export function yaml<T = Record<string, unknown>>(path: string): T[] {
  return parseAllDocuments(text(path), { merge: true, version: '1.1' }).map((document) => {
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw new Error(`${path}: ${problem.message}`);
    return document.toJS() as T;
  });
}

export interface Service {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: readonly string[] | Readonly<Record<string, unknown>>;
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

export const compose = (): Compose => yaml<Compose>('docker-compose.yml')[0];

export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly rules?: ReadonlyArray<{ readonly resources?: readonly string[] }>;
  readonly spec?: {
    readonly ports?: ReadonlyArray<{ readonly name: string; readonly port: number }>;
    readonly serviceName?: string;
    readonly template?: { readonly spec: PodSpec };
    readonly volumeClaimTemplates?: ReadonlyArray<{ readonly metadata: { readonly name: string } }>;
  };
}

export interface PodSpec {
  readonly serviceAccountName?: string;
  readonly securityContext: { readonly runAsNonRoot: boolean };
  readonly containers: readonly Container[];
  readonly volumes: ReadonlyArray<{
    readonly name: string;
    readonly configMap?: { readonly name: string };
    readonly secret?: { readonly secretName: string };
  }>;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env?: ReadonlyArray<{ readonly name: string }>;
  readonly ports: ReadonlyArray<{ readonly name: string; readonly containerPort: number }>;
  readonly volumeMounts: ReadonlyArray<{
    readonly name: string;
    readonly mountPath: string;
    readonly subPath?: string;
  }>;
}

export interface Kustomization {
  readonly resources: readonly string[];
  readonly images: ReadonlyArray<{ readonly name: string; readonly newTag: string }>;
}

export const kustomization = (): Kustomization =>
  yaml<Kustomization>('deploy/kubernetes/kustomization.yaml')[0];

export const manifests = (): Manifest[] =>
  kustomization().resources.flatMap((file) => yaml<Manifest>(`deploy/kubernetes/${file}`));

/** Key → values, in order, of a systemd unit; continued lines are joined. */
export function unit(path: string): Map<string, string[]> {
  const keys = new Map<string, string[]>();
  let section = '';
  for (const line of text(path)
    .replace(/\\\n\s*/g, '')
    .split('\n')) {
    const heading = /^\[(\w+)\]$/.exec(line);
    if (heading !== null) section = heading[1];
    else if (line !== '' && !line.startsWith('#')) {
      const at = line.indexOf('=');
      if (at < 0 || section === '') throw new Error(`${path}: not a line of a unit: ${line}`);
      const key = `${section}.${line.slice(0, at)}`;
      keys.set(key, [...(keys.get(key) ?? []), line.slice(at + 1)]);
    }
  }
  return keys;
}

/** A command line of a Canopy process, with where it stands. */
export interface CommandLine {
  readonly where: string;
  readonly words: readonly string[];
}

/** Every Canopy process that the files start. */
export function commandLines(): CommandLine[] {
  const found: CommandLine[] = [];
  for (const [name, service] of Object.entries(compose().services)) {
    if (service.build === undefined || service.entrypoint !== undefined) continue;
    found.push({ where: `compose ${name}`, words: service.command ?? [] });
  }
  for (const manifest of manifests()) {
    for (const container of manifest.spec?.template?.spec.containers ?? []) {
      if (container.image !== 'canopy') continue;
      found.push({ where: `kubernetes ${manifest.metadata.name}`, words: container.args });
    }
  }
  for (const file of deployFiles().filter((path) => path.endsWith('.service'))) {
    const start = unit(file).get('Service.ExecStart') ?? [];
    for (const line of start) found.push({ where: file, words: line.split(/\s+/).slice(2) });
  }
  return found;
}

/** `--name=value` and `--name value` as pairs. */
export function flagPairs(words: readonly string[]): Array<[name: string, value: string]> {
  const pairs: Array<[string, string]> = [];
  for (let i = 0; i < words.length; i++) {
    const flag = /^--([^=]+)(?:=(.*))?$/.exec(words[i]);
    if (flag === null) throw new Error(`not a flag: ${words[i]}`);
    pairs.push([flag[1], flag[2] ?? words[++i]]);
  }
  return pairs;
}

export interface Panel {
  readonly id: number;
  readonly title: string;
  readonly datasource: { readonly uid: string };
  readonly targets: ReadonlyArray<{ readonly expr: string }>;
}

export interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
}

export const dashboard = (): Dashboard =>
  JSON.parse(text('deploy/grafana/dashboards/canopy.json')) as Dashboard;

export interface RuleFile {
  readonly groups: ReadonlyArray<{
    readonly name: string;
    readonly rules: ReadonlyArray<{ readonly alert: string; readonly expr: string }>;
  }>;
}

export const ruleFile = (): RuleFile => yaml<RuleFile>('deploy/prometheus/canopy.rules.yml')[0];
