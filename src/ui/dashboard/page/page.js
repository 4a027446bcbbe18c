// The page: what comes from the region, what the user looks at, and what a button does.
'use strict';

const SYMBOLS = {
  scale_out: ['▲', false], scale_in: ['▼', false], launched: ['+', false], replaced: ['↻', false], ended: ['✕', true],
  failed: ['!', true], unhealthy: ['!', true], healthy: ['✓', false], alarm: ['◆', true], recovered: ['◇', false],
  settled: ['◇', false], refresh: ['⚑', false], disturbed: ['✕', true], phase: ['●', false],
};
const find = id => document.getElementById(id);
const make = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

let view = null;
let cross = null;
let drawing = false;
// What is looked at; the address keeps it.
const looked = {cluster: '', from: null, to: null};

function remember() {
  const parts = new URLSearchParams();
  if (looked.cluster) parts.set('cluster', looked.cluster);
  if (looked.from !== null) { parts.set('from', Math.round(looked.from)); parts.set('to', Math.round(looked.to)); }
  history.replaceState(null, '', `#${parts}`);
}

function recall() {
  const parts = new URLSearchParams(location.hash.slice(1));
  looked.cluster = parts.get('cluster') || '';
  const [from, to] = [Number(parts.get('from')), Number(parts.get('to'))];
  if (from > 0 && to > from) Object.assign(looked, {from, to});
}

function windowNow() {
  if (looked.from !== null) return {from: looked.from, to: looked.to};
  const to = Date.parse(view.at) / 1000;
  // What nobody has seen yet takes no room: at least ten minutes.
  const known = view.clusters.flatMap(cluster => [...cluster.series.rate.slice(0, 1), ...cluster.series.cpu.slice(0, 1)].map(([at]) => at));
  const first = Math.min(...known, to - 600);
  return {from: Math.max(to - view.span, first), to};
}

const shown = () => {
  const one = view.clusters.filter(cluster => cluster.name === looked.cluster);
  return one.length ? one : view.clusters;
};

// The bands that there are now: one for each metric that a policy follows.
let bands = [];
function arrange() {
  const clusters = shown();
  const signals = new Map();
  for (const alarm of view.alarms.filter(alarm => clusters.some(cluster => cluster.name === alarm.cluster))) {
    const key = `${alarm.cluster} ${alarm.policy}`;
    signals.set(key, [...(signals.get(key) || []), alarm]);
  }
  const wanted = [
    {key: 'load', name: 'load', unit: 'requests/s', height: 110, draw: band => chart.load(band, view, shown())},
    {key: 'answers', name: 'answers', unit: '% errors by code', height: 46, draw: band => chart.answers(band, view, shown())},
    {key: 'latency', name: 'latency', unit: '', height: 110, draw: band => chart.latency(band, view, shown())},
    ...[...signals].map(([key, alarms]) => ({key: `signal ${key}`, name: 'signal', unit: `${alarms[0].cluster}: ${alarms[0].metric}`, height: 80,
      draw: band => chart.signal(band, view, view.alarms.filter(alarm => `${alarm.cluster} ${alarm.policy}` === key))})),
    {key: 'capacity', name: 'capacity', unit: 'instances; dashed is desired', height: 90, draw: band => chart.capacity(band, view, shown())},
    {key: 'events', name: 'events', unit: '', height: 44, draw: band => chart.events(band, view, told(), SYMBOLS, detail)},
  ];
  if (bands.map(one => one.key).join() !== wanted.map(one => one.key).join()) {
    bands = wanted.map(one => ({...one, band: new chart.Band(one.name, one.unit, one.height)}));
    bands.forEach(({band}) => listen(band));
    find('bands').replaceChildren(...bands.map(one => one.band.root));
  }
}

function draw() {
  drawing = false;
  if (!view) return;
  arrange();
  const span = windowNow();
  for (const {band, draw} of bands) {
    band.begin(span);
    draw(band);
    band.finish();
    band.point(cross);
  }
  find('follow').setAttribute('aria-pressed', looked.from === null);
}

const redraw = () => {
  if (!drawing) { drawing = true; requestAnimationFrame(draw); }
};

// Crosshair, zoom and drag: shared by all bands.
function listen(band) {
  const pointers = new Map();
  const secondAt = event => band.second(event.clientX - band.svg.getBoundingClientRect().left);
  const zoom = (middle, factor) => {
    const {from, to} = windowNow();
    const size = Math.min(Math.max((to - from) * factor, 120), 86400 * 2);
    looked.from = middle - (middle - from) * size / (to - from);
    looked.to = looked.from + size;
    remember();
    redraw();
  };
  band.svg.addEventListener('wheel', event => {
    event.preventDefault();
    zoom(secondAt(event), event.deltaY > 0 ? 1.2 : 1 / 1.2);
  }, {passive: false});
  band.svg.addEventListener('pointerdown', event => {
    pointers.set(event.pointerId, event.clientX);
    band.svg.setPointerCapture(event.pointerId);
  });
  band.svg.addEventListener('pointermove', event => {
    const before = pointers.get(event.pointerId);
    if (before !== undefined && pointers.size === 1 && Math.abs(event.clientX - before) > 2) {
      const {from, to} = windowNow();
      const moved = (event.clientX - before) * (to - from) / (band.width - chart.LEFT - chart.RIGHT);
      Object.assign(looked, {from: from - moved, to: to - moved});
      pointers.set(event.pointerId, event.clientX);
      remember();
      redraw();
    } else if (pointers.size === 2) {
      const distance = () => Math.abs([...pointers.values()].reduce((a, b) => a - b)) || 1;
      const old = distance();
      pointers.set(event.pointerId, event.clientX);
      zoom(secondAt(event), old / distance());
    }
    cross = event.clientX - band.svg.getBoundingClientRect().left;
    bands.forEach(one => one.band.point(cross));
  });
  for (const over of ['pointerup', 'pointercancel']) band.svg.addEventListener(over, event => pointers.delete(event.pointerId));
  band.svg.addEventListener('pointerleave', () => { cross = null; bands.forEach(one => one.band.point(null)); });
  band.svg.addEventListener('dblclick', follow);
}

function follow() {
  looked.from = looked.to = null;
  remember();
  redraw();
}

const told = () => view.events.filter(event => event.kind !== 'settled' && (!looked.cluster || event.cluster === looked.cluster || !event.cluster));

// Only what changed is written again: a button under the pointer stays the same one.
const before = new Map();
function fill(place, key, rows) {
  const text = JSON.stringify(key);
  if (before.get(place) === text) return;
  before.set(place, text);
  place.replaceChildren(...rows());
}

function figures() {
  const row = cluster => {
    const {now, capacity} = cluster;
    const way = `${capacity.warming ? ` +${capacity.warming}` : ''}${capacity.leaving ? ` −${capacity.leaving}` : ''}`;
    const percent = value => value === null ? '–' : `${chart.short(value)} %`;
    const list = [
      ['desired', capacity.desired], ['in service', `${capacity.in_service}${way}`],
      ['healthy', `${capacity.healthy ?? '–'}/${cluster.targets}`, capacity.unhealthy > 0],
      ['rate', now.rate === null ? '–' : `${chart.short(now.rate)}/s`], ['p50', chart.ms(now.p50_ms)], ['p99', chart.ms(now.p99_ms)],
      ['errors', percent(now.errors), now.errors > 0], ['CPU', percent(now.cpu)],
    ];
    const scale = make('span', {class: 'scale'});
    if (cluster.kind === 'group')
      for (const [by, sign] of [[-1, '−'], [1, '+']]) {
        const to = capacity.desired + by;
        const button = make('button', {type: 'button', title: `desired capacity ${to} (the group takes ${cluster.min} to ${cluster.max})`}, `${sign} scale`);
        button.disabled = to < cluster.min || to > cluster.max;
        button.addEventListener('click', () => ask(`Scale ${cluster.name} from ${capacity.desired} to ${to} instances?${cost()}`, {scale: {cluster: cluster.name, to}}));
        scale.append(button);
      }
    const facts = list.map(([name, value, bad]) => make('div', {}, make('dt', {}, name), make('dd', bad ? {class: 'bad'} : {}, String(value))));
    return make('div', {class: 'cluster'},
      make('h2', {}, make('i', {class: `swatch ${chart.hue(view, cluster.name)}`}), `${cluster.name} · ${cluster.instance_type}`, scale), make('dl', {}, ...facts));
  };
  fill(find('figures'), shown().map(cluster => [cluster.name, cluster.now, cluster.capacity, cluster.targets]), () => shown().map(row));
}

function instances() {
  const at = Date.parse(view.at);
  const age = launched => {
    if (!launched) return '–';
    const minutes = Math.max(0, Math.floor((at - Date.parse(launched)) / 60000));
    return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  };
  const cell = (name, value, kind) => make('td', {'data-name': name, ...(kind ? {class: kind} : {})}, value);
  const row = (cluster, instance) => {
    const log = make('button', {type: 'button'}, 'console');
    log.addEventListener('click', () => console_(instance.id));
    const kill = make('button', {type: 'button', class: 'danger'}, 'kill');
    const after = cluster.kind === 'group' ? 'Its group launches another.' : 'Only `cloudscale up` brings another.';
    kill.addEventListener('click', () => ask(`Terminate ${instance.id} of ${cluster.name}? ${after}${cost()}`, {kill: {cluster: cluster.name, instance: instance.id}}));
    const health = instance.reason ? `${instance.health}: ${instance.reason}` : instance.health;
    return make('tr', {}, cell('', instance.id), cell('cluster', cluster.name), cell('zone', instance.zone), cell('age', age(instance.launched)),
      cell('state', instance.lifecycle || instance.state), cell('health', health, instance.health.startsWith('unhealthy') ? 'bad' : ''), make('td', {}, log, ' ', kill));
  };
  const all = shown().flatMap(cluster => cluster.instances.map(instance => [cluster, instance]));
  const key = all.map(([cluster, instance]) => [cluster.name, instance, age(instance.launched)]);
  fill(find('instances').tBodies[0], key, () => all.map(([cluster, instance]) => row(cluster, instance)));
}

function eventList() {
  const list = told().slice(-100).reverse();
  fill(find('events'), list.map(event => [event.id, event.text]), () => list.length ? list.map(event => {
    const [symbol, bad] = SYMBOLS[event.kind] || ['•', false];
    const more = make('button', {type: 'button', title: 'in AWS’s own words'}, 'why');
    more.addEventListener('click', () => detail(event));
    return make('li', {}, make('span', {}, chart.clock(Date.parse(event.at) / 1000)), make('span', {}, event.cluster),
      make('span', bad ? {class: 'bad'} : {}, symbol), make('span', {}, event.text), more);
  }) : [make('li', {}, make('span', {}, ''), make('span', {}, ''), make('span', {}, ''), make('span', {}, 'nothing has happened yet'))]);
}

function navigation() {
  const names = ['', ...view.clusters.map(cluster => cluster.name)];
  fill(find('clusters'), [names, looked.cluster], () => names.map(name => {
    const button = make('button', {type: 'button', 'aria-pressed': looked.cluster === name}, name || 'all');
    button.addEventListener('click', () => { looked.cluster = name; remember(); show(); });
    return button;
  }));
}

const cost = () => view.provider === 'aws' ? ' This is on AWS.' : '';

function detail(event) {
  find('detail-title').textContent = event.text;
  const words = (event.activities || []).map(activity => `${activity.description} (${activity.status})\n${activity.cause}`);
  const rest = [event.prose, (event.instances || []).length ? `instances: ${event.instances.join(', ')}` : '', event.alarm ? `alarm: ${event.alarm}` : ''];
  find('detail-text').textContent = [`${event.at} · ${event.cluster}`, ...words, ...rest.filter(Boolean)].join('\n\n');
  find('detail').showModal();
}

async function console_(instance) {
  find('detail-title').textContent = `console of ${instance}`;
  find('detail-text').textContent = 'loading …';
  find('detail').showModal();
  const answer = await fetch(`console/${encodeURIComponent(instance)}`).catch(error => ({ok: false, text: () => String(error)}));
  find('detail-text').textContent = (await answer.text()) || 'it has printed nothing';
}

// Nothing is done without a yes, and what was done or not is told.
function ask(question, action) {
  find('question').textContent = question;
  const dialog = find('ask');
  dialog.returnValue = 'no';
  dialog.onclose = async () => {
    if (dialog.returnValue !== 'yes') return;
    let told;
    try {
      const answer = await fetch('act', {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(action)});
      told = await answer.text();
    } catch (error) {
      told = String(error);
    }
    find('detail-title').textContent = question;
    find('detail-text').textContent = told;
    find('detail').showModal();
  };
  dialog.showModal();
}

function show() {
  if (!view) return;
  document.title = `${view.stack} · cloudscale`;
  find('title').textContent = view.stack;
  const breaching = view.alarms.filter(alarm => alarm.state === 'ALARM').length;
  find('state').className = '';
  find('state').textContent = `${view.provider}${view.speed > 1 ? ` ×${view.speed}` : ''} · ${view.at.slice(0, 10)} ${chart.clock(Date.parse(view.at) / 1000)} UTC · ${view.alarms.length} alarms, ${breaching} in ALARM${view.stopped ? ' · stopped' : ''}`;
  find('missing').hidden = !view.missing.length;
  find('missing').textContent = view.missing.length ? `Not all can be read: ${view.missing.join('; ')}` : '';
  navigation();
  figures();
  eventList();
  instances();
  redraw();
}

recall();
find('follow').addEventListener('click', follow);
new ResizeObserver(redraw).observe(find('bands'));
const source = new EventSource('events');
source.onmessage = message => { view = JSON.parse(message.data); show(); };
source.addEventListener('lost', message => { find('state').className = 'lost'; find('state').textContent = JSON.parse(message.data); });
source.onerror = () => { find('state').className = 'lost'; find('state').textContent = 'cloudscale dashboard does not answer; trying again'; };
