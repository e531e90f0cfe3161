import { gunzipSync } from 'node:zlib';
import { request } from 'node:http';
import { expect, it } from 'vitest';
import { API_ROUTES } from './api/routes.js';
import { type RunningWeb, runWeb } from './testing/call-web.js';

const NOT_READY = { ready: () => ({ ready: false, reason: 'the store does not answer' }) };

it('answers health and readiness', async () => {
  const check = async (web: RunningWeb, path: string, status: number, text: string) => {
    const response = await fetch(web.url + path);
    expect(response.status, path).toBe(status);
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(await response.text()).toContain(text);
    const head = await fetch(web.url + path, { method: 'HEAD' });
    expect(head.status).toBe(status);
  };
  await using ready = await runWeb();
  await check(ready, '/-/healthy', 200, 'Healthy');
  await check(ready, '/-/ready', 200, 'Ready');
  await using standby = await runWeb({ ready: () => ({ ready: true, reason: 'on standby' }) });
  await check(standby, '/-/ready', 200, 'Ready: on standby');
  await using waiting = await runWeb(NOT_READY);
  await check(waiting, '/-/healthy', 200, 'Healthy');
  await check(waiting, '/-/ready', 503, 'Service Unavailable: the store does not answer');
});

it('leaves requests and answers of its own kinds the prototypes that they have', async () => {
  const seen: unknown[] = [];
  await using running = await runWeb({
    federate: async (req, res) => {
      seen.push(Object.getPrototypeOf(req), Object.getPrototypeOf(res));
      res.end();
    },
  });
  await fetch(`${running.url}/federate`);
  const { IncomingMessage, ServerResponse } = running.web.messages;
  expect(seen[0]).toBe(IncomingMessage.prototype);
  expect(seen[1]).toBe(ServerResponse.prototype);
});

it('refuses questions about samples until ready, and no others', async () => {
  await using web = await runWeb(NOT_READY);
  for (const { path, methods, needsData } of API_ROUTES) {
    const [method] = methods;
    const response = await fetch(web.url + path.replace(':name', 'job'), { method });
    const unavailable = response.status === 503;
    expect(unavailable, path).toBe(needsData);
    if (unavailable) expect(response.headers.get('content-type')).toContain('text/plain');
    await response.text();
  }
  expect((await fetch(`${web.url}/federate`)).status).toBe(503);
  expect((await fetch(`${web.url}/metrics`)).status).toBe(200);
  expect((await fetch(`${web.url}/`)).status).toBe(200);
});

it('answers 404 and 405 in plain text', async () => {
  await using web = await runWeb();
  const check = async (method: string, path: string, status: number, allow: string | null) => {
    const response = await fetch(web.url + path, { method });
    expect(response.status, `${method} ${path}`).toBe(status);
    expect(response.headers.get('content-type')).toContain('text/plain');
    expect(response.headers.get('allow')).toBe(allow);
    await response.text();
  };
  await check('GET', '/api/v1/nothing', 404, null);
  await check('GET', '/nothing', 404, null);
  await check('GET', '/api/v1/query/', 404, null);
  await check('GET', '/API/v1/query', 404, null);
  await check('GET', '/package.json', 404, null);
  await check('GET', '/..%2fpackage.json', 404, null);
  await check('GET', '/api/v1/canopy/leaves', 404, null); // a leaf has no such thing
  await check('DELETE', '/api/v1/query', 405, 'GET, OPTIONS, POST');
  await check('POST', '/api/v1/label/job/values', 405, 'GET, OPTIONS');
  await check('POST', '/api/v1/status/config', 405, 'GET, OPTIONS');
  await check('POST', '/metrics', 405, 'GET, OPTIONS');
  await check('POST', '/federate', 405, 'GET, OPTIONS');
  await check('POST', '/-/ready', 405, 'GET, HEAD, OPTIONS');
});

it('sends clients with a slash too many to the clean path, and to no other host', async () => {
  await using web = await runWeb();
  const check = async (path: string, location: string | null) => {
    const response = await fetch(`${web.url}${path}`, { redirect: 'manual' });
    expect(response.status, path).toBe(location === null ? 404 : 301);
    expect(response.headers.get('location')).toBe(location);
  };
  await check('//api/v1/query?query=a//b', '/api/v1/query?query=a//b');
  await check('/api//v1///labels', '/api/v1/labels');
  await check('/api/v1/nothing', null);
  await check('//elsewhere.example//api/v1/query', null);
  await check('/nothing//', null);
});

it('lets pages of allowed origins read the API', async () => {
  await using web = await runWeb({ corsOrigin: (origin) => origin === 'http://good' });
  const check = async (origin: string, allowed: string | null) => {
    const { headers } = await fetch(`${web.url}/api/v1/labels`, { headers: { origin } });
    expect(headers.get('access-control-allow-origin')).toBe(allowed);
    expect(headers.get('vary')).toContain('Origin');
  };
  await check('http://good', 'http://good');
  await check('http://bad', null);
  const asked = await fetch(`${web.url}/any/path`, {
    method: 'OPTIONS',
    headers: { origin: 'http://good' },
  });
  expect(asked.status).toBe(204);
  expect(asked.headers.get('access-control-allow-methods')).toBe('GET, POST, OPTIONS');
});

it('takes announcements as JSON and from no page of another origin', async () => {
  const bodies: string[] = [];
  await using web = await runWeb({
    corsOrigin: () => true,
    async register(req, res) {
      let body = '';
      for await (const chunk of req) body += String(chunk);
      bodies.push(body);
      res.end('{}');
    },
  });
  const url = `${web.url}/api/v1/canopy/leaves`;
  const check = async (type: string, status: number) => {
    const headers = { 'content-type': type };
    const response = await fetch(url, { method: 'POST', body: '{"name":"east"}', headers });
    expect(response.status, type).toBe(status);
    await response.text();
  };
  await check('application/json', 200);
  await check('application/json; charset=utf-8', 200);
  await check('text/plain', 415);
  await check('application/x-www-form-urlencoded', 415);
  expect(bodies).toEqual(['{"name":"east"}', '{"name":"east"}']);
  const asked = await fetch(url, { method: 'OPTIONS', headers: { origin: 'http://page' } });
  expect(asked.headers.get('access-control-allow-origin')).toBeNull();
  expect((await fetch(url)).status).toBe(405);
});

it('leaves the encoding of /federate to federation, and compresses the rest', async () => {
  const text = 'x 1\n'.repeat(1000);
  const seen: string[] = [];
  await using web = await runWeb({
    async federate(_req, res, url) {
      seen.push(...url.searchParams.getAll('match[]'));
      res.end(text);
    },
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', text }),
  });
  const check = async (path: string, encoding: string | undefined) => {
    const { headers, body } = await getRaw(web.url + path, { 'accept-encoding': 'gzip' });
    expect(headers['content-encoding']).toBe(encoding);
    expect((encoding === undefined ? body : gunzipSync(body)).toString()).toBe(text);
  };
  await check('/federate?match[]=up&match[]={job="a b"}', undefined);
  expect(seen).toEqual(['up', '{job="a b"}']);
  await check('/metrics', 'gzip');
});

/** `fetch` would decompress. */
function getRaw(url: string, headers: Record<string, string>) {
  interface Raw {
    readonly headers: NodeJS.Dict<string | string[]>;
    readonly body: Buffer;
  }
  return new Promise<Raw>((resolve, reject) => {
    const asking = request(encodeURI(url), { headers }, async (res) => {
      const chunks: Buffer[] = [];
      for await (const chunk of res) chunks.push(chunk as Buffer);
      resolve({ headers: res.headers, body: Buffer.concat(chunks) });
    });
    asking.on('error', reject);
    asking.end();
  });
}

it('tells nothing of a failure inside, and goes on', async () => {
  const logged: unknown[] = [];
  await using web = await runWeb({
    federate: () => Promise.reject(new Error('secret federate')),
    metrics: () => Promise.reject(new Error('secret metrics')),
    hierarchy: () => {
      throw new Error('secret hierarchy');
    },
    log: (...entry) => logged.push(entry),
  });
  for (const path of ['/federate', '/metrics', '/api/v1/status/hierarchy']) {
    const response = await fetch(web.url + path);
    expect(response.status).toBe(500);
    const text = await response.text();
    expect(text).not.toContain('secret');
    expect(text).not.toContain('.ts');
  }
  expect(logged).toHaveLength(3);
  expect((await fetch(`${web.url}/-/healthy`)).status).toBe(200);
});

it('serves a page that may load and call only what it came from', async () => {
  await using web = await runWeb();
  const check = async (path: string, type: string) => {
    const response = await fetch(web.url + path);
    expect(response.status, path).toBe(200);
    expect(response.headers.get('content-type')).toContain(type);
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    return response.text();
  };
  const html = await check('/', 'text/html');
  const script = await check('/canopy.js', 'javascript');
  await check('/canopy.css', 'text/css');
  await check('/canopy.svg', 'image/svg+xml');
  expect(html).not.toMatch(/<script(?![^>]*src=)|style=|\son\w+=/); // nothing inline
  expect(html).not.toMatch(/(?:src|href)="(?:https?:)?\/\//); // nothing from elsewhere
  expect(script).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/);
  // The API itself is not a page.
  const api = await fetch(`${web.url}/api/v1/labels`);
  expect(api.headers.get('content-security-policy')).toBeNull();
  expect(api.headers.get('x-content-type-options')).toBe('nosniff');
});

it('counts what it answered by route and status', async () => {
  await using web = await runWeb();
  await (await fetch(`${web.url}/api/v1/label/job/values`)).text();
  await (await fetch(`${web.url}/api/v1/label/instance/values`)).text();
  await (await fetch(`${web.url}/api/v1/query?query=x&time=bad`)).text();
  await expect
    .poll(() => web.web.totals.routes['/api/v1/label/:name/values']?.requests)
    .toEqual({ 200: 2 });
  expect(web.web.totals.routes['/api/v1/query'].requests).toEqual({ 400: 1 });
  expect(web.web.totals.aborted).toBe(0);
});
