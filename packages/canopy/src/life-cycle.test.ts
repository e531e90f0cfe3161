import { expect, it } from 'vitest';
import { systemClock } from './clock.js';
import { LifeCycle } from './life-cycle.js';

it('stops in reverse, once, whatever fails or hangs', async () => {
  const stopped: string[] = [];
  const said: string[] = [];
  const life = new LifeCycle((_level, message) => void said.push(message), systemClock, 20);
  life.add('first', () => void stopped.push('first'));
  life.add('hanging', () => new Promise(() => {}));
  life.add('failing', () => {
    throw new Error('no');
  });
  life.add('last', () => void stopped.push('last'));
  await Promise.all([life.stop(), life.stop()]);
  expect(stopped).toEqual(['last', 'first']);
  expect(said).toEqual(['stopping failing failed', 'hanging did not stop in time']);
});
