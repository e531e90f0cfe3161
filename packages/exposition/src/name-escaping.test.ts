import { expect, test } from 'vitest';
import { escapeName, unescapeName } from './name-escaping.js';

/** As in the tests and the proposal of prometheus/common's escaping schemes. */
function check(name: string, underscores: string, dots: string, values: string): void {
  expect(escapeName(name, 'allow-utf-8')).toBe(name);
  expect(escapeName(name, 'underscores')).toBe(underscores);
  expect(escapeName(name, 'dots')).toBe(dots);
  expect(escapeName(name, 'values')).toBe(values);
  expect(unescapeName(values, 'values')).toBe(name);
  expect(unescapeName(name, 'underscores')).toBe(name);
}

test('names under each scheme', () => {
  check('', '', '', '');
  check(
    'no:escaping_required',
    'no:escaping_required',
    'no:escaping__required',
    'no:escaping_required',
  );
  check(
    'mysystem.prod.west.cpu.load',
    'mysystem_prod_west_cpu_load',
    'mysystem_dot_prod_dot_west_dot_cpu_dot_load',
    'U__mysystem_2e_prod_2e_west_2e_cpu_2e_load',
  );
  check(
    'mysystem.prod.west.cpu.load_total',
    'mysystem_prod_west_cpu_load_total',
    'mysystem_dot_prod_dot_west_dot_cpu_dot_load__total',
    'U__mysystem_2e_prod_2e_west_2e_cpu_2e_load__total',
  );
  check('http.status:sum', 'http_status:sum', 'http_dot_status:sum', 'U__http_2e_status:sum');
  check('label with 😱', 'label_with__', 'label__with____', 'U__label_20_with_20__1f631_');
  check('花火', '__', '____', 'U___82b1__706b_');
  check('9lives', '_lives', '__lives', 'U___39_lives');
});

test('what was not escaped stays', () => {
  for (const name of ['plain', 'U__a_', 'U__a_zz_', 'U__a_1234567_', 'U__a_d800_', 'U__a_2e']) {
    expect(unescapeName(name, 'values')).toBe(name);
  }
  expect(unescapeName('a_dot_b__c', 'dots')).toBe('a.b_c');
});
