import { expect, it } from 'vitest';
import { Turns } from './turns.js';

it('lets one go on in each turn of the event loop, each as often as the others', async () => {
  const turns = new Turns(setImmediate);
  /** Who made a step, by turn. */
  const steps: string[][] = [[]];
  const worker = async (name: string, count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      await turns.next();
      steps.at(-1)!.push(name);
      // As a store that answers without waiting.
      await Promise.resolve();
    }
  };
  let isOver = false;
  const count = (): void => {
    steps.push([]);
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  await Promise.all([worker('a', 30), worker('b', 30), worker('c', 30)]);
  isOver = true;
  expect(Math.max(...steps.map((made) => made.length))).toBe(1);
  const order = steps.flat().join('');
  expect(order).toBe('abc'.repeat(30));
});
