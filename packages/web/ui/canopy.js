/**
 * The page of a Canopy process. All that comes from the API is text of strangers (labels, errors,
 * names): it reaches the page as text nodes only, and links only where they are http or https.
 */
const REFRESH_MS = 5000;
const ANSWER_WITHIN_MS = 10_000;
const GAPS_SHOWN = 20;
const ROWS_SHOWN = 500;

const byId = (id) => document.getElementById(id);

/** An element with classes and children; children are nodes or text. */
function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

const row = (...cells) => element('tr', '', ...cells);
const cell = (text, className = '') => element('td', className, text);
const number = (text, className = '') => cell(text, `num ${className}`);

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const count = (value) => (value < 100_000 ? grouped.format(value) : short.format(value));

function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let power = 0;
  while (value >= 1024 && power < units.length - 1) {
    value /= 1024;
    power++;
  }
  return `${value.toFixed(value < 10 && power > 0 ? 1 : 0)} ${units[power]}`;
}

/** Seconds for people: `0.8 s`, `42 s`, `3 m 20 s`, `5 h 2 m`, `3 d 4 h`. */
function seconds(value) {
  if (!Number.isFinite(value)) return '–';
  if (value < 10) return `${Math.max(0, value).toFixed(1)} s`;
  const steps = [['d', 86_400], ['h', 3600], ['m', 60], ['s', 1]];
  const at = steps.findIndex(([, size]) => value >= size);
  const [unit, size] = steps[at];
  const whole = Math.floor(value / size);
  const next = steps[at + 1];
  const rest = next ? Math.floor((value - whole * size) / next[1]) : 0;
  return rest > 0 ? `${whole} ${unit} ${rest} ${next[0]}` : `${whole} ${unit}`;
}

// Sweden writes times as 2026-01-31 13:05:00, which everybody can read and which sorts.
const clockTime = (ms) => (ms > 0 ? new Date(ms).toLocaleString('sv-SE') : '–');

function link(url, text) {
  try {
    const parsed = new URL(url);
    if (parsed.protocol === 'http:' || parsed.protocol === 'https:') {
      const made = element('a', '', text);
      made.href = parsed.href;
      made.rel = 'noopener noreferrer';
      return made;
    }
  } catch {
    // Not a link: shown as text.
  }
  return document.createTextNode(text);
}

/** `{status, data}` of an API answer; throws its error text, or why there was no answer. */
async function ask(path, parameters = {}) {
  const query = new URLSearchParams(parameters);
  const response = await fetch(`${path}?${query}`, {
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    cache: 'no-store',
  });
  const isJson = (response.headers.get('content-type') ?? '').includes('json');
  if (!isJson) throw new Error((await response.text()).trim() || response.statusText);
  const answer = await response.json();
  if (answer.status !== 'success') throw new Error(answer.error);
  return answer;
}

const ownJournals = (status) => (status.journal ? [status.journal] : []);
const total = (list, of) => list.reduce((sum, item) => sum + of(item), 0);
const gapsIn = (journals) => total(journals, (journal) => journal.ledger.gapsTotal);

/** Seconds of the journal that is furthest behind; undefined where none has said anything. */
function worstLag(journals) {
  const known = journals.filter((journal) => journal.ledger.watermark > 0);
  return known.length === 0 ? undefined : Math.max(...known.map((journal) => journal.lagSeconds));
}

function lagCell(lag) {
  if (lag === undefined) return number('–');
  return number(seconds(lag), lag > 300 ? 'bad' : lag > 60 ? 'warn' : '');
}

function awayCell(away) {
  return number(away < 0 ? '–' : seconds(away), away >= 0 && away < 3600 ? 'warn' : '');
}

function processCell(branch, node) {
  return element('td', '', element('span', 'branch', branch), node);
}

/** Numbers of a process's own report, or dashes where it sent none. */
function reportCells(report) {
  if (!report) return [number('–'), number('–'), number('–'), number('–')];
  const { up, down } = report.targets;
  return [
    number(count(up)),
    number(count(down), down > 0 ? 'bad' : ''),
    number(count(report.activeSeries)),
    number(count(report.samplesPerSecond)),
  ];
}

function ownRow(status) {
  const gaps = gapsIn(ownJournals(status));
  const name = element('b', '', status.name);
  return row(
    processCell('', name),
    cell('this process', 'dim'),
    ...reportCells(status),
    lagCell(worstLag(ownJournals(status))),
    number(count(gaps), gaps > 0 ? 'warn' : ''),
    number('–'),
  );
}

/** Rows of the sources below `status`, deepest levels included. */
function sourceRows(status, indent, rows) {
  status.sources.forEach((source, index) => {
    const last = index === status.sources.length - 1;
    const gaps = gapsIn(source.journals);
    const state = cell(source.health, `state ${STATES.has(source.health) ? source.health : ''}`);
    if (source.lastError) state.append(element('div', 'bad', source.lastError));
    const name = element('span', '', link(source.url, source.name));
    if (source.kind === 'foreign') name.append(element('span', 'dim', ' (foreign)'));
    rows.push(
      row(
        processCell(`${indent}${last ? '└─ ' : '├─ '}`, name),
        state,
        ...reportCells(source.report),
        lagCell(worstLag(source.journals)),
        number(count(gaps), gaps > 0 ? 'warn' : ''),
        awayCell(source.mayBeAwaySeconds),
      ),
    );
    if (source.report) sourceRows(source.report, `${indent}${last ? '   ' : '│  '}`, rows);
  });
  return rows;
}

const STATES = new Set(['up', 'down', 'lost', 'unknown']);

function tile(value, label, className = '') {
  return element('div', 'tile', element('b', className, value), element('span', '', label));
}

function showSummary(status) {
  const { up, down, unknown } = status.targets;
  const tiles = [tile(`${count(up)} / ${count(up + down + unknown)}`, 'targets up', down ? 'bad' : '')];
  if (status.sources.length > 0) {
    const alive = status.sources.filter((source) => source.health === 'up').length;
    const all = status.sources.length;
    tiles.push(tile(`${count(alive)} / ${count(all)}`, 'sources up', alive < all ? 'bad' : ''));
  }
  tiles.push(tile(count(status.activeSeries), 'active series'));
  tiles.push(tile(count(status.samplesPerSecond), 'samples per second'));
  const journals = [...ownJournals(status), ...status.sources.flatMap((source) => source.journals)];
  const lag = worstLag(journals);
  if (lag !== undefined) tiles.push(tile(seconds(lag), 'largest lag', lag > 60 ? 'warn' : ''));
  tiles.push(tile(count(gapsIn(journals)), 'gaps known'));
  tiles.push(storeTile(status.store));
  byId('summary').replaceChildren(...tiles);
}

function storeTile(store) {
  const limit = store.limitBytes > 0 ? ` of ${bytes(store.limitBytes)}` : '';
  const made = tile(bytes(store.usedBytes), `${store.kind} store${limit}`, store.healthy ? '' : 'bad');
  if (store.limitBytes > 0) {
    const meter = document.createElement('meter');
    meter.max = store.limitBytes;
    meter.high = store.limitBytes * 0.8;
    meter.value = store.usedBytes;
    made.append(meter);
  }
  return made;
}

function showNotices(status) {
  const notices = status.notices.map((text) => element('p', 'notice', text));
  if (!status.store.healthy) {
    notices.unshift(element('p', 'notice bad', `store: ${status.store.message}`));
  }
  byId('notices').replaceChildren(...notices);
}

function showGaps(status) {
  const listed = [];
  const collect = (name, journal) => {
    for (const gap of journal.ledger.gaps) listed.push({ name, gap });
  };
  for (const journal of ownJournals(status)) collect(status.name, journal);
  for (const source of status.sources) {
    for (const journal of source.journals) collect(source.name, journal);
  }
  listed.sort((a, b) => b.gap.to - a.gap.to);
  const shown = listed.slice(0, GAPS_SHOWN);
  byId('gaps-table').hidden = shown.length === 0;
  byId('gaps-note').textContent =
    shown.length === 0 ? 'No gap is known.' : `The newest ${shown.length}, latest first.`;
  byId('gaps').replaceChildren(
    ...shown.map(({ name, gap }) =>
      row(
        cell(gap.group === 0 ? name : `${name}, group ${gap.group}`),
        cell(clockTime(gap.from)),
        cell(clockTime(gap.to)),
        number(seconds((gap.to - gap.from) / 1000)),
        cell(gap.cause),
        number(gap.frames < 0 ? 'not known' : count(gap.frames)),
      ),
    ),
  );
}

function labelText(labels) {
  const { __name__: name = '', ...rest } = labels;
  const pairs = Object.entries(rest).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return name !== '' && pairs.length === 0 ? name : `${name}{${pairs.join(', ')}}`;
}

function showTargets(targets) {
  const shown = targets.slice(0, ROWS_SHOWN);
  byId('targets-table').hidden = shown.length === 0;
  byId('targets-note').textContent =
    targets.length === 0
      ? 'None.'
      : targets.length > shown.length
        ? `${shown.length} of ${targets.length}; all of them are in the API.`
        : '';
  byId('targets').replaceChildren(
    ...shown.map((target) => {
      const scraped = Date.parse(target.lastScrape);
      const ago = scraped > 0 ? `${seconds((Date.now() - scraped) / 1000)} ago` : 'not yet';
      return row(
        cell(target.scrapePool),
        element('td', 'code', link(target.scrapeUrl, target.scrapeUrl)),
        cell(target.health, `state ${STATES.has(target.health) ? target.health : ''}`),
        cell(labelText(target.labels), 'code'),
        number(ago),
        number(`${Math.round(target.lastScrapeDuration * 1000)} ms`),
        cell(target.lastError, 'bad'),
      );
    }),
  );
}

let lastAnswer = 0;

async function refresh() {
  try {
    const [hierarchy, targets] = await Promise.all([
      ask('api/v1/status/hierarchy', { gaps: GAPS_SHOWN }),
      ask('api/v1/targets', { state: 'active' }),
    ]);
    const status = hierarchy.data;
    document.title = `${status.name} · Canopy`;
    byId('name').textContent = status.name;
    byId('role').textContent = status.role;
    byId('version').textContent = `Canopy ${status.version}`;
    showNotices(status);
    showSummary(status);
    byId('hierarchy').replaceChildren(ownRow(status), ...sourceRows(status, '', []));
    showGaps(status);
    showTargets(targets.data.activeTargets);
    lastAnswer = Date.now();
    byId('freshness').className = 'dim push';
    byId('freshness').textContent = `as of ${new Date().toLocaleTimeString('sv-SE')}`;
  } catch (error) {
    const since = lastAnswer > 0 ? `, shown as of ${clockTime(lastAnswer)}` : '';
    byId('freshness').className = 'bad push';
    byId('freshness').textContent = `no answer (${error.message})${since}`;
  }
}

/** Ends the pause between two refreshes. */
let wake = () => {};

async function refreshForEver() {
  for (;;) {
    if (!document.hidden) await refresh();
    await new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, REFRESH_MS);
    });
  }
}

function resultRows({ resultType, result }) {
  if (resultType === 'scalar' || resultType === 'string') {
    return [row(cell(resultType, 'dim'), number(result[1]))];
  }
  return result.slice(0, ROWS_SHOWN).map((series) => {
    const points = series.values ?? [series.value];
    const text = points.map(([time, value]) => (series.values ? `${value} @${time}` : value));
    return row(cell(labelText(series.metric), 'code'), number(text.slice(-20).join('  ')));
  });
}

async function runQuery(event) {
  event.preventDefault();
  const note = byId('query-note');
  const table = byId('query-table');
  const expression = byId('query').value.trim() || byId('query').placeholder;
  byId('query').value = expression;
  note.className = 'dim';
  note.textContent = 'running…';
  try {
    const started = performance.now();
    const answer = await ask('api/v1/query', { query: expression, limit: ROWS_SHOWN });
    const rows = resultRows(answer.data);
    byId('query-rows').replaceChildren(...rows);
    table.hidden = rows.length === 0;
    const said = [...(answer.warnings ?? []), ...(answer.infos ?? [])];
    const took = `${Math.round(performance.now() - started)} ms`;
    note.textContent = [`${rows.length} series, ${took}`, ...said].join(' · ');
  } catch (error) {
    table.hidden = true;
    note.className = 'bad';
    note.textContent = error.message;
  }
}

// Shown again: at once, not at the end of the pause.
document.addEventListener('visibilitychange', () => document.hidden || wake());
byId('query-form').addEventListener('submit', runQuery);
refreshForEver();
