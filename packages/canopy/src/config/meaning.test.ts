/**
 * A configuration means here what it means to Prometheus: a real one reads each, says on its page what it
 * understood, and that text read by Canopy is the same as the file read by Canopy.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DurationMs } from '@canopy/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCEPTED } from '../testing/accepted-configs.js';
import { hasPromtool } from '../testing/promtool.js';
import { loadConfig } from './load.js';
import { isObject } from './reader.js';

const folder = mkdtempSync(join(tmpdir(), 'canopy-meaning-'));
const file = join(folder, 'prometheus.yml');
let prometheus: ChildProcess | undefined;
let base = '';

afterAll(async () => {
  if (prometheus !== undefined) {
    const ended = new Promise((done) => prometheus?.once('exit', done));
    if (prometheus.exitCode === null && prometheus.kill('SIGKILL')) await ended;
  }
  rmSync(folder, { recursive: true });
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** What counts of a configuration, with its secrets masked. */
function meaning(text: string): unknown {
  const load = (content: string) => {
    const {
      file: _file,
      ignored: _ignored,
      ...rest
    } = loadConfig(file, {
      readFile: (path) => (path === file ? content : readFileSync(path, 'utf8')),
      listFolder: (path) => readdirSync(path),
      env: {},
      defaultScrapeInterval: 60_000 as DurationMs,
    });
    return rest;
  };
  const { maskedText: _text, ...meant } = load(load(text).maskedText);
  return meant;
}

async function ask(path: string, method = 'GET'): Promise<string> {
  const response = await fetch(`${base}${path}`, { method });
  const body = await response.text();
  if (!response.ok) throw new Error(`${path}: ${body}`);
  return body;
}

async function prometheusReads(text: string): Promise<string> {
  writeFileSync(file, text);
  await ask('/-/reload', 'POST');
  const { data } = JSON.parse(await ask('/api/v1/status/config')) as { data: { yaml: string } };
  return data.yaml
    .replaceAll(':xxxxx@', ':<secret>@')
    .replace(/outofordertimewindow: \d+/, '')
    .replace(/(m(?:in|ax)_version): 771/, '$1: TLS12')
    .replace(/(m(?:in|ax)_version): 772/, '$1: TLS13');
}

/** The page leaves out what is empty, also where the default is something. */
function withEmpty(theirs: unknown, ours: unknown): unknown {
  if (Array.isArray(theirs) && Array.isArray(ours)) {
    return theirs.map((item, index) => withEmpty(item, ours[index]));
  }
  if (!isObject(theirs) || !isObject(ours)) return theirs;
  return Object.fromEntries(
    Object.entries(theirs).map(([key, value]) => {
      const isLeftOut = LEFT_OUT.has(key) && ours[key] === '';
      return [key, isLeftOut ? '' : withEmpty(value, ours[key])];
    }),
  );
}

/** The configurations that Debian's package brings. */
function shipped(): string[] {
  return [
    '/usr/share/doc/prometheus/examples/prometheus.yml',
    '/etc/prometheus/prometheus.yml',
  ].flatMap((path) => {
    if (existsSync(path)) return readFileSync(path, 'utf8');
    console.log(`Left out: ${path} is not there.`);
    return [];
  });
}

const LEFT_OUT: ReadonlySet<string> = new Set(['metricsPath', 'separator', 'replacement']);

describe.skipIf(!hasPromtool())('a real Prometheus', () => {
  beforeAll(async () => {
    writeFileSync(file, '');
    writeFileSync(join(folder, 'there'), 'x\n');
    const port = await freePort();
    base = `http://127.0.0.1:${port}`;
    prometheus = spawn(
      'prometheus',
      [
        `--config.file=${file}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--web.enable-lifecycle',
        '--log.level=error',
      ],
      { stdio: 'ignore' },
    );
    for (;;) {
      try {
        await ask('/-/ready');
        return;
      } catch (error) {
        if (prometheus.exitCode !== null) throw error;
        await new Promise((done) => setTimeout(done, 50));
      }
    }
  }, 60_000);

  it('understands the same', async () => {
    for (const text of [...ACCEPTED, ...shipped()]) {
      const read = await prometheusReads(text);
      const ours = meaning(text);
      expect(withEmpty(meaning(read), ours), `${text}\n${read}`).toEqual(ours);
    }
  }, 60_000);
});
