/** Any bytes, in any pieces: the body Node's own parser would give, or a refusal; never more. */
import { expect, it } from 'vitest';
import { ChunkedReader } from './chunked.js';

/** Uniform in [0, 1), the same sequence for a seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Outcome {
  readonly body: string;
  readonly done: boolean;
  readonly bad: boolean;
  readonly used: number;
}

function read(bytes: Buffer, pieces: () => number): Outcome {
  const reader = new ChunkedReader();
  reader.begin();
  let body = '';
  let at = 0;
  while (at < bytes.length && !reader.done) {
    const to = Math.min(bytes.length, at + pieces());
    const next = reader.push(bytes, at, to, (from, begin, end) => {
      body += from.toString('latin1', begin, end);
      return true;
    });
    if (next < 0) return { body, done: false, bad: true, used: at };
    expect(next === to || reader.done).toBe(true);
    at = next;
  }
  return { body, done: reader.done, bad: false, used: at };
}

const ROUNDS = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 400);
const SEED = Number(process.env.CANOPY_FUZZ_SEED ?? 1);

it('reads what was written, however it is cut, and nothing behind it', () => {
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const random = randomOf(seed);
    let wire = '';
    let body = '';
    for (let n = Math.floor(random() * 6); n > 0; n--) {
      const chunk = Array.from({ length: 1 + Math.floor(random() * 40) }, () =>
        String.fromCharCode(Math.floor(random() * 256)),
      ).join('');
      const size = random() < 0.5 ? chunk.length.toString(16) : `00${chunk.length.toString(16)}`;
      wire += `${size}${random() < 0.2 ? ';x="y"' : ''}\r\n${chunk}\r\n`;
      body += chunk;
    }
    wire += `0\r\n${random() < 0.3 ? 'a: b\r\nc: d\r\n' : ''}\r\n`;
    const bytes = Buffer.from(`${wire}HTTP/1.1 200 OK\r\n`, 'latin1');
    const outcome = read(bytes, () => 1 + Math.floor(random() * 30));
    expect(outcome, `seed ${seed}`).toEqual({ body, done: true, bad: false, used: wire.length });
    // One byte changed: the same however it is cut.
    const at = Math.floor(random() * wire.length);
    bytes[at] = Math.floor(random() * 256);
    const whole = read(bytes, () => bytes.length);
    const cut = read(bytes, () => 1 + Math.floor(random() * 5));
    expect(cut.bad, `seed ${seed}`).toBe(whole.bad);
    expect(cut.body, `seed ${seed}`).toBe(whole.body);
    expect(whole.body.length).toBeLessThanOrEqual(bytes.length);
  }
});
