/**
 * Objects of the Kubernetes API to targets: a page of a list, and what is made of each pod.
 * `npx tsx packages/scrape/bench/kubernetes.bench.ts [pods]`
 */
import type { Pod } from '../src/discovery/kubernetes/objects.js';
import { podTargets } from '../src/discovery/kubernetes/roles.js';

const count = Number(process.argv[2] ?? 2000);
const PAGE = 200;

/** About 8 KB, as pods are with what their controllers wrote into them. */
const pod = (i: number): Pod => ({
  metadata: {
    name: `web-7d4b9c6f5-${i}`,
    namespace: 'shop',
    uid: `6f1b7a0e-0000-4000-8000-${i}`,
    labels: { app: 'web', 'pod-template-hash': '7d4b9c6f5', 'app.kubernetes.io/part-of': 'shop' },
    annotations: { 'prometheus.io/scrape': 'true', note: 'x'.repeat(6000) },
    ownerReferences: [{ kind: 'ReplicaSet', name: 'web-7d4b9c6f5', controller: true }],
  },
  spec: {
    nodeName: `node-${i % 50}`,
    containers: [{ name: 'web', image: 'web:1', ports: [{ containerPort: 8080 }] }],
  },
  status: {
    phase: 'Running',
    podIP: `10.0.${i >> 8}.${i & 255}`,
    conditions: [{ type: 'Ready', status: 'True' }],
    containerStatuses: [{ name: 'web', containerID: 'containerd://1' }],
  },
});

const pods = Array.from({ length: count }, (_, i) => pod(i));
const page = JSON.stringify({ items: pods.slice(0, PAGE) });
const nobody = () => undefined;
const look = { node: nobody, namespace: nobody, pod: nobody, service: nobody };

let parse = Number.POSITIVE_INFINITY;
let build = Number.POSITIVE_INFINITY;
for (let round = 0; round < 7; round++) {
  let start = performance.now();
  JSON.parse(page);
  parse = Math.min(parse, performance.now() - start);
  start = performance.now();
  let targets = 0;
  for (const one of pods) {
    targets += podTargets(one, look, { node: false, namespace: false }).length;
  }
  if (targets !== count) throw new Error('BUG: a target a pod was expected');
  build = Math.min(build, performance.now() - start);
}
console.log(`pods                         ${count}`);
console.log(`a page of ${PAGE}, parsed        ${parse.toFixed(1)} ms (${page.length >> 10} KiB)`);
console.log(`targets of a pod             ${((build * 1000) / count).toFixed(1)} us`);
console.log(
  `parse a pod / make targets   ${(parse / Math.min(PAGE, count) / (build / count)).toFixed(2)}`,
);
