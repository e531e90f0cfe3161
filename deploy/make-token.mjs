/**
 * Makes the token by which leaves announce themselves to a parent, once: `make-token.mjs FILE`.
 * A file that is there stays as it is. Only the owner may read it.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';

const file = process.argv[2];
if (file === undefined) {
  console.error('usage: make-token.mjs FILE');
  process.exit(2);
}
try {
  writeFileSync(file, `${randomBytes(32).toString('hex')}\n`, { mode: 0o400, flag: 'wx' });
  console.log(`made ${file}`);
} catch (error) {
  if (error.code !== 'EEXIST') throw error;
  console.log(`${file} is there already`);
}
