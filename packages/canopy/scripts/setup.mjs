/**
 * Brings a fresh clone to where it can run: the locked dependencies, then the build. Plain
 * JavaScript without dependencies, because it runs before there are any. Does nothing that is done already.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { kernel as tileKernel } from '../../encoding/kernel/build.mjs';
import { kernel as parseKernel } from '../../exposition/kernel/build.mjs';
import { kernel as printKernel } from '../../promql/kernel/build.mjs';

export const root = fileURLToPath(new URL('../../..', import.meta.url));

/** What the installed modules were made from; written last, so an interrupted installation is seen. */
const stampFile = `${root}node_modules/.canopy-installed`;

function lockHash() {
  const hash = createHash('sha256');
  for (const file of ['package-lock.json', 'package.json']) hash.update(readFileSync(root + file));
  return hash.update(process.version).digest('hex');
}

/** Runs a program; resolves with its exit code. Output goes where `stdio` says; SIGTERM is passed on to it. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', ...options });
    const passOn = () => child.kill('SIGTERM');
    process.on('SIGTERM', passOn);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      process.removeListener('SIGTERM', passOn);
      resolve(code ?? (signal === null ? 1 : 128));
    });
  });
}

function requireNode() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 20) {
    console.error(`Canopy needs Node.js 20 or later; this is ${process.version}.`);
    process.exit(2);
  }
}

/** Shows that something long is still going on: one line on a terminal, a line every 10 s elsewhere. */
async function withProgress(what, work) {
  const begun = Date.now();
  const seconds = () => `${((Date.now() - begun) / 1000).toFixed(0)} s`;
  const tty = process.stderr.isTTY === true;
  process.stderr.write(tty ? `${what} …` : `${what} …\n`);
  const timer = setInterval(
    () => process.stderr.write(tty ? `\r${what} … ${seconds()}` : `${what}: ${seconds()} so far\n`),
    tty ? 500 : 10_000,
  );
  try {
    const code = await work();
    const end = code === 0 ? 'done' : `failed (exit code ${code})`;
    process.stderr.write(`${tty ? '\r' : ''}${what}: ${end} in ${seconds()}\n`);
    return code;
  } finally {
    clearInterval(timer);
  }
}

async function captured(what, command, args) {
  const chunks = [];
  const code = await withProgress(what, () => {
    return new Promise((resolve, reject) => {
      const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
      child.stdout.on('data', (chunk) => chunks.push(chunk));
      child.stderr.on('data', (chunk) => chunks.push(chunk));
      child.once('error', reject);
      child.once('exit', (exit, signal) => resolve(exit ?? (signal === null ? 1 : 128)));
    });
  });
  if (code !== 0) {
    process.stderr.write(Buffer.concat(chunks));
    process.exit(code);
  }
}

/** Installs the locked dependencies where they are not there as the lock file says. */
export async function install() {
  requireNode();
  const hash = lockHash();
  const isInstalled = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === hash;
  if (isInstalled) return;
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  await captured('Installing the locked dependencies', npm, ['ci', '--no-audit', '--no-fund']);
  writeFileSync(stampFile, hash);
}

/** Compiles what changed. */
export async function build() {
  await captured('Building', process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-b']);
  const kernels = [
    ['parse', 'exposition', parseKernel],
    ['tile', 'encoding', tileKernel],
    ['print', 'promql', printKernel],
  ];
  for (const [name, folder, kernel] of kernels) {
    if (!kernel.isStale()) continue;
    const script = `${root}packages/${folder}/kernel/build.mjs`;
    await captured(`Building the ${name} kernel`, process.execPath, [script]);
  }
}
