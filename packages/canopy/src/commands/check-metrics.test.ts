import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { checkMetrics } from './check-metrics.js';

/** Texts, and the exit code promtool has for each. */
const TABLE: ReadonlyArray<readonly [exitCode: number, text: string | Buffer]> = [
  [0, ''],
  [0, '\n \n\t\n'],
  [0, '# a comment\n#\n# HELP\n# TYPE\n# HELP x\n# TYPE x\n'],
  [0, '# HELP x_total a\n# TYPE x_total counter\nx_total 1\n'],
  [0, '# HELP x_total \\n and \\\\\nx_total{a="b\\"\\n\\\\",} 1e3 -5\n'],
  [0, '# HELP x a\n# TYPE x GAUGE\nx NaN\nx +Inf\nx -inf\nx infinity\nx .5\nx 5.\n'],
  [0, '# HELP x a\nx { a = "b" , c = "d" } 1 2\n'],
  [1, 'x 1 2 \n'],
  [0, '# HELP h a\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 1\n'],
  [0, '# HELP q a\n# TYPE q summary\nq{quantile="0.5"} 1\nq_sum 1\nq_count 1\n'],
  [0, '# HELP x a\nx 1\nx 1\n'], // a series twice is not its business
  [1, 'x 1'],
  [1, '# no newline'],
  [1, 'x{\n'],
  [1, 'x{a\n'],
  [1, 'x{a="b'],
  [1, 'x{a="b"'],
  [1, 'x{a="b\n"} 1\n'],
  [1, 'x{a="\\t"} 1\n'],
  [1, 'x{a=b} 1\n'],
  [1, 'x{a="b" c="d"} 1\n'],
  [1, 'x{a="b",a="c"} 1\n'],
  [1, 'x{__name__="y"} 1\n'],
  [1, 'x{1="y"} 1\n'],
  [1, Buffer.from('x{a="\xff"} 1\n', 'latin1')],
  [1, 'x\n'],
  [1, 'x \n'],
  [1, 'x y\n'],
  [1, 'x 0x1\n'],
  [1, 'x 1_0\n'],
  [1, 'x 1 2.5\n'],
  [1, 'x 1 99999999999999999999\n'],
  [1, 'x 1 2 3\n'],
  [1, '1x 1\n'],
  [1, '# TYPE x gauge\n# TYPE x gauge\n'],
  [1, '# HELP x a\n# HELP x a\n'],
  [1, 'x 1\n# TYPE x gauge\n'],
  [1, '# TYPE x thing\n'],
  [1, '# TYPE x info\nx 1\n'],
  [1, '# HELP x \\t\nx 1\n'],
  [1, '# HELP 1x a\n'],
  [1, '# TYPE h histogram\nh_bucket{le="x"} 1\n'],
  [1, '# TYPE q summary\nq{quantile="x"} 1\n'],
  [3, 'x 1\n'],
  [3, '# TYPE x counter\nx 1\n'],
  [3, '# HELP x_total a\n# TYPE x_total gauge\nx_total 1\n'],
  [3, '# HELP x_ms a\nx_ms 1\n'],
  [3, '# HELP x_milliseconds a\nx_milliseconds 1\n'],
  [3, '# HELP x_minutes_y a\nx_minutes_y 1\n'],
  [3, '# HELP a:b a\na:b 1\n'],
  [3, '# HELP aB a\naB{cD="e"} 1\n'],
  [3, '# HELP x_gauge a\nx_gauge 1\n'],
  [3, '# HELP x_bucket a\n# TYPE x_bucket gauge\nx_bucket{le="1",quantile="1"} 1\n'],
  [
    3,
    '# HELP x_sum a\n# TYPE x_sum gauge\nx_sum 1\n# HELP x_count a\n# TYPE x_count counter\nx_count 1\n',
  ],
  [3, '# HELP z a\n# TYPE z gauge\nz{quantile="1"} 1\ny 1\nx 1\n'],
];

function check(body: Buffer): { exitCode: number; lines: string[] } {
  const lines: string[] = [];
  const exitCode = checkMetrics(body, (line) => lines.push(line));
  return { exitCode, lines };
}

test('exit codes are those of promtool', () => {
  for (const [exitCode, text] of TABLE) {
    expect(check(Buffer.from(text)).exitCode, JSON.stringify(text.toString())).toBe(exitCode);
  }
});

const peers = process.env.CANOPY_TEST_WITHOUT ?? '';
const hasPromtool =
  !peers.includes('prometheus') && spawnSync('promtool', ['--version']).status === 0;

test.skipIf(!hasPromtool)('promtool says the same', () => {
  for (const [, text] of TABLE) {
    const body = Buffer.from(text);
    const { status, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: body });
    const said = stderr.toString().split('\n').filter(Boolean);
    const { exitCode, lines } = check(body);
    const shown = JSON.stringify(body.toString());
    expect([exitCode, shown]).toEqual([status, shown]);
    if (exitCode === 3) expect([...new Set(said)], shown).toEqual(lines);
    // Where two errors are in a text, both say what stands first.
    else if (exitCode === 1) expect(lines[0].split(':')[1]).toEqual(said[0].split(':')[1]);
  }
});
