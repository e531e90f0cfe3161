/** Compares what a world's head says with what plain arrays say, also of snapshots that were pinned before. */
import { type Family, type TimeRange, asTime } from '@canopy/model';
import type { HeadSnapshot } from '../select/snapshot.js';
import { type ModelWorld, RUN_BREAK } from './model-world.js';
import {
  type Answer,
  answerOf,
  familiesOf,
  invented,
  lastOf,
  newestIn,
  plainAnswer,
  plainMetadata,
  say,
  since,
  withoutRefused,
} from './plain-answer.js';

interface Pinned {
  readonly snapshot: HeadSnapshot;
  readonly lives: number;
  readonly range: TimeRange;
  readonly answer: Answer;
  /** What the world had been through by then. */
  readonly changes: number;
}

const EVER: TimeRange = { minTime: asTime(0), maxTime: asTime(8.64e15) };

export class Witness {
  readonly #world: ModelWorld;
  #pinned: Pinned | undefined;
  /** Answers compared, and those of snapshots from before something was sealed, merged or dropped. */
  compared = 0;
  comparedLater = 0;

  constructor(world: ModelWorld) {
    this.#world = world;
  }

  /** After a step of the world. */
  async look(): Promise<void> {
    const world = this.#world;
    if (world.random(8) === 0) await this.#compare();
    const pinned = this.#pinned;
    if (pinned === undefined) return;
    const isOver = pinned.lives !== world.lives || !world.isLevel;
    if (!isOver && world.random(10) > 0) return;
    if (!isOver) await this.#compareLater(pinned);
    this.end();
  }

  /** Lets go of what is pinned. */
  end(): void {
    this.#pinned?.snapshot.release();
    this.#pinned = undefined;
  }

  async #compare(): Promise<void> {
    const world = this.#world;
    const snapshot = world.head.snapshot();
    world.check(invented(world.groups, await answerOf(snapshot, EVER)), []);
    if (!world.isLevel) return snapshot.release();
    const range = this.#exact(world.range());
    const answer = plainAnswer(world.groups, range, RUN_BREAK);
    const families = new Map<string, Family | undefined>();
    const said = await answerOf(snapshot, range, families);
    world.check(withoutRefused(world.groups, said, answer), answer);
    world.check(await lastOf(snapshot, range), newestIn(said));
    for (const [name, family] of families) {
      if (!familiesOf(world.groups, name).has(say(family))) world.check(say(family), name);
    }
    // After a restart a journal may have been further than what the store has says: silence is found out later.
    const told = new Set([...world.head.metadata().values()].flat().map(say));
    const maySay = world.groups
      .filter(({ isRestored }) => isRestored)
      .flatMap(({ options }) => options.families.map(say));
    const expected = plainMetadata(world.groups);
    for (const text of maySay) if (!expected.includes(text)) told.delete(text);
    world.check([...told].sort(), expected);
    const names = new Set(await snapshot.labelValues('__name__', [], range));
    world.check(
      Object.keys(answer).filter((name) => !names.has(name)),
      [],
    );
    this.compared++;
    if (this.#pinned === undefined && world.random(2) === 0) {
      const { lives, changes } = world;
      this.#pinned = { snapshot, lives, range, answer, changes };
    } else snapshot.release();
  }

  async #compareLater({ snapshot, range, answer, changes }: Pinned): Promise<void> {
    const world = this.#world;
    const kept = this.#exact(range);
    const expected = since(answer, kept.minTime);
    const said = await answerOf(snapshot, kept);
    world.check(withoutRefused(world.groups, said, expected), expected);
    world.check(await lastOf(snapshot, kept), newestIn(said));
    if (world.changes > changes) this.comparedLater++;
  }

  /** The part of a range whose answer is known. */
  #exact({ minTime, maxTime }: TimeRange): TimeRange {
    const from = Math.max(minTime, this.#world.exactFrom);
    return { minTime: asTime(from), maxTime: asTime(Math.max(from, maxTime)) };
  }
}
