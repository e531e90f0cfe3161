import { expect, it } from 'vitest';
import { maskUrls } from './mask.js';

it('maskUrls leaves no password of any address of a store', () => {
  const check = (text: string, expected: string): void => expect(maskUrls(text)).toBe(expected);
  check('redis://h:1/2', 'redis://h:1/2');
  check('redis://u@h', 'redis://u@h');
  check('redis://:pw@h:1', 'redis://:<secret>@h:1');
  check('rediss://u:p@w@h:1/0', 'rediss://u:<secret>@h:1/0'); // up to the last @ before the path
  check('rediss+cluster://u:p%2F@a:1,b:2', 'rediss+cluster://u:<secret>@a:1,b:2');
  check(
    'redis+sentinel://:pw@a:1,[::1]:2/m/3?sentinel_username=s&sentinel_password=x@y',
    'redis+sentinel://:<secret>@a:1,[::1]:2/m/3?sentinel_username=s&sentinel_password=<secret>',
  );
  check(
    'redis+sentinel://a:1/m?sentinel_password=x&sentinel_username=s',
    'redis+sentinel://a:1/m?sentinel_password=<secret>&sentinel_username=s',
  );
  check('https://u:p@h/path?a=b', 'https://u:<secret>@h/path?a=b');
  check('127.0.0.1:9090', '127.0.0.1:9090');
});
