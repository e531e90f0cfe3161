/**
 * Health of the Canopy process in this container: exit code 0 where it answers `/-/healthy`.
 * The image has no curl. Asks the ports of both roles, or CANOPY_HEALTH_URL alone where that is set.
 */
import http from 'node:http';

const TIMEOUT_MS = 3000;
const given = process.env.CANOPY_HEALTH_URL;
const urls = given
  ? [given]
  : ['http://127.0.0.1:9090/-/healthy', 'http://127.0.0.1:9095/-/healthy'];

function ask(url) {
  return new Promise((resolve) => {
    const request = http.get(url, { timeout: TIMEOUT_MS }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? '' : `${url}: HTTP status ${response.statusCode}`);
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', (error) => resolve(`${url}: ${error.message}`));
  });
}

const answers = await Promise.all(urls.map(ask));
if (!answers.includes('')) {
  console.error(answers.join('\n'));
  process.exitCode = 1;
}
