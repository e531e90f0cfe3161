import { expect, it } from 'vitest';
import { configReference } from './reference.js';

it('CONFIG.md says what the program does', async () => {
  await expect(configReference()).toMatchFileSnapshot('../../CONFIG.md');
});
