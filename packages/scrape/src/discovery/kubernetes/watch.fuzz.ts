/**
 * Any bytes that an API server sends: bounded, no crash, and when it has come to its senses the copy is
 * what it has.
 */
import { PassThrough } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import { VirtualClock } from '@canopy/model/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { KubernetesApi } from './connector.js';
import { ResourceWatch } from './watch.js';

const ROUNDS = Number(process.env.CANOPY_FUZZ_ROUNDS ?? 100);

const meta = fc.record(
  {
    name: fc.oneof(fc.constantFrom('a', 'b', 'c'), fc.jsonValue()),
    namespace: fc.constantFrom('x', 'y'),
    resourceVersion: fc.oneof(fc.constantFrom('1', '2', '3'), fc.jsonValue()),
  },
  { requiredKeys: [] },
);
const object = fc.oneof(fc.record({ metadata: meta }), fc.jsonValue());
const event = fc.record(
  {
    type: fc.constantFrom('ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR', 'OTHER'),
    object: fc.oneof(object, fc.record({ code: fc.constantFrom(410, 500), message: fc.string() })),
  },
  { requiredKeys: [] },
);
const line = fc.oneof(
  event.map((one) => JSON.stringify(one)),
  fc.string(),
);
const listText = fc.oneof(
  fc
    .record({ items: fc.array(object), metadata: fc.jsonValue() }, { requiredKeys: [] })
    .map((one) => JSON.stringify(one)),
  fc.string(),
);
/** Answers in turn: to a list or a watch, with the bytes cut in two anywhere. */
const answer = fc.record({
  status: fc.constantFrom(200, 200, 200, 410, 500),
  text: fc.oneof(
    listText,
    fc.array(line).map((lines) => lines.join('\n')),
  ),
  cut: fc.nat(200),
  breaks: fc.boolean(),
});

function response(status: number, text: string, cut: number, breaks: boolean): IncomingMessage {
  const stream = new PassThrough();
  const bytes = Buffer.from(text);
  stream.write(bytes.subarray(0, cut));
  stream.write(bytes.subarray(cut));
  // When it is read, not before: nobody listens yet.
  if (breaks) setImmediate(() => stream.destroy(new Error('connection reset')));
  else stream.end();
  stream.on('error', () => {});
  return Object.assign(stream, { statusCode: status }) as unknown as IncomingMessage;
}

test('an API server that says anything', async () => {
  const good = JSON.stringify({
    items: [{ metadata: { name: 'good', namespace: 'x' } }],
    metadata: { resourceVersion: '9' },
  });
  await fc.assert(
    fc.asyncProperty(fc.array(answer, { maxLength: 8 }), async (answers) => {
      const clock = new VirtualClock();
      const left = [...answers];
      let watching = false;
      const api: KubernetesApi = {
        get: async (path) => {
          const next = left.shift();
          if (next !== undefined) {
            return response(next.status, next.text, next.cut, next.breaks);
          }
          if (!path.includes('watch=true')) return response(200, good, 5, false);
          // The first watch of the sane server: what was seen before is too old.
          if (!path.includes('resourceVersion=9&')) return response(410, '', 0, false);
          watching = true;
          return Object.assign(new PassThrough(), { statusCode: 200 }) as never;
        },
      };
      const watch = new ResourceWatch({
        clock,
        api,
        resource: 'pods',
        namespace: '',
        labelSelector: '',
        fieldSelector: '',
        report: () => {},
        onChange: () => {},
      });
      watch.start();
      for (let i = 0; i < 40 && !watching; i++) await clock.advance(30_000);
      expect(watching).toBe(true);
      expect(watch.isListed).toBe(true);
      expect([...watch.objects.keys()]).toEqual(['x/good']);
      watch.stop();
    }),
    { numRuns: ROUNDS },
  );
});
