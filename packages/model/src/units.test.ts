import { expect, it } from 'vitest';
import { asDuration, formatBytes, formatDuration, parseBytes, parseDuration } from './units.js';

it('reads and writes durations as Prometheus', () => {
  const check = (text: string, ms: number, printed = text) => {
    expect(parseDuration(text)).toBe(ms);
    expect(formatDuration(asDuration(ms))).toBe(printed);
  };
  check('0', 0, '0s');
  check('15s', 15_000);
  check('1h30m', 5_400_000);
  check('90m', 5_400_000, '1h30m');
  check('1d', 86_400_000);
  check('26h', 93_600_000, '26h'); // days only when exact
  check('1w', 604_800_000);
  check('500ms', 500);
  for (const bad of ['', '1', '1.5s', '5s3m', '-1s', 's', '1 s', '99999999999y']) {
    expect(() => parseDuration(bad), bad).toThrow(/duration/);
  }
  expect(formatDuration(parseDuration('292y'))).toBe('292y');
  expect(() => parseDuration('293y')).toThrow('duration out of range: "293y"');
});

it('reads sizes', () => {
  expect(parseBytes('512MB')).toBe(512 * 1024 ** 2);
  expect(parseBytes('8GiB')).toBe(8 * 1024 ** 3);
  expect(parseBytes('10')).toBe(10);
  expect(() => parseBytes('ten')).toThrow(/size/);
  expect(formatBytes(1536)).toBe('1.5KiB');
});
