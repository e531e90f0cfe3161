import { expect, test } from 'vitest';
import { exceptions, proxyRule } from './proxy.js';

test('what NO_PROXY lists', () => {
  const check = (list: string, url: string, straight: boolean) =>
    expect(exceptions(list)(new URL(url)), `${list} ${url}`).toBe(straight);
  check('', 'http://a.test/', false);
  check('', 'http://localhost/', true); // the own host, always
  check('', 'http://127.9.9.9/', true);
  check('', 'http://[::1]:9/', true);
  check('*', 'http://a.test/', true);
  check('a.test', 'http://a.test/', true);
  check('a.test', 'http://b.a.test/', true); // and below it
  check('a.test', 'http://ba.test/', false);
  check('.a.test', 'http://a.test/', false); // only below it
  check('.a.test', 'http://b.a.test/', true);
  check('*.a.test', 'http://b.a.test/', true);
  check('*.a.test', 'http://a.test/', false);
  check('A.Test', 'http://a.TEST/', true);
  check('a.test:81', 'http://a.test:81/', true);
  check('a.test:81', 'http://a.test/', false);
  check('a.test:443', 'https://a.test/', true); // the port a scheme implies
  check('a.test:80', 'https://a.test/', false);
  check(' x , a.test ,', 'http://a.test/', true);
  check('10.0.0.1', 'http://10.0.0.1:9/', true);
  check('10.0.0.1:9', 'http://10.0.0.1:8/', false);
  check('10.0.0.0/8', 'http://10.9.8.7/', true);
  check('10.0.0.0/8', 'http://11.9.8.7/', false);
  check('10.0.0.0/99', 'http://10.9.8.7/', false); // no such network
  check('fd00::/8', 'http://[fd12::1]/', true);
  check('[fd00::1]:80', 'http://[fd00::1]/', true);
  check('fd00::1', 'http://[fd00::1]:9/', true);
  check('10.0.0.0/8', 'http://ten.test/', false); // names are not looked up
  check(':80', 'http://a.test/', false);
});

test('which proxy a URL takes', () => {
  const to = (config: Parameters<typeof proxyRule>[0], env: Record<string, string>, url: string) =>
    proxyRule(config, env)(new URL(url))?.href;
  const proxy = { url: 'http://p:1', noProxy: '', connectHeader: {} };
  expect(to(undefined, { HTTP_PROXY: 'http://p:1' }, 'http://a/')).toBeUndefined();
  expect(to(proxy, {}, 'http://a/')).toBe('http://p:1/');
  expect(to(proxy, {}, 'http://127.0.0.1/')).toBe('http://p:1/'); // without exceptions even this
  expect(to({ ...proxy, noProxy: 'b' }, {}, 'http://127.0.0.1/')).toBeUndefined();
  expect(to({ ...proxy, noProxy: 'b' }, {}, 'https://a/')).toBe('http://p:1/');
  const own = { ...proxy, url: 'environment' };
  expect(to(own, {}, 'http://a/')).toBeUndefined();
  expect(to(own, { HTTP_PROXY: 'p:2' }, 'http://a/')).toBe('http://p:2/');
  expect(to(own, { http_proxy: 'http://p:2' }, 'http://a/')).toBe('http://p:2/');
  expect(to(own, { HTTP_PROXY: 'p:2' }, 'https://a/')).toBeUndefined();
  expect(to(own, { HTTPS_PROXY: 'https://p' }, 'https://a/')).toBe('https://p/');
  expect(to(own, { HTTP_PROXY: 'p:2', NO_PROXY: 'a' }, 'http://a/')).toBeUndefined();
});
