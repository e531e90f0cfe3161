/**
 * A thread of its own for bcrypt, which takes tens of milliseconds and more by intention: the event loop
 * of the process must not wait for it. Plain JavaScript, so that it runs from the sources, too.
 */
import { parentPort } from 'node:worker_threads';
import { compareSync } from 'bcryptjs';

parentPort.on('message', ({ password, hash }) => {
  let isSame = false;
  try {
    // Go's bcrypt does not look at the letter of the version.
    isSame = compareSync(password, hash.replace(/^\$2[^$]?\$/, '$2b$'));
  } catch {
    // A hash that is none fits no password.
  }
  parentPort.postMessage(isSame);
});
