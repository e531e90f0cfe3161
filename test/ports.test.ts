import { spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { freePort } from './ports.js';

const PORTS = fileURLToPath(new URL('ports.ts', import.meta.url));

it('gives no port twice, to nobody, and none that the kernel picks by itself', async () => {
  const own = await Promise.all(Array.from({ length: 120 }, freePort));
  const text = `import { freePort } from ${JSON.stringify(PORTS)};
    const ports = await Promise.all(Array.from({ length: 120 }, freePort));
    process.stdout.write(JSON.stringify(ports));`;
  const args = ['--import', 'tsx', '--input-type=module', '--eval', text];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(stderr).toBe('');
  const others = JSON.parse(stdout) as number[];
  expect(new Set([...own, ...others]).size).toBe(240);
  expect(Math.max(...own, ...others)).toBeLessThan(32_768);
});

it('gives no port that somebody listens on', async () => {
  const port = await freePort();
  const server = createServer();
  await new Promise<void>((done) => server.listen(port + 1, '127.0.0.1', done));
  expect(await freePort()).not.toBe(port + 1);
  await new Promise((done) => server.close(done));
});
