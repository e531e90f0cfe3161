/** What sources may hand over, from what they registered and what the configuration says of them. */
import type { IncomingMessage } from 'node:http';
import {
  type AuthorityOptions,
  type LeafRegistry,
  type RegisteredLeaf,
  type SourceTrust,
  rightsOf,
} from '@canopy/federation';
import { type Labels, type PullTarget, type TargetStatus, labelValue } from '@canopy/model';
import { LEAF_JOB } from './leaf-discovery.js';

const FEDERATE = '/federate';

/** The leaf that announced the address of a target. */
export function leafOf(
  registry: LeafRegistry,
  url: string,
  labels: Labels,
): RegisteredLeaf | undefined {
  if (labelValue(labels, 'job') !== LEAF_JOB) return undefined;
  const { origin, pathname } = new URL(url);
  return registry.at(`${origin}${pathname.slice(0, -FEDERATE.length)}`);
}

/** `enforced`: labels of which a source may write the registered values only. */
export function trustOf(
  registry: LeafRegistry,
  enforced: readonly string[],
  { url, labels }: PullTarget,
): SourceTrust {
  const leaf = leafOf(registry, url, labels);
  if (leaf === undefined) {
    // Listed by whoever runs this parent: held to the labels that the list gives it.
    const given = enforced.map((name) => [name, labelValue(labels, name)] as const);
    const rules = given.filter(([, value]) => value !== '');
    const sets = rules.map(([name, value]) => [name, new Set([value])] as const);
    return { journal: undefined, relays: true, labels: new Map(sets) };
  }
  const { rights, role } = leaf;
  const rules = enforced.map((name) => {
    const announced = leaf.labels[name];
    const values = rights.labels[name] ?? (announced === undefined ? [] : [announced]);
    return [name, new Set(values)] as const;
  });
  return {
    journal: leaf.journal,
    relays: role === 'parent' && rights.relays,
    labels: new Map(rules),
  };
}

/**
 * What a remote write may say: nothing is registered for it, so its token says so.
 * @throws CanopyError `forbidden` where labels are enforced and who it comes from is not known.
 */
export async function rulesOfWriter(
  req: IncomingMessage,
  enforced: readonly string[],
  options: AuthorityOptions,
): Promise<SourceTrust['labels']> {
  if (enforced.length === 0) return new Map();
  const { labels } = await rightsOf(req, options);
  return new Map(
    enforced.flatMap((name) => (name in labels ? [[name, new Set(labels[name])] as const] : [])),
  );
}

/** Says of the target of a lost leaf that it is lost. */
export function withLoss(registry: LeafRegistry, target: TargetStatus): TargetStatus {
  const leaf = leafOf(registry, target.scrapeUrl, target.labels);
  if (leaf === undefined || !leaf.lost || target.health === 'up') return target;
  const since = new Date(leaf.lastSeen).toISOString();
  const why = target.lastError === '' ? '' : `: ${target.lastError}`;
  return { ...target, lastError: `lost: the leaf was last heard of at ${since}${why}` };
}
