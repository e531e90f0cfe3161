/**
 * What users deploy with agrees with the program: flags, files, ports, images, configurations.
 * Does not check that images can be built or pulled, nor that a cluster takes the manifests.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Role, envName, flagsOf } from '../../packages/canopy/src/cli/flags.js';
import { settingsOf } from '../../packages/canopy/src/cli/settings.js';
import { type LoadedConfig, loadConfig } from '../../packages/canopy/src/config/load.js';
import { VERSION } from '../../packages/canopy/src/version.js';
import {
  commandLines,
  compose,
  deployFiles,
  flagPairs,
  isThere,
  kustomization,
  manifests,
  root,
  text,
  unit,
  yaml,
} from './files.js';

function load(path: string, content: string): LoadedConfig {
  return loadConfig(path, {
    listFolder: () => [],
    readFile: () => content,
    env: {},
    defaultScrapeInterval: 60_000 as LoadedConfig['globalScrapeInterval'],
  });
}

/** `host:port` pairs of all static targets of a configuration. */
const targetsOf = (config: LoadedConfig): string[] =>
  config.scrapeConfigs.flatMap((job) => job.staticConfigs.flatMap((group) => group.targets));

describe('form', () => {
  it.each(deployFiles().filter((path) => /\.ya?ml$/.test(path)))('%s parses', (path) => {
    expect(yaml(path).length).toBeGreaterThan(0);
  });

  it('each way of deploying is there', () => {
    const files = deployFiles();
    for (const path of [
      'deploy/Dockerfile',
      'deploy/systemd/canopy-leaf@.service',
      'deploy/systemd/canopy-parent.service',
      'deploy/kubernetes/leaf.yaml',
      'deploy/kubernetes/parent.yaml',
      'deploy/kubernetes/redis.yaml',
      'deploy/prometheus/canopy.rules.yml',
    ]) {
      expect(files).toContain(path);
    }
    const services = Object.keys(compose().services);
    for (const cluster of ['east', 'west']) {
      expect(services).toContain(`leaf-${cluster}`);
      expect(services).toContain(`node-exporter-${cluster}`);
    }
  });
});

describe('command lines', () => {
  const lines = commandLines();

  it('leaves and parents are started in each way', () => {
    const started = lines.map(({ where, words }) => `${where.split(/[ /]/)[0]} ${words[0]}`);
    for (const way of ['compose', 'kubernetes', 'deploy']) {
      expect(started).toContain(`${way} leaf`);
      expect(started).toContain(`${way} parent`);
    }
  });

  it.each(lines)(
    '$where: flags are known, given once, and their values can be read',
    ({ words }) => {
      const role = words[0] as Role;
      expect(['leaf', 'parent']).toContain(role);
      const flags = flagsOf(role);
      const values = new Map<string, string>();
      for (const flag of flags) {
        const text = flag.default[role];
        if (text !== undefined) values.set(flag.name, text);
      }
      const given = new Set<string>();
      for (const [name, value] of flagPairs(words.slice(1))) {
        expect(flags.map((flag) => flag.name)).toContain(name);
        expect(given).not.toContain(name);
        given.add(name);
        // Set by systemd and Kubernetes when the process starts.
        values.set(name, value.replace(/\$\(\w+\)|\$\{\w+\}|%i/g, 'x'));
      }
      const settings = settingsOf(role, values);
      expect(settings.tokenFile, 'beyond loopback a token is needed').toBeDefined();
      expect(settings.listenHost).toBe('0.0.0.0');
      expect(settings.listenPort).toBe(role === 'leaf' ? 9095 : 9090);
      if (given.has('web.external-url')) {
        expect(new URL(settings.externalUrl).port).toBe(String(settings.listenPort));
      }
    },
  );

  it('environment names that are mentioned exist', () => {
    const known = new Set([
      ...flagsOf('leaf').map((flag) => envName(flag.name)),
      ...flagsOf('parent').map((flag) => envName(flag.name)),
      'CANOPY_HEALTH_URL',
    ]);
    for (const path of deployFiles()) {
      for (const [name] of text(path).matchAll(/\bCANOPY_[A-Z_]+/g)) {
        expect(known, `${path}: ${name}`).toContain(name);
      }
    }
  });
});

describe('docker-compose.yml', () => {
  const { services, volumes } = compose();
  /** Where each service listens. */
  const ports: Record<string, number> = { redis: 6379, grafana: 3000 };
  for (const { where, words } of commandLines()) {
    if (where.startsWith('compose ')) ports[where.slice(8)] = words[0] === 'leaf' ? 9095 : 9090;
  }
  for (const name of Object.keys(services)) if (name.startsWith('node-')) ports[name] = 9100;

  it('images have a version; ours is the one of this tree', () => {
    for (const [name, service] of Object.entries(services)) {
      expect(service.image, name).toMatch(/^[\w./-]+:(?!latest$)[\w.-]+$/);
      if (service.build === undefined) continue;
      expect(service.image).toBe(`canopy:${VERSION}`);
      expect(isThere(service.build.dockerfile)).toBe(true);
    }
  });

  it('what is mounted exists, and configuration is where the flags say', () => {
    for (const [name, service] of Object.entries(services)) {
      const inside: string[] = [];
      for (const volume of service.volumes ?? []) {
        const [source, target] = volume.split(':');
        inside.push(target);
        if (source.startsWith('.')) expect(isThere(source), `${name}: ${source}`).toBe(true);
        else if (!source.startsWith('/')) expect(Object.keys(volumes)).toContain(source);
      }
      if (service.build === undefined || service.entrypoint !== undefined) continue;
      const flags = new Map(flagPairs((service.command ?? []).slice(1)));
      expect(inside).toContain(flags.get('config.file'));
      expect(inside).toContain(flags.get('storage.path'));
      expect(inside).toContain(flags.get('federation.token-file')?.replace(/\/[^/]*$/, ''));
    }
  });

  it('addresses lead to services that listen there', () => {
    const known = Object.entries(ports).map(([name, port]) => `${name}:${port}`);
    for (const [name, service] of Object.entries(services)) {
      for (const word of service.command ?? []) {
        const url = /=(\w+:\/\/.*)$/.exec(word)?.[1];
        if (url !== undefined) expect(known, `${name}: ${word}`).toContain(new URL(url).host);
      }
      for (const port of service.ports ?? []) {
        // Published on loopback only: what is published has no login.
        expect(port).toBe(`127.0.0.1:${ports[name]}:${ports[name]}`);
      }
      for (const needed of Array.isArray(service.depends_on)
        ? service.depends_on
        : Object.keys(service.depends_on ?? {})) {
        expect(Object.keys(services)).toContain(needed);
      }
    }
    for (const cluster of ['east', 'west']) {
      const path = `deploy/config/leaf-${cluster}.yml`;
      for (const target of targetsOf(load(path, text(path)))) expect(known).toContain(target);
    }
    const [{ datasources }] = yaml<{ datasources: Array<{ url: string }> }>(
      'deploy/grafana/provisioning/datasources/canopy.yml',
    );
    for (const { url } of datasources) expect(known).toContain(new URL(url).host);
  });

  it('Redis has an append-only file and a limit, and never evicts', () => {
    const command = (services['redis'].command ?? []).join(' ');
    expect(command).toContain('--appendonly yes');
    expect(command).toMatch(/--maxmemory \d+[mg]b/);
    expect(command).toContain('--maxmemory-policy noeviction');
  });
});

describe('deploy/Dockerfile', () => {
  const lines = text('deploy/Dockerfile')
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const arguments_ = (word: string) =>
    lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));

  it('has two stages, a user that is not root, and a health check by node', () => {
    expect(arguments_('FROM')).toHaveLength(2);
    expect(arguments_('USER').at(-1)).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(arguments_('HEALTHCHECK')[0]).toContain('"node", "/opt/canopy/deploy/healthcheck.mjs"');
    expect(arguments_('EXPOSE')).toEqual(['9090 9095']);
  });

  it('copies what exists, and the manifest of every package before installing', () => {
    const copied = arguments_('COPY').filter((line) => !line.startsWith('--from'));
    const sources = copied.flatMap((line) => line.split(' ').slice(0, -1));
    for (const source of sources) expect(isThere(source), source).toBe(true);
    for (const name of readdirSync(join(root, 'packages'), { withFileTypes: true })) {
      if (name.isDirectory()) expect(sources).toContain(`packages/${name.name}/package.json`);
    }
    const kept = text('deploy/Dockerfile.dockerignore').split('\n');
    for (const source of sources) {
      const top = source.startsWith('packages') ? 'packages' : source;
      expect(kept, `${source} is left out by Dockerfile.dockerignore`).toContain(`!${top}`);
    }
  });

  it('starts what exists', () => {
    const started = [
      ...arguments_('ENTRYPOINT').flatMap((line) => JSON.parse(line) as string[]),
      ...Object.values(compose().services).flatMap((service) => service.entrypoint ?? []),
    ].filter((word) => word.startsWith('/opt/canopy/'));
    expect(started).toHaveLength(2);
    for (const path of started) expect(isThere(path.slice('/opt/canopy/'.length)), path).toBe(true);
  });
});

describe('systemd', () => {
  it.each(deployFiles().filter((path) => path.endsWith('.service')))('%s', (path) => {
    const keys = unit(path);
    const one = (key: string) => keys.get(key)?.join() ?? '';
    expect(one('Service.User')).toBe('canopy');
    const [node, script] = one('Service.ExecStart').split(' ');
    expect(node).toBe('/usr/bin/node');
    expect(isThere(script.slice('/opt/canopy/'.length)), script).toBe(true);
    // The storage path is the folder that systemd makes, and the token the one it hands over.
    const flags = new Map(flagPairs(one('Service.ExecStart').split(/\s+/).slice(3)));
    expect(flags.get('storage.path')).toBe(`/var/lib/${one('Service.StateDirectory')}`);
    const credential = one('Service.LoadCredential').split(':')[0];
    expect(flags.get('federation.token-file')).toBe(`\${CREDENTIALS_DIRECTORY}/${credential}`);
    expect(one('Service.RestartPreventExitStatus')).toBe('2');
    expect(keys.has('Service.MemoryDenyWriteExecute')).toBe(false); // V8 would not start
  });
});

describe('kubernetes', () => {
  const all = manifests();
  const named = (kind: string) =>
    all.filter((one) => one.kind === kind).map((one) => one.metadata.name);
  const sets = all.filter((one) => one.kind === 'StatefulSet');

  it('every manifest is listed, in the namespace, and ours has the version of this tree', () => {
    const files = deployFiles()
      .filter(
        (path) => path.startsWith('deploy/kubernetes/') && !path.endsWith('kustomization.yaml'),
      )
      .map((path) => path.slice('deploy/kubernetes/'.length));
    expect([...kustomization().resources].sort()).toEqual(files.sort());
    expect(kustomization().images).toEqual([{ name: 'canopy', newTag: VERSION }]);
    expect(sets.map((one) => one.metadata.name)).toEqual([
      'canopy-leaf',
      'canopy-parent',
      'canopy-redis',
    ]);
  });

  it.each(sets)('$metadata.name: volumes, ports and names agree', ({ spec }) => {
    const pod = spec!.template!.spec;
    expect(pod.securityContext.runAsNonRoot).toBe(true);
    expect(named('Service')).toContain(spec!.serviceName);
    if (pod.serviceAccountName !== undefined) {
      expect(named('ServiceAccount')).toContain(pod.serviceAccountName);
      expect(named('ClusterRoleBinding')).toContain(pod.serviceAccountName);
    }
    const volumes = new Set([
      ...pod.volumes.map((volume) => volume.name),
      ...spec!.volumeClaimTemplates!.map((claim) => claim.metadata.name),
    ]);
    for (const { configMap } of pod.volumes) {
      if (configMap !== undefined) expect(named('ConfigMap')).toContain(configMap.name);
    }
    for (const container of pod.containers) {
      for (const mount of container.volumeMounts) expect(volumes).toContain(mount.name);
      const variables = container.args.flatMap((word) => word.match(/(?<=\$\()\w+(?=\))/g) ?? []);
      const set = container.env?.map((one) => one.name) ?? [];
      for (const variable of variables) expect(set).toContain(variable);
      if (container.image !== 'canopy') continue;
      const flags = new Map(flagPairs(container.args.slice(1)));
      const paths = container.volumeMounts.map((mount) => mount.mountPath);
      expect(paths).toContain(flags.get('config.file'));
      expect(paths).toContain(flags.get('storage.path'));
      expect(paths).toContain(flags.get('federation.token-file')?.replace(/\/[^/]*$/, ''));
      expect(container.ports.map((port) => port.containerPort)).toEqual([
        Number(flags.get('web.listen-address')?.split(':')[1]),
      ]);
    }
  });

  it('addresses lead to services', () => {
    const known = all
      .filter((one) => one.kind === 'Service')
      .flatMap((one) => one.spec!.ports!.map((port) => `${one.metadata.name}:${port.port}`));
    for (const { words, where } of commandLines()) {
      if (!where.startsWith('kubernetes')) continue;
      const flags = new Map(flagPairs(words.slice(1)));
      for (const flag of ['parent', 'store']) {
        const url = flags.get(flag);
        if (url !== undefined) expect(known).toContain(new URL(url).host);
      }
    }
  });

  it('the leaf may discover; Redis has an append-only file and a limit, and never evicts', () => {
    const role = all.find((one) => one.kind === 'ClusterRole');
    const resources = role?.rules?.flatMap((rule) => rule.resources ?? []);
    expect(resources).toEqual(
      expect.arrayContaining(['nodes', 'services', 'endpoints', 'pods', 'endpointslices']),
    );
    const redis = all.find(
      (one) => one.kind === 'ConfigMap' && one.metadata.name === 'canopy-redis',
    );
    const lines = redis?.data?.['redis.conf'].split('\n');
    expect(lines).toContain('appendonly yes');
    expect(lines).toContain('maxmemory-policy noeviction');
    expect(lines?.some((line) => /^maxmemory \d+[mg]b$/.test(line))).toBe(true);
  });
});

describe('configurations', () => {
  const configs: Array<[where: string, content: string]> = deployFiles()
    .filter((path) => path.startsWith('deploy/config/'))
    .map((path) => [path, text(path)]);
  for (const { kind, metadata, data } of manifests()) {
    for (const [file, content] of Object.entries(data ?? {})) {
      if (kind === 'ConfigMap' && /^(prometheus|parent)\.yml$/.test(file)) {
        configs.push([`kubernetes ${metadata.name}`, content]);
      }
    }
  }

  it.each(configs)('%s is taken, and nothing in it is ignored', (where, content) => {
    const config = load(where, content);
    expect(config.ignored).toEqual([]);
    const isParent = where.includes('parent');
    expect(config.scrapeConfigs.length > 0).toBe(!isParent);
    // What the dashboard and the rules look for.
    if (!isParent) {
      expect(config.scrapeConfigs.map((job) => job.jobName)).toContain('canopy-process');
    }
  });
});
