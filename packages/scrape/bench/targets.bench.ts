/**
 * Making targets of addresses, as at every change of a discovery: must not hold the event loop.
 * `npx tsx packages/scrape/bench/targets.bench.ts [targets]`
 */
import { compileRelabel } from '../src/relabel.js';
import { makeTarget, scrapeOffset, targetKey } from '../src/target.js';
import { relabelConfig, scrapeConfig } from '../src/testing/index.js';

const count = Number(process.argv[2] ?? 5000);
const relabelConfigs = [
  relabelConfig({ sourceLabels: ['__meta_env'], regex: 'prod|stage', action: 'keep' }),
  relabelConfig({ sourceLabels: ['__address__'], regex: '([^:]+)(?::\\d+)?', targetLabel: 'host' }),
  relabelConfig({ regex: '__meta_(.+)', action: 'labelmap' }),
];
const group = { targets: [], labels: { __meta_env: 'prod', team: 'x' }, source: '' };

function run(config: ReturnType<typeof scrapeConfig>): number {
  const relabel = compileRelabel(config.relabelConfigs);
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const outcome = makeTarget(config, relabel, group, `host-${i}.example.org:9100`);
    if (outcome.kind !== 'target') throw new Error('BUG: a target was expected');
    targetKey(outcome.target);
    scrapeOffset(outcome.target, 'seed');
  }
  return ((performance.now() - start) * 1000) / count;
}

const plain = scrapeConfig();
const ruled = scrapeConfig({ relabelConfigs });
const took = { plain: Number.POSITIVE_INFINITY, ruled: Number.POSITIVE_INFINITY };
for (let round = 0; round < 5; round++) {
  took.plain = Math.min(took.plain, run(plain));
  took.ruled = Math.min(took.ruled, run(ruled));
}
console.log(`targets                      ${count}`);
console.log(`no rules                     ${took.plain.toFixed(1)} us a target`);
console.log(`three rules                  ${took.ruled.toFixed(1)} us a target`);
console.log(`rules / none                 ${(took.ruled / took.plain).toFixed(2)}`);
