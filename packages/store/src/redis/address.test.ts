import { describe, expect, it } from 'vitest';
import { type RedisAddress, describeAddress, parseAddress } from './address.js';

describe('parseAddress', () => {
  const plain: RedisAddress = {
    ...{ kind: 'alone', tls: false, hosts: [], user: '', password: '', database: 0 },
    ...{ master: '', sentinelUser: '', sentinelPassword: '' },
  };
  const check = (text: string, places: string, expected: Partial<RedisAddress>): void => {
    const address = parseAddress(text);
    expect({ ...address, hosts: [] }).toEqual({ ...plain, ...expected });
    expect(describeAddress(address)).toBe(places);
  };
  it('reads one server', () => {
    check('redis://', '127.0.0.1:6379', {});
    check('redis://h', 'h:6379', {});
    check('redis://h:1/', 'h:1', {});
    check('rediss://[::1]:7/3', '[::1]:7', { tls: true, database: 3 });
    check('redis://:pw@h', 'h:6379', { password: 'pw' });
    check('redis://u@h', 'h:6379', { user: 'u' });
    check('redis://u:a%2Fb%40c:d@h:1/2', 'h:1', { user: 'u', password: 'a/b@c:d', database: 2 });
    check('redis://u:a@b@h', 'h:6379', { user: 'u', password: 'a@b' });
  });
  it('reads Sentinel', () => {
    const kind = 'sentinel';
    check('redis+sentinel://a,b:2/m', 'a:26379,b:2/m', { kind, master: 'm' });
    check('rediss+sentinel://u:p@[::1]/my%20m/4', '[::1]:26379/my m', {
      ...{ kind, tls: true, user: 'u', password: 'p', master: 'my m', database: 4 },
    });
    check('redis+sentinel://a/m?sentinel_password=s%26t&sentinel_username=su', 'a:26379/m', {
      ...{ kind, master: 'm', sentinelUser: 'su', sentinelPassword: 's&t' },
    });
  });
  it('reads a cluster', () => {
    const kind = 'cluster';
    check('redis+cluster://a:1,b:2,c', 'a:1,b:2,c:6379', { kind });
    check('rediss+cluster://:p@a:1/0', 'a:1', { kind, tls: true, password: 'p' });
  });
  it('refuses the rest in words that hold no password', () => {
    const refuse = (text: string, message: RegExp): void => {
      let said = '';
      try {
        parseAddress(text);
      } catch (error) {
        said = String(error);
      }
      expect(said).toMatch(message);
      expect(said).not.toContain('s3cret');
    };
    refuse('http://h', /not a URL like/);
    refuse('redis://:s3cret/x@h', /%2F/); // the slash ends the host
    refuse('redis://:s3cret@h:99999', /not a URL like/);
    refuse('redis://:s3cret@h:x', /not a URL like/);
    refuse('redis://:s3cret@a,b', /redis\+sentinel/);
    refuse('redis://:s3cret%@h', /%25/);
    refuse('redis://h/s3cret', /not a number/);
    refuse('redis://h/1/2', /not a number/);
    refuse('redis+cluster://h/1', /database 0/);
    refuse('redis+sentinel://:s3cret@h', /name of the master/);
    refuse('redis+sentinel://h/m?pasword=s3cret', /not known/);
    refuse('redis://h?sentinel_password=s3cret', /not known/);
    refuse('redis+ring://h', /not a URL like/);
    refuse('', /not a URL like/);
  });
});
