/**
 * Exporters whose values say which scrape they belong to: every path has a count of its own, `scrape_number`, and all
 * else follows from it (laws.ts), so that whatever is lost, doubled, moved or changed on the way is seen in
 * the values themselves. `node farm.mjs PORT`.
 */
import { createServer } from 'node:http';

const counts = new Map();

function bodyOf(number) {
  const lines = [
    '# TYPE scrape_number counter',
    `scrape_number ${number}`,
    'constant 42',
    `wave ${Math.sin(number)}`,
    `special ${['-0', 'NaN', '+Inf', '-Inf', '5e-324'][number % 5]}`,
  ];
  // A series that comes and goes.
  if (number % 7 < 4) lines.push(`now_and_then ${number}`);
  for (let i = 0; i < 10; i++) lines.push(`slow{step="${i}"} ${Math.floor(number / (i + 1))}`);
  return `${lines.join('\n')}\n`;
}

createServer((req, res) => {
  const number = (counts.get(req.url) ?? 0) + 1;
  counts.set(req.url, number);
  res.setHeader('content-type', 'text/plain; version=0.0.4').end(bodyOf(number));
}).listen(Number(process.argv[2]), '127.0.0.1');
