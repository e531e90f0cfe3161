import { asDuration } from '@canopy/model';
import { VirtualClock } from '@canopy/model/testing';
import { expect, test } from 'vitest';
import type { AuthConfig, HttpClientConfig } from '../config.js';
import { requestClient } from '../fetch.js';
import { HttpClients } from './clients.js';

const proxied = (number: number): HttpClientConfig => ({
  proxy: { url: `http://proxy-${number}.test`, noProxy: '', connectHeader: {} },
  followRedirects: true,
});

test('equal configurations share connections; over the limit the oldest are given up', async () => {
  using clients = new HttpClients(new VirtualClock(), {}, asDuration(1000));
  const { client } = await clients.open(proxied(0));
  expect((await clients.open(proxied(0))).client).toBe(client);
  for (let i = 1; i < 1000; i++) await clients.open(proxied(i));
  expect((await clients.open(proxied(0))).client).toBe(client);
  expect(clients.size).toBe(1000);
  await clients.open(proxied(1000));
  expect(clients.size).toBe(1000);
  expect((await clients.open(proxied(0))).client).not.toBe(client);
});

test('what needs nothing but a header stays a plain request', () => {
  const check = (config: Partial<HttpClientConfig>, isPlain: boolean) =>
    expect(requestClient({ followRedirects: true, ...config }).client === undefined).toBe(isPlain);
  const header = (credentials: Extract<AuthConfig, { type: 'header' }>['credentials']) =>
    ({ type: 'header', scheme: 'Bearer', credentials }) as const;
  check({}, true);
  check({ auth: header('t') }, true);
  check({ auth: { type: 'basic', username: 'u', password: 'p' } }, true);
  check({ auth: header({ file: '/t' }) }, false);
  check({ auth: { type: 'basic', username: { file: '/u' }, password: 'p' } }, false);
  check({ tls: { insecureSkipVerify: false } }, false);
  check({ httpHeaders: [{ name: 'X', values: [] }] }, false);
  check(proxied(0), false);
});
