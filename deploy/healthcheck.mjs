/**
 * Health of the Canopy process in this container: exit code 0 where it answers `/-/healthy`.
 * The image has no curl. Asks the ports of both roles, or CANOPY_HEALTH_URL alone where that is set. Who asks for a
 * password or a certificate of ours is alive too; whose certificate it shows itself is not looked at.
 */
import http from 'node:http';
import https from 'node:https';

const TIMEOUT_MS = 3000;
const given = process.env.CANOPY_HEALTH_URL;
const urls = given
  ? [given]
  : [9090, 9095].flatMap((port) =>
      ['http', 'https'].map((scheme) => `${scheme}://127.0.0.1:${port}/-/healthy`),
    );
const ALIVE = new Set([200, 401]);
const WANTS_CERTIFICATE = /certificate_required|alert (?:handshake failure|bad certificate)/i;

function ask(url) {
  return new Promise((resolve) => {
    const { get } = url.startsWith('https:') ? https : http;
    const options = { timeout: TIMEOUT_MS, rejectUnauthorized: false };
    const request = get(url, options, (response) => {
      const { statusCode } = response;
      response.resume();
      resolve(ALIVE.has(statusCode) ? '' : `${url}: HTTP status ${statusCode}`);
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', (error) =>
      resolve(WANTS_CERTIFICATE.test(`${error.code} ${error.message}`) ? '' : `${url}: ${error}`),
    );
  });
}

const answers = await Promise.all(urls.map(ask));
if (!answers.includes('')) {
  console.error(answers.join('\n'));
  process.exitCode = 1;
}
