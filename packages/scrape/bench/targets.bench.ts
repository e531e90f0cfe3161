/**
 * Making targets of addresses, as at every change of a discovery: must not hold the event loop.
 * `npx tsx packages/scrape/bench/targets.bench.ts [targets]`
 */
import { type Clock, NO_LABELS, asTime } from '@canopy/model';
import type { TargetGroup } from '../src/config.js';
import { ScrapeManager } from '../src/manager.js';
import { compileRelabel } from '../src/relabel.js';
import { makeTarget, scrapeOffset, targetKey } from '../src/target.js';
import {
  FakeFetcher,
  RecordingJournal,
  gatesOf,
  relabelConfig,
  scrapeConfig,
} from '../src/testing/index.js';

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

/** Milliseconds of the steps of a first look and of one after a change. */
function looks(groups: (change: number) => TargetGroup[]) {
  const steps: number[] = [];
  let pending: Array<() => void> = [];
  const clock: Clock = {
    now: () => asTime(1_700_000_000_000),
    monotonic: () => performance.now(),
    after: (delay, fire) => {
      if (delay === 0) pending.push(fire);
      return { cancel: () => {} };
    },
  };
  let say: (groups: readonly TargetGroup[]) => void = () => {};
  const manager = new ScrapeManager({
    clock,
    journal: new RecordingJournal(),
    fetcher: new FakeFetcher(clock, () => ''),
    gates: gatesOf(),
    pullFormat: undefined,
    configs: [{ ...ruled, staticConfigs: [] }],
    externalLabels: NO_LABELS,
    discoveries: [
      {
        jobName: 'test',
        discovery: {
          start: (onGroups) => {
            say = onGroups;
            return { stop: () => {} };
          },
        },
      },
    ],
    offsetSeed: '',
    enforcedLabels: [],
    limits: { seriesPerTargetMax: 1, targetsPerJobMax: count, droppedTargetsMax: 10 },
    log: () => {},
  });
  manager.start();
  const step = (run: () => void): void => {
    const start = performance.now();
    run();
    steps.push(performance.now() - start);
  };
  const look = (found: TargetGroup[]) => {
    steps.length = 0;
    step(() => say(found));
    while (pending.length > 0) {
      const due = pending;
      pending = [];
      for (const fire of due) step(fire);
    }
    const sum = steps.reduce((total, took) => total + took, 0);
    const sorted = [...steps].sort((a, b) => a - b);
    const most = sorted[Math.floor(0.9 * (sorted.length - 1))];
    return { most, longest: sorted[sorted.length - 1], sum, steps: steps.length };
  };
  const first = look(groups(0));
  if (manager.active().length !== count) throw new Error('BUG: all targets were expected');
  return { first, second: look(groups(1)) };
}

const labelled = (target: string): TargetGroup => ({ ...group, targets: [target] });
const ones = Array.from({ length: count }, (_, i) => labelled(`host-${i}.example.org:9100`));
const shown = (what: string, { first, second }: ReturnType<typeof looks>): void => {
  for (const [which, look] of Object.entries({ first, 'one changed': second })) {
    const took = `${look.sum.toFixed(0)} ms in ${look.steps} steps`;
    const each = `p90 ${look.most.toFixed(1)} ms, longest ${look.longest.toFixed(1)} ms`;
    console.log(`${`${what}, ${which}`.padEnd(28)} ${took}, ${each}`);
  }
};
shown(
  'one group',
  looks((change) => [
    { ...group, targets: ones.map(({ targets }, i) => (i < change ? `x${i}:1` : targets[0])) },
  ]),
);
shown(
  'a group each',
  looks((change) => ones.map((one, i) => (i < change ? labelled(`x${i}:1`) : one))),
);
