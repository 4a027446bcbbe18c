// Written by `cloudscale export k6`. Run it with: k6 run SCRIPT, or BASE_URL=http://… k6 run SCRIPT
import http from 'k6/http';
import exec from 'k6/execution';
import { check, sleep } from 'k6';

const SPEC = __SPEC__;
const BASE = (__ENV.BASE_URL || SPEC.base).replace(/\/$/, '');
const WEIGHT = SPEC.requests.reduce((sum, request) => sum + request.weight, 0);
const MINUTE = 60;

// k6 counts whole arrivals in a unit of time: by the minute, rates below one a second are kept.
const perMinute = (rate) => Math.round(rate * MINUTE);
const seconds = (value) => `${Math.round(value * 1000)}ms`;
const stages = (segments, target) =>
  segments.flatMap(([length, from, to], index) => {
    const jumps = index > 0 && segments[index - 1][2] !== from;
    return (jumps ? [{ duration: '0s', target: target(from) }] : []).concat([{ duration: seconds(length), target: target(to) }]);
  });

function scenarios() {
  const all = {};
  for (const [number, flow] of SPEC.flows.entries()) {
    const name = flow.name || `flow${number}`;
    if (flow.phases.every((phase) => phase.kind === 'pause' || phase.iterations)) {
      // Phases that end with their requests: one virtual user's life after the other's, in one scenario.
      const vus = Math.max(...flow.phases.map((phase) => phase.users || 1));
      all[name] = { executor: 'per-vu-iterations', vus, iterations: 1, maxDuration: '24h', exec: 'chain', env: { FLOW: String(number) } };
      continue;
    }
    let start = 0;
    for (const [index, phase] of flow.phases.entries()) {
      const common = { startTime: seconds(start), gracefulStop: '30s', env: { THINK: String(phase.think || 0) } };
      const vus = { preAllocatedVUs: Math.min(SPEC.connections, Math.max(20, Math.ceil(phase.peak || 0))), maxVUs: Math.max(20, Math.min(SPEC.connections, Math.ceil((phase.peak || 0) * 10))) };
      const key = `${name}_${index}_${(phase.name || phase.kind).replace(/[^A-Za-z0-9_-]/g, '_')}`;
      if (phase.kind === 'open') {
        all[key] = { executor: 'ramping-arrival-rate', timeUnit: '1m', startRate: perMinute(phase.segments[0][1]), stages: stages(phase.segments, perMinute), ...vus, ...common };
      } else if (phase.kind === 'ramping') {
        all[key] = { executor: 'ramping-vus', startVUs: Math.round(phase.segments[0][1]), stages: stages(phase.segments, Math.round), ...common };
      } else if (phase.kind === 'closed' && phase.iterations) {
        all[key] = { executor: 'shared-iterations', vus: phase.users, iterations: phase.iterations, maxDuration: phase.duration ? seconds(phase.duration) : '24h', ...common };
      } else if (phase.kind === 'closed') {
        all[key] = { executor: 'constant-vus', vus: phase.users, duration: seconds(phase.duration), ...common };
      }
      start += phase.duration || 0;
    }
  }
  return all;
}

export const options = {
  scenarios: scenarios(),
  maxRedirects: SPEC.redirects,
  noConnectionReuse: !SPEC.keep_alive,
  thresholds: SPEC.thresholds,
};

const filled = (text, row) =>
  row ? text.replace(/\$\{csv\.([^}]*)\}/g, (_, column) => row[SPEC.data.columns.indexOf(column)]) : text;

function send() {
  let ticket = Math.random() * WEIGHT;
  const request = SPEC.requests.find((one) => (ticket -= one.weight) < 0) || SPEC.requests[0];
  const row = SPEC.data && SPEC.data.rows[exec.scenario.iterationInTest % SPEC.data.rows.length];
  const headers = Object.fromEntries(request.headers.map(([name, value]) => [name, filled(value, row)]));
  const response = http.request(request.method, encodeURI(BASE + filled(request.path, row)), request.body ? filled(request.body, row) : null, {
    headers,
    timeout: seconds(request.timeout),
    tags: { name: request.name || 'request' },
    responseCallback: http.expectedStatuses(request.status),
  });
  check(response, {
    correct: (answer) => answer.status === request.status && (!request.contains || String(answer.body).includes(request.contains)),
  });
}

export default function () {
  send();
  const think = Number(__ENV.THINK || 0);
  if (think > 0) sleep(think);
}

export function chain() {
  const user = exec.vu.idInInstance - 1;
  for (const phase of SPEC.flows[Number(__ENV.FLOW)].phases) {
    if (phase.kind === 'pause') {
      sleep(phase.duration);
      continue;
    }
    const share = Math.floor(phase.iterations / phase.users) + (user % phase.users < phase.iterations % phase.users ? 1 : 0);
    for (let count = 0; count < share; count++) {
      send();
      if (phase.think) sleep(phase.think);
    }
  }
}
