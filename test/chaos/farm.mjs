/**
 * Exporters whose values say which scrape they belong to: every path has a count of its own, `scrape_number`, and all
 * else follows from it. Each scrape that was answered is logged with its body, so what must be in
 * a journal is known without asking the journal. `node farm.mjs PORT`.
 *
 * `GET /-/log?from=N`: answered scrapes from the Nth on, as JSON. `GET /-/shape?drop=NAME,NAME&rename=1`: what all bodies
 * lack, and whether a label has its other name; empty: as at first.
 * `/om…` speaks OpenMetrics, with units.
 */
import { createServer } from 'node:http';

const counts = new Map();
const log = [];
let shape = { drop: new Set(), rename: false };

/** Families as [name, type, help, samples]; those that vary with the shape are cut below. */
function familiesOf(number) {
  const label = shape.rename ? 'stage' : 'step';
  const help = shape.rename ? 'Falls behind, by stage.' : 'Falls behind.';
  const slow = Array.from(
    { length: 10 },
    (_, i) => `slow{${label}="${i}"} ${Math.floor(number / (i + 1))}`,
  );
  return [
    ['scrape_number', 'gauge', 'Which scrape this is.', [`scrape_number ${number}`]],
    ['constant', 'gauge', 'Never changes: "\\\\n" is no new line.', ['constant 42']],
    ['wave', 'unknown', 'A sine.', [`wave ${Math.sin(number)}`]],
    [
      'special',
      'gauge',
      'Values that are easily lost.',
      [`special ${['-0', 'NaN', '+Inf', '-Inf', '5e-324'][number % 5]}`],
    ],
    // A series that comes and goes.
    ['now_and_then', 'gauge', 'Here and away.', number % 7 < 4 ? [`now_and_then ${number}`] : []],
    ['passing', 'gauge', 'Here until it is gone for good.', [`passing ${number}`]],
    ['slow', 'gauge', help, slow],
  ].filter(([name]) => !shape.drop.has(name));
}

function textOf(number) {
  const lines = familiesOf(number).flatMap(([name, type, help, samples]) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type === 'unknown' ? 'untyped' : type}`,
    ...samples,
  ]);
  return `${lines.join('\n')}\n`;
}

function openMetricsOf(number) {
  const lines = familiesOf(number).flatMap(([name, type, help, samples]) => [
    `# TYPE ${name} ${type}`,
    `# HELP ${name} ${help}`,
    ...samples,
  ]);
  const work = [
    '# TYPE work_seconds gauge',
    '# UNIT work_seconds seconds',
    `work_seconds ${number / 8}`,
  ];
  return `${[...lines, ...work].join('\n')}\n# EOF\n`;
}

function scrape(path, res) {
  const number = (counts.get(path) ?? 0) + 1;
  counts.set(path, number);
  const at = Date.now();
  const isOpenMetrics = path.startsWith('/om');
  const body = isOpenMetrics ? openMetricsOf(number) : textOf(number);
  const type = isOpenMetrics
    ? 'application/openmetrics-text; version=1.0.0'
    : 'text/plain; version=0.0.4';
  res.on('finish', () => log.push({ target: path.slice(1), number, at, body }));
  res.setHeader('content-type', type).end(body);
}

createServer((req, res) => {
  const { pathname, searchParams } = new URL(req.url, 'http://farm');
  if (pathname === '/-/log') {
    res.end(JSON.stringify(log.slice(Number(searchParams.get('from')))));
  } else if (pathname === '/-/shape') {
    const drop = (searchParams.get('drop') ?? '').split(',');
    shape = { drop: new Set(drop), rename: searchParams.get('rename') === '1' };
    res.end();
  } else {
    scrape(pathname, res);
  }
}).listen(Number(process.argv[2]), '127.0.0.1');
