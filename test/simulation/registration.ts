/**
 * Registration after everything else of a run, where nothing is disturbed any more: leaves are registered within their next
 * announcement, however often stores and parents went; who was killed is shown as lost, who left is gone, who comes back is
 * there again. That nobody else is pulled is seen all along (history.ts).
 *
 * Does not check: tokens and certificates; who left before the parents' store fell back, and may be in it again; leaves whose
 * leave was refused by all that it asked (there may be no parent that writes for a moment).
 */
import type { Hierarchy } from './hierarchy.js';
import type { Machine } from './machine.js';
import type { Chance } from './random.js';

/** An announcement, its repetition after a failure, and pulls. */
const ANNOUNCED_MS = 75_000;
/** Five minutes, counted anew by a parent that restarts. */
const LOST_MS = 5 * 60_000 + 30_000;
const LEFT_MS = 10_000;

export async function watchRegistration(hierarchy: Hierarchy, chance: Chance): Promise<void> {
  const { time, trace } = hierarchy.site;
  const leaves = hierarchy.present().filter(({ options }) => options.role === 'leaf');
  const gone = [...hierarchy.machines.values()].filter(({ isGone }) => isGone);
  trace.note('registration is watched', 'registrations watched');
  await time.run(time.now + ANNOUNCED_MS);
  const isUp = new Map(leaves.map((leaf) => [leaf, 'up'] as const));
  expectAll(hierarchy, 'undisturbed', new Map([...isUp, ...leftOf(hierarchy, gone)]));
  const lost = chance.of(leaves);
  lost.isOff = true;
  lost.kill('killed');
  const others = leaves.filter((leaf) => leaf !== lost);
  for (const other of others) void other.stop();
  await time.run(time.now + LEFT_MS);
  if (chance.isHit(0.5)) hierarchy.machine('p1').kill('killed');
  await time.run(time.now + LOST_MS);
  const away = leftOf(hierarchy, others);
  expectAll(hierarchy, 'after five minutes', new Map([...away, [lost, 'lost']]));
  lost.start();
  await time.run(time.now + ANNOUNCED_MS);
  expectAll(hierarchy, 'back again', new Map([[lost, 'up']]));
}

/** Those whose leave was acknowledged are to be gone. */
function leftOf({ site, databases }: Hierarchy, leaves: readonly Machine[]): Map<Machine, 'gone'> {
  const isRestored = databases.get('dbp')!.wentBack > 0;
  const left = leaves.filter(({ host }) => site.history.left.has(host));
  return new Map(left.filter(({ isGone }) => !isGone || !isRestored).map((leaf) => [leaf, 'gone']));
}

function expectAll(
  hierarchy: Hierarchy,
  when: string,
  expected: ReadonlyMap<Machine, 'up' | 'lost' | 'gone'>,
): void {
  const { history } = hierarchy.site;
  const parents = hierarchy.present().filter(({ name }) => name === 'p1' || name === 'p2');
  const leaders = parents.filter(({ process }) => process?.puller !== undefined);
  if (leaders.length !== 1) {
    return history.fault('registration', `${when}: ${leaders.length} parents lead`);
  }
  const sources = leaders[0].process!.hierarchy().sources;
  for (const [{ host, name }, health] of expected) {
    const found = sources.find(({ url }) => new URL(url).host === host)?.health ?? 'gone';
    if (found === health) continue;
    history.fault('registration', `${when}: ${name} is ${found}, not ${health}`);
  }
}
