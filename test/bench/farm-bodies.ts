/** What the farm's exporters say; the same each time. */

/** Uniform in [0, 1), the same sequence each time (mulberry32). */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Bodies that follow one another, without end: which series change, and by how much, is by chance. */
export function* farmBodies(series: number, changed: number, seed = 1): Generator<Buffer> {
  const random = makeRandom(seed);
  const values = Array.from({ length: series }, () => Math.floor(random() * 100_000));
  for (;;) {
    const lines: string[] = [];
    for (let i = 0; i < series; i++) {
      if (i % 100 === 0) {
        lines.push(`# HELP farm_metric_${i / 100}_total Things that were counted.`);
        lines.push(`# TYPE farm_metric_${i / 100}_total counter`);
      }
      if (random() < changed) values[i] += 1 + Math.floor(random() * 1000);
      const labels = `path="/api/v1/resource/${i % 100}",method="GET",code="200",zone="zone-${i % 3}"`;
      lines.push(`farm_metric_${Math.floor(i / 100)}_total{${labels}} ${values[i]}`);
    }
    yield Buffer.from(`${lines.join('\n')}\n`);
  }
}
