// The one picture: bands over one axis of time. Given a view and a window, it draws; it asks nobody.
'use strict';

const chart = (() => {
  const SVG = 'http://www.w3.org/2000/svg';
  const LEFT = 46, RIGHT = 74, GAP = 4;
  const PERIOD = 60;

  const node = (name, attributes = {}, text) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // Three significant digits; thin spaces in thousands.
  const short = value => {
    if (value === null || value === undefined || !isFinite(value)) return '–';
    const size = Math.abs(value);
    if (size >= 1000) return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, '\u2009');
    const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
    return String(Number(value.toFixed(digits)));
  };
  const ms = value => value === null || value === undefined ? '–'
    : value < 1 ? `${short(value * 1000)} µs` : value < 1000 ? `${short(value)} ms` : `${short(value / 1000)} s`;
  const pad = number => String(number).padStart(2, '0');
  const clock = (second, long = true) => {
    const at = new Date(second * 1000);
    const text = `${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}`;
    return long ? `${text}:${pad(at.getUTCSeconds())}` : text;
  };

  const niceTop = value => {
    if (!(value > 0)) return 1;
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 2.5, 5, 10].map(step => step * power).find(step => step >= value * 0.999);
  };
  const TIME_STEPS = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

  class Band {
    constructor(name, unit, height) {
      this.height = height;
      this.root = document.createElement('div');
      this.root.className = 'band';
      const head = document.createElement('div');
      head.className = 'head';
      this.title = document.createElement('h2');
      this.title.textContent = name;
      this.unit = document.createElement('span');
      this.unit.className = 'unit';
      this.unit.textContent = unit;
      this.read = document.createElement('span');
      this.read.className = 'read';
      head.append(this.title, this.unit, this.read);
      this.svg = node('svg', {height, role: 'img', 'aria-label': `${name}, ${unit}`});
      this.root.append(head, this.svg);
    }

    begin(window_) {
      this.width = this.svg.clientWidth || 800;
      this.window = window_;
      this.svg.setAttribute('viewBox', `0 0 ${this.width} ${this.height}`);
      this.svg.replaceChildren();
      // What is drawn beyond the window's ends is cut there.
      const inside = this.width - LEFT - RIGHT;
      this.plot = node('svg', {x: LEFT, y: 0, width: inside, height: this.height, viewBox: `${LEFT} 0 ${inside} ${this.height}`});
      this.labels = [];
      this.readers = [];
    }

    x(second) {
      const {from, to} = this.window;
      return LEFT + (this.width - LEFT - RIGHT) * (second - from) / (to - from);
    }

    second(x) {
      const {from, to} = this.window;
      return from + (to - from) * (x - LEFT) / (this.width - LEFT - RIGHT);
    }

    scale(low, high, log) {
      const bottom = this.height - GAP, top = GAP + 4;
      this.y = log
        ? value => bottom - (bottom - top) * (Math.log(Math.max(value, low)) - Math.log(low)) / (Math.log(high) - Math.log(low))
        : value => bottom - (bottom - top) * (value - low) / (high - low);
      this.bottom = bottom;
      this.top = top;
    }

    tick(value, text) {
      const y = this.y(value);
      this.svg.append(node('line', {class: 'grid', x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y}));
      this.svg.append(node('text', {x: LEFT - 6, y: y + 4, 'text-anchor': 'end'}, text));
    }

    // Points within the window, and one beyond each end, in runs without gaps.
    runs(points, period = PERIOD) {
      const {from, to} = this.window;
      const inside = points.filter(([at]) => at >= from - 2 * period && at <= to + period);
      const runs = [];
      for (const point of inside) {
        const last = runs.at(-1);
        if (last && point[0] - last.at(-1)[0] <= period * 1.5) last.push(point);
        else runs.push([point]);
      }
      return runs;
    }

    // Above the grid.
    ink(drawn) {
      if (!this.plot.parentNode) this.svg.append(this.plot);
      this.plot.append(drawn);
    }

    clip(x) { return Math.min(Math.max(x, LEFT), this.width - RIGHT); }

    line(points, kind, period = PERIOD) {
      for (const run of this.runs(points, period)) {
        const at = (second, value) => `${this.x(second).toFixed(1)},${this.y(value).toFixed(1)}`;
        // A point alone is as long as its period.
        const drawn = run.length > 1 ? run.map(([second, value]) => at(second + period / 2, value))
          : [at(run[0][0], run[0][1]), at(run[0][0] + period, run[0][1])];
        this.ink(node('polyline', {class: `line ${kind}`, points: drawn.join(' ')}));
      }
    }

    // Below the line of the same points.
    area(points, kind) {
      for (const run of this.runs(points)) {
        const x = ([at]) => this.x(at + PERIOD / 2).toFixed(1);
        const top = run.map(point => `${x(point)},${this.y(point[1]).toFixed(1)}`);
        this.ink(node('polygon', {class: `area fill ${kind}`, points: [...top, `${x(run.at(-1))},${this.bottom}`, `${x(run[0])},${this.bottom}`].join(' ')}));
      }
    }

    // A name at the end of its line; names never stand over each other.
    label(points, text, kind) {
      const {from, to} = this.window;
      const last = points.filter(([at]) => at >= from && at <= to).at(-1);
      if (last) this.labels.push({y: this.y(last[1]) + 4, text, kind});
    }

    finish() {
      this.labels.sort((a, b) => a.y - b.y);
      let free = 8;
      for (const label of this.labels) label.y = free = Math.max(label.y, free) + 0.001, free += 12;
      let limit = this.height - 2;
      for (const label of [...this.labels].reverse()) { label.y = Math.min(label.y, limit); limit = label.y - 12; }
      for (const {y, text, kind} of this.labels)
        this.svg.append(node('text', {class: `label ${kind}`, x: this.width - RIGHT + 5, y}, text.length > 11 ? text.slice(0, 10) + '…' : text));
      this.cross = node('line', {class: 'cross', y1: 0, y2: this.height, x1: -9, x2: -9});
      this.svg.append(this.cross);
    }

    // The crosshair stays where the pointer is while time goes on; and what each line has there.
    point(x) {
      if (!this.cross) return;
      const seen = x !== null && x >= LEFT && x <= this.width - RIGHT;
      this.cross.setAttribute('x1', seen ? x : -9);
      this.cross.setAttribute('x2', seen ? x : -9);
      const second = this.second(x);
      this.read.textContent = seen ? this.readers.map(read => read(second)).filter(Boolean).join(' · ') : '';
    }

    reader(name, points, format, period = PERIOD) {
      this.readers.push(second => {
        const found = points.findLast(([at]) => at <= second);
        return found && second < found[0] + period ? `${name} ${format(found[1])}`.trim() : '';
      });
    }
  }

  const most = (bands, lists) => {
    const {from, to} = bands;
    return Math.max(0, ...lists.flat().filter(([at]) => at >= from - PERIOD && at <= to).map(([, value]) => value));
  };

  const hue = (view, name) => `c${view.clusters.findIndex(cluster => cluster.name === name) % 6}`;
  const named = (shown, cluster, rest = '') => shown.length > 1 ? `${cluster.name} ${rest}`.trim() : rest;

  function load(band, view, shown) {
    const demand = view.load ? view.load.demand : [];
    const top = niceTop(most(band.window, [...shown.map(cluster => cluster.series.rate), demand]));
    band.scale(0, top);
    band.line(demand, 'plan');
    [0, top / 2, top].forEach(value => band.tick(value, short(value)));
    for (const cluster of shown) {
      const kind = hue(view, cluster.name);
      if (shown.length === 1) band.area(cluster.series.rate, kind);
      band.line(cluster.series.rate, kind);
      band.label(cluster.series.rate, cluster.name, kind);
      band.reader(named(shown, cluster), cluster.series.rate, value => `${short(value)}/s`);
    }
    band.reader('demanded', demand, value => `${short(value)}/s`);
  }

  function answers(band, view, shown) {
    const sums = new Map();
    for (const cluster of shown) {
      for (const [key, list] of [['5xx', cluster.series.server_errors], ['4xx', cluster.series.client_errors]])
        for (const [at, value] of list) {
          const sum = sums.get(at) || {'5xx': 0, '4xx': 0};
          sum[key] = Math.max(sum[key], value);
          sums.set(at, sum);
        }
    }
    const points = [...sums].sort((a, b) => a[0] - b[0]);
    const both = points.map(([at, sum]) => [at, sum['5xx'] + sum['4xx']]);
    const top = niceTop(Math.max(1, most(band.window, [both])));
    band.scale(0, top);
    [0, top].forEach(value => band.tick(value, `${short(value)} %`));
    const {from, to} = band.window;
    for (const [at, sum] of points.filter(([at]) => at + PERIOD > from && at < to)) {
      const left = band.clip(band.x(at)), right = band.clip(band.x(at + PERIOD));
      const bar = (low, value, kind) => value > 0 && band.svg.append(node('rect', {
        class: kind, x: left, width: Math.max(right - left - 0.5, 0.8), y: band.y(low + value), height: Math.max(band.y(low) - band.y(low + value), 1)}));
      bar(0, sum['5xx'], 'bad');
      bar(sum['5xx'], sum['4xx'], 'bad soft');
    }
    band.reader('5xx', points.map(([at, sum]) => [at, sum['5xx']]), value => `${short(value)} %`);
    band.reader('4xx', points.map(([at, sum]) => [at, sum['4xx']]), value => `${short(value)} %`);
  }

  function latency(band, view, shown) {
    const lines = shown.length === 1
      ? [['p50', shown[0].series.p50_ms, 'thin'], ['p95', shown[0].series.p95_ms, 'thin'], ['p99', shown[0].series.p99_ms, '']]
        .map(([name, points, thin]) => ({name, points, kind: `${hue(view, shown[0].name)} ${thin}`}))
      : shown.map(cluster => ({name: cluster.name, points: cluster.series.p99_ms, kind: hue(view, cluster.name)}));
    band.unit.textContent = shown.length === 1 ? 'of targets, logarithmic' : 'p99 of targets, logarithmic';
    const values = lines.flatMap(line => line.points).filter(([at, value]) => value > 0 && at >= band.window.from - PERIOD && at <= band.window.to).map(([, value]) => value);
    const low = 10 ** Math.floor(Math.log10(values.length ? Math.min(...values) : 1));
    const high = Math.max(10 ** Math.ceil(Math.log10(values.length ? Math.max(...values) : 1000)), low * 10);
    band.scale(low, high, true);
    for (let value = low; value <= high * 1.001; value *= 10) band.tick(value, ms(value));
    const objective = view.load && view.load.objective_ms;
    if (objective >= low && objective <= high) {
      const y = band.y(objective);
      band.svg.append(node('line', {class: 'plan', x1: LEFT, x2: band.width - RIGHT, y1: y, y2: y}));
      band.labels.push({y: y + 4, text: `< ${ms(objective)}`, kind: ''});
    }
    for (const {name, points, kind} of lines) {
      band.line(points, kind);
      band.label(points, name, kind.split(' ')[0]);
      band.reader(name, points, ms);
    }
  }

  // The metric of a policy, its thresholds, and where they are passed.
  function signal(band, view, alarms) {
    const points = alarms[0].series;
    const top = niceTop(Math.max(most(band.window, [points]), ...alarms.map(alarm => alarm.threshold)));
    band.scale(0, top);
    [0, top].forEach(value => band.tick(value, short(value)));
    const beyond = {'>': (a, b) => a > b, '≥': (a, b) => a >= b, '<': (a, b) => a < b, '≤': (a, b) => a <= b};
    const kind = hue(view, alarms[0].cluster);
    const {from, to} = band.window;
    for (const alarm of alarms) {
      const out = alarm.sign === '>' || alarm.sign === '≥';
      for (const [at, value] of points.filter(([at]) => at + alarm.period > from && at < to))
        if (out && beyond[alarm.sign](value, alarm.threshold)) {
          const left = band.clip(band.x(at)), right = band.clip(band.x(at + alarm.period));
          band.svg.append(node('rect', {class: 'breach', x: left, width: Math.max(right - left, 0), y: band.top, height: band.bottom - band.top}));
        }
      const y = band.y(alarm.threshold);
      band.svg.append(node('line', {class: 'plan', x1: LEFT, x2: band.width - RIGHT, y1: y, y2: y}));
      band.labels.push({y: y + 4, text: `${alarm.sign} ${short(alarm.threshold)}`, kind: ''});
    }
    band.line(points, kind, alarms[0].period);
    band.reader(alarms[0].metric, points, short, alarms[0].period);
  }

  function capacity(band, view, shown) {
    const steps = cluster => cluster.history.map(([at, value]) => [Date.parse(at) / 1000, value]);
    const {from, to} = band.window;
    const now = Date.parse(view.at) / 1000;
    const all = shown.map(cluster => ({cluster, steps: steps(cluster)}));
    const within = list => {
      const first = list.findLastIndex(([at]) => at <= from);
      return list.slice(Math.max(first, 0)).filter(([at]) => at <= to);
    };
    const highest = Math.max(1, ...all.flatMap(one => within(one.steps).map(([, value]) => Math.max(value.desired, value.in_service + value.warming))));
    band.scale(0, highest);
    const every = Math.ceil(highest / 4);
    for (let value = 0; value <= highest; value += every) band.tick(value, String(value));
    const path = (list, of) => {
      const drawn = [];
      list.forEach(([at, value], index) => {
        const until = Math.min(index + 1 < list.length ? list[index + 1][0] : now, to);
        const y = band.y(of(value));
        drawn.push([band.clip(band.x(at)), y], [band.clip(band.x(until)), y]);
      });
      return drawn;
    };
    const text = list => list.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
    for (const {cluster, steps} of all) {
      const kind = hue(view, cluster.name), list = within(steps);
      if (!list.length) continue;
      if (shown.length === 1) {
        const serves = path(list, value => value.in_service);
        const warms = path(list, value => value.in_service + value.warming);
        const base = [[serves.at(-1)[0], band.bottom], [serves[0][0], band.bottom]];
        band.svg.append(node('polygon', {class: `area fill hatch ${kind}`, points: text([...warms, ...[...serves].reverse()])}));
        band.svg.append(node('polygon', {class: `area fill ${kind}`, points: text([...serves, ...base])}));
        band.svg.append(node('polyline', {class: `line ${kind}`, points: text(serves)}));
        const bad = path(list, value => value.unhealthy || 0);
        if (list.some(([, value]) => value.unhealthy > 0)) band.svg.append(node('polygon', {class: 'bad soft', points: text([...bad, ...base])}));
        band.svg.append(node('polyline', {class: 'plan', points: text(path(list, value => value.desired))}));
      } else {
        band.svg.append(node('polyline', {class: `line ${kind}`, points: text(path(list, value => value.in_service))}));
        band.svg.append(node('polyline', {class: `plan`, points: text(path(list, value => value.desired))}));
      }
      band.labels.push({y: band.y(list.at(-1)[1].in_service) + 4, text: shown.length > 1 ? cluster.name : 'in service', kind});
      band.readers.push(second => {
        const found = steps.findLast(([at]) => at <= second);
        if (!found || second > now) return '';
        const {desired, in_service, warming} = found[1];
        return `${named(shown, cluster)} ${in_service} of ${desired}${warming ? `, ${warming} warming` : ''}`.trim();
      });
    }
  }

  // The marks of events, and the axis below everything.
  function events(band, view, list, symbols, tell) {
    band.scale(0, 1);
    const {from, to} = band.window;
    const width = band.width - LEFT - RIGHT;
    const step = TIME_STEPS.find(step => (to - from) / step * 62 <= width) || 86400;
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
      const x = band.x(at);
      band.svg.append(node('line', {class: 'grid', x1: x, x2: x, y1: 0, y2: 22}));
      band.svg.append(node('text', {x, y: band.height - 3, 'text-anchor': 'middle'}, clock(at, step < 60)));
    }
    let free = LEFT - 99;
    for (const event of list) {
      const at = Date.parse(event.at) / 1000;
      if (at < from || at > to) continue;
      // What happened at once stands side by side.
      const x = free = Math.max(band.x(at), free + 11);
      const [symbol, bad] = symbols[event.kind] || ['•', false];
      const mark = node('text', {class: `mark ${bad ? 'is-bad' : ''}`, x, y: 16}, symbol);
      mark.append(node('title', {}, `${clock(at)} ${event.cluster}: ${event.text}`));
      mark.addEventListener('click', () => tell(event));
      band.svg.append(mark);
    }
    band.readers.push(second => clock(second));
  }

  return {Band, load, answers, latency, signal, capacity, events, short, ms, clock, hue, LEFT, RIGHT};
})();
