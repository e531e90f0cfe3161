import { CanopyError } from '@canopy/model';
import { expect, test } from 'vitest';
import { runWeb } from './testing/call-web.js';

test('reload and quit, where they are enabled', async () => {
  let reloads = 0;
  let quits = 0;
  let broken = false;
  await using web = await runWeb({
    lifecycle: {
      reload: () => {
        if (broken) throw new CanopyError('config_invalid', 'a.yml:1:1: not a mapping');
        reloads++;
      },
      quit: () => void quits++,
    },
  });
  const check = async (
    method: string,
    path: string,
    [status, text]: readonly [number, string],
    headers: Record<string, string> = {},
  ) => {
    const response = await fetch(web.url + path, { method, headers });
    expect([response.status, await response.text()], `${method} ${path}`).toEqual([status, text]);
  };
  await check('POST', '/-/reload', [200, '']);
  await check('PUT', '/-/reload', [200, '']);
  await check('GET', '/-/reload', [405, 'Method Not Allowed\n']);
  await check('POST', '/-/reload', [403, 'not for pages of another origin\n'], {
    origin: 'http://elsewhere.example',
  });
  await check('POST', '/-/reload', [200, ''], { origin: web.url });
  broken = true;
  const message = 'failed to reload config: a.yml:1:1: not a mapping\n';
  await check('POST', '/-/reload', [500, message]);
  expect(reloads).toBe(3);
  await check('GET', '/-/quit', [405, 'Method Not Allowed\n']);
  expect(quits).toBe(0);
  await check('POST', '/-/quit', [200, 'Requesting termination... Goodbye!']);
  await expect.poll(() => quits, { timeout: 10_000 }).toBe(1);

  await using disabled = await runWeb();
  for (const path of ['/-/reload', '/-/quit']) {
    const response = await fetch(disabled.url + path, { method: 'POST' });
    expect([response.status, await response.text()]).toEqual([
      403,
      'Lifecycle API is not enabled.\n',
    ]);
  }
});

test('runtimeinfo tells how the last reload went', async () => {
  const successTime = Date.UTC(2024, 0, 2);
  await using web = await runWeb({ configState: () => ({ successful: false, successTime }) });
  const answer = await fetch(`${web.url}/api/v1/status/runtimeinfo`);
  const { data } = (await answer.json()) as { data: unknown };
  expect(data).toMatchObject({
    reloadConfigSuccess: false,
    lastConfigTime: '2024-01-02T00:00:00.000Z',
  });
});
