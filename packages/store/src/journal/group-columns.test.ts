import { expect, it } from 'vitest';
import { keyFramePhase } from './group-columns.js';

it('spreads the key frames of groups that begin together evenly over the run', () => {
  const due = new Uint32Array(120);
  for (let group = 1; group <= 1000; group++) due[keyFramePhase(group, 120)]++;
  // 105 of 120 frames share them: nine or ten each, never half as many again.
  expect(Math.max(...due)).toBeLessThanOrEqual(13);
  expect(Math.min(...due.subarray(0, 105))).toBeGreaterThanOrEqual(6);
  expect(due.subarray(105).some((count) => count > 0)).toBe(false);
});

it('keeps short runs whole', () => {
  expect(keyFramePhase(7, 59)).toBe(0);
});
