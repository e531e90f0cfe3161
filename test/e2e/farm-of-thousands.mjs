/**
 * Thousands of exporters in one process, for hung.test.ts: the path `/ok/N` counts its scrapes, `/silent/N` takes
 * the connection and says nothing, `/drip/N` sends its head and then a byte a second, `/head/N` a byte of its head a second.
 * Each exporter has an address of its own, as exporters have: `node farm-of-thousands.mjs PORT COUNT` listens on the
 * first COUNT addresses from 127.1.0.0 on.
 */
import { createServer } from 'node:net';

const counts = new Map();

const okay = (path) => {
  const count = (counts.get(path) ?? 0) + 1;
  counts.set(path, count);
  const body = `# TYPE scrape_number counter\nscrape_number ${count}\n`;
  return `HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
};

const drip = (socket, text, start) => {
  let sent = start;
  socket.write(text.slice(0, start));
  const timer = setInterval(() => socket.write(text[sent++ % text.length]), 1000);
  socket.on('close', () => clearInterval(timer));
};

const serve = (socket) => {
  let text = '';
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    if (!text.endsWith('\r\n\r\n')) return;
    const path = text.split(' ', 2)[1];
    text = '';
    const kind = path.split('/', 2)[1];
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100000\r\n\r\n';
    if (kind === 'ok') socket.write(okay(path));
    else if (kind === 'drip') drip(socket, head, head.length);
    else if (kind === 'head') drip(socket, head, 1);
  });
};

const [port, count] = process.argv.slice(2).map(Number);
for (let i = 0; i < count; i++) {
  createServer(serve).listen(port, `127.1.${i >> 8}.${i & 255}`);
}
