/**
 * Real programs that tests run against. Found on the PATH, or installed with apt-get where this is
 * root on Debian, in a way that starts no service, or asked for in a sentence.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** name (as in `--without`) → programs it needs and the Debian packages that have them. */
export const PEERS = {
  redis: { programs: ['redis-server'], packages: ['redis-server'] },
  prometheus: { programs: ['prometheus', 'promtool'], packages: ['prometheus'] },
  'victoria-metrics': { programs: ['victoria-metrics'], packages: ['victoria-metrics'] },
  'node-exporter': {
    programs: ['prometheus-node-exporter'],
    packages: ['prometheus-node-exporter'],
  },
  exporters: {
    programs: ['prometheus-redis-exporter', 'prometheus-pushgateway'],
    packages: ['prometheus-redis-exporter', 'prometheus-pushgateway'],
  },
  chromium: { programs: ['chromium'], packages: ['chromium'] },
};

function onPath(program) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .some((folder) => existsSync(join(folder, program)));
}

function missingPeers(names) {
  return names.filter((name) => !PEERS[name].programs.every(onPath));
}

const POLICY = '/usr/sbin/policy-rc.d';

/** Debian's maintainer scripts ask this file whether they may start a service; 101 is no. */
function withNoServiceStarted(work) {
  const isOurs = !existsSync(POLICY);
  if (isOurs) {
    writeFileSync(POLICY, '#!/bin/sh\nexit 101\n');
    chmodSync(POLICY, 0o755);
  } else if (spawnSync(POLICY, ['redis-server', 'start']).status !== 101) {
    throw new Error(`${POLICY} lets packages start services; install them by hand`);
  }
  try {
    work();
  } finally {
    if (isOurs) rmSync(POLICY, { force: true });
  }
}

/** Makes sure that the programs of `names` are there. Exits with a sentence where it cannot. */
export function ensurePeers(names) {
  const missing = missingPeers(names);
  if (missing.length === 0) return;
  const packages = missing.flatMap((name) => PEERS[name].packages);
  const isRoot = process.getuid?.() === 0;
  if (isRoot && existsSync('/etc/debian_version') && onPath('apt-get')) {
    console.error(`Installing ${packages.join(', ')} (no service is started) …`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const apt = (...args) =>
      execFileSync('apt-get', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
    try {
      withNoServiceStarted(() => {
        apt('update', '-q');
        apt('install', '-q', '-y', '--no-install-recommends', ...packages);
      });
    } catch (error) {
      console.error(`apt-get could not install them: ${error.message}`);
    }
  }
  const still = missingPeers(missing);
  if (still.length === 0) return;
  for (const name of still) {
    console.error(
      `The tests need ${PEERS[name].programs.join(' and ')} (Debian: ${PEERS[name].packages.join(', ')}). ` +
        `Install it, without letting it start a service, or leave these tests out: npm test -- --without ${name}`,
    );
  }
  process.exit(2);
}
