import { expect, it } from 'vitest';
import { runWeb } from '../testing/call-web.js';
import { MAX_TIME, MIN_TIME } from './params.js';

it('refuses what is not enabled, and pages of another origin', async () => {
  await using off = await runWeb({});
  const ask = (base: string, path: string, init: RequestInit = {}) =>
    fetch(`${base}/api/v1/admin/tsdb/${path}`, { method: 'POST', ...init });
  for (const path of ['snapshot', 'delete_series?match[]=up', 'clean_tombstones']) {
    const response = await ask(off.url, path);
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({
      status: 'error',
      errorType: 'unavailable',
      error: 'admin APIs disabled',
    });
    expect((await ask(off.url, path, { method: 'GET' })).status).toBe(405);
  }
  const admin = {
    snapshot: async () => 'never',
    deleteSeries: async () => undefined,
    cleanTombstones: async () => undefined,
  };
  await using on = await runWeb({ admin });
  const headers = { origin: 'http://elsewhere.example' };
  expect((await ask(on.url, 'snapshot', { headers })).status).toBe(403);
});

it('hands on what is asked, as Prometheus reads it', async () => {
  const asked: unknown[] = [];
  const admin = {
    snapshot: async () => '20230101T000000Z-00',
    deleteSeries: async (...args: unknown[]) => void asked.push(args),
    cleanTombstones: async () => void asked.push('clean'),
  };
  await using web = await runWeb({ admin });
  const ask = async (method: string, path: string, form?: Record<string, string>) => {
    const response = await fetch(`${web.url}/api/v1/admin/tsdb/${path}`, {
      method,
      ...(form && { body: new URLSearchParams(form) }),
    });
    return [response.status, await response.text()];
  };
  expect(await ask('POST', 'snapshot?skip_head=true')).toEqual([
    200,
    '{"status":"success","data":{"name":"20230101T000000Z-00"}}',
  ]);
  expect((await ask('POST', 'snapshot?skip_head=maybe'))[0]).toBe(400);
  expect(await ask('POST', 'delete_series?match[]=up&match[]={job="a"}')).toEqual([204, '']);
  const form = { 'match[]': 'x', start: '10', end: '2023-11-14T22:13:20Z' };
  expect(await ask('PUT', 'delete_series', form)).toEqual([204, '']);
  expect(await ask('PUT', 'clean_tombstones')).toEqual([204, '']);
  expect(asked).toEqual([
    [['up', '{job="a"}'], MIN_TIME, MAX_TIME],
    [['x'], 10_000, 1_700_000_000_000],
    'clean',
  ]);
  for (const [query, reason] of [
    ['', 'no match[] parameter provided'],
    ['match[]=up{', 'parse error'],
    ['match[]=up&start=x', 'start'],
    ['match[]=up&start=20&end=10', 'end'],
  ]) {
    const [status, text] = await ask('POST', `delete_series?${query}`);
    expect(status).toBe(400);
    expect(text).toContain(reason);
  }
  expect(asked).toHaveLength(3);
});
