// Data to model, and what was true at an instant. Nothing here knows the document.
// The other side of data.rs: read `decode` beside `pack`. Times are microseconds from the start of the run.

const isTime = (at) => at !== null && at !== undefined;

function sums(differences) {
  let at = 0;
  return differences.map((difference) => (at += difference));
}

// Steps that follow each other, each written as the difference to the last one that was reached.
function stepsFrom(start, differences, length) {
  let at = start;
  return Array.from({ length }, (_, i) => (isTime(differences[i]) ? (at += differences[i]) : null));
}

function pairs(flat) {
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
}

function decode(data) {
  const nodes = data.nodes.map(([name, spans]) => ({
    name, lives: pairs(sums(spans)).map(([from, to]) => ({ from, to })),
  }));
  const attempts = data.attempts.map(([number, deployed, running, ended, place, tasks]) => ({
    number, deployed,
    running: isTime(running) ? deployed + running : null,
    ended: isTime(ended) ? deployed + ended : null,
    tasks: pairs(data.places[place]).map(([subtask, node], i) => {
      const at = tasks[i].map((step) => (isTime(step) ? deployed + step : null));
      const [restoring, restored, running, first, endOfInput, failed] = at;
      return { subtask, node, restoring, restored, running, first, endOfInput, failed };
    }),
  }));
  let triggered = 0;
  const checkpoints = data.checkpoints.map(([id, attempt, final, node, gap, took, end, reason, bytes, place, tasks]) => {
    triggered += gap;
    return {
      id, attempt, final: final === 1, node, triggered, bytes, reason,
      ended: isTime(took) ? triggered + took : null,
      state: ["completed", "aborted", "unfinished"][end],
      tasks: pairs(data.places[place]).map(([subtask, node], i) => {
        const [first, aligned, sync, upload, acknowledged] = stepsFrom(triggered, tasks[i], 5);
        return { subtask, node, first, aligned, sync, upload, acknowledged };
      }),
    };
  });
  const recoveries = data.recoveries.map(([attempt, cause, failed, parts, caughtUp, restored, unended, superseded, stall]) => ({
    attempt, cause, failed, parts, caughtUp, restored, unended, superseded, stall: stall === 1,
  }));
  const faults = data.faults.map(([id, kind, detail, hits]) => ({
    id, kind, detail,
    hits: hits.map(([nodes, target, at, healed]) => ({ nodes, target, at, healed: isTime(healed) ? at + healed : null })),
  }));
  const [times, committed, waiting] = data.flow;
  const at = sums(times), total = sums(committed), byNode = waiting.map(sums);
  const flow = at.map((at, i) => {
    const waiting = byNode.map((node) => node[i]);
    return { at, committed: total[i], waiting, inFlight: waiting.reduce((sum, bytes) => sum + bytes, 0) };
  });
  const [kinds, gaps, places] = data.timeline;
  const lines = sums(gaps).map((at, i) => ({ at, kind: kinds[i], nodes: [].concat(places[i]).filter((n) => n >= 0) }));
  const terms = data.terms.map(([number, node, from, to]) => ({ number, node, from, to }));
  const model = {
    end: data.end, nodes, terms, attempts, checkpoints, recoveries, faults, flow, lines, edges: data.edges,
    subtasks: data.subtasks.map(([name, vertex]) => ({ name, vertex })),
  };
  model.instants = instants(model);
  return model;
}

// Every time at which something happened, ascending: what the arrow keys step through.
function instants(model) {
  const all = [0, model.end];
  for (const checkpoint of model.checkpoints) {
    all.push(checkpoint.triggered, checkpoint.ended);
    for (const task of checkpoint.tasks) all.push(task.first, task.aligned, task.sync, task.upload, task.acknowledged);
  }
  for (const attempt of model.attempts) {
    all.push(attempt.deployed, attempt.running, attempt.ended);
    for (const task of attempt.tasks) all.push(task.restoring, task.restored, task.running, task.first);
  }
  for (const fault of model.faults) for (const hit of fault.hits) all.push(hit.at, hit.healed);
  for (const line of model.lines) all.push(line.at);
  return [...new Set(all.filter((at) => isTime(at) && at >= 0 && at <= model.end))].sort((a, b) => a - b);
}

// How many elements of an ascending list lie at or before a time.
function countUntil(list, at, time = (element) => element) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (time(list[middle]) <= at) low = middle + 1; else high = middle;
  }
  return low;
}

const STEPS = [
  ["first", "waiting for its barrier"],
  ["aligned", "aligning"],
  ["sync", "snapshot, synchronous part"],
  ["upload", "uploading"],
  ["acknowledged", "acknowledgement under way"],
];

// What a subtask does for a pending checkpoint: the first step that it has not done yet.
function phaseOf(task, at) {
  const step = STEPS.find(([name]) => !isTime(task[name]) || at < task[name]);
  return step ? step[1] : "acknowledged";
}

function taskState(task, at, pending) {
  if (isTime(task.failed) && at >= task.failed) return "failed";
  if (!isTime(task.running) || at < task.running) {
    if (isTime(task.restored) && at >= task.restored) return "state loaded";
    return isTime(task.restoring) && at >= task.restoring ? "loading state" : "being deployed";
  }
  if (pending) {
    const own = pending.tasks.find((other) => other.subtask === task.subtask);
    return own ? phaseOf(own, at) : "waiting for its barrier";
  }
  if (isTime(task.endOfInput) && at >= task.endOfInput) return "at the end of its input";
  return isTime(task.first) && at < task.first ? "running, no record yet" : "processing";
}

const inForce = (hit, at) => hit.at <= at && (hit.healed === null || at < hit.healed || hit.at === at);

// Everything that the panel shows of an instant.
function stateAt(model, at) {
  const attempt = model.attempts.filter((attempt) => attempt.deployed <= at).pop() ?? null;
  const runs = attempt !== null && (attempt.ended === null || at < attempt.ended);
  const pending = model.checkpoints.filter((c) =>
    c.triggered <= at && (c.ended === null || at < c.ended) && runs && c.attempt === attempt.number).pop() ?? null;
  const completed = model.checkpoints.filter((c) => c.state === "completed" && c.ended <= at)
    .reduce((newest, c) => (newest === null || c.ended >= newest.ended ? c : newest), null);
  const recovery = model.recoveries.filter((r) =>
    r.failed <= at && (at < Math.max(outageEnd(r), r.caughtUp ?? 0) || !r.parts)).pop() ?? null;
  const sample = model.flow[countUntil(model.flow, at, (sample) => sample.at) - 1] ?? null;
  const hits = model.faults.flatMap((fault) =>
    fault.hits.filter((hit) => inForce(hit, at)).map((hit) => ({ fault, hit })));
  const nodes = model.nodes.map((node, index) => {
    const begun = node.lives.filter((life) => life.from <= at).length;
    const life = node.lives[begun - 1];
    const up = life !== undefined && (at < life.to || life.to >= model.end);
    const term = model.terms.filter((term) => term.node === index && term.from <= at && (term.to === null || at < term.to)).pop();
    return {
      name: node.name, up, life: begun, since: life ? (up ? life.from : life.to) : null,
      term: up && term ? term.number : null,
      tasks: !up || !runs ? [] : attempt.tasks.filter((task) => task.node === index)
        .map((task) => ({ name: model.subtasks[task.subtask].name, state: taskState(task, at, pending) })),
      faults: hits.filter(({ hit }) => hit.nodes.includes(index)),
      waiting: sample ? sample.waiting[index] : null,
    };
  });
  return { at, attempt, runs, pending, completed, recovery, sample, hits, nodes, line: countUntil(model.lines, at, (l) => l.at) - 1 };
}

// When an outage ended; of one without an end, as far as it was seen.
const outageEnd = (r) => r.failed + (r.parts ?? [r.unended]).reduce((sum, part) => sum + part, 0);

const PARTS = ["stalled", "superseded", "detect", "max(backoff, cancel)", "slots", "deploy", "restore", "init"];

// The part of a recovery that an instant lies in.
function partAt(recovery, at) {
  if (!recovery.parts) return "no lasting progress until the end of the run";
  let end = recovery.failed;
  for (const [i, part] of recovery.parts.entries()) {
    end += part;
    if (at < end) return PARTS[i];
  }
  return "catch-up";
}

// Three to four digits and a unit, as everywhere in the report.
function duration(us) {
  const cut = (value, digits) => String(Math.trunc(value * 10 ** digits) / 10 ** digits);
  const three = (value) => cut(value, value < 10 ? 2 : value < 100 ? 1 : 0);
  if (us < 1e3) return `${us} µs`;
  if (us < 1e6) return `${three(us / 1e3)} ms`;
  return `${us < 1e7 ? cut(us / 1e6, 3) : cut(us / 1e6, us < 1e8 ? 2 : 1)} s`;
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) [count, unit] = [count / 1024, unit + 1];
  return `${unit === 0 || count >= 100 ? Math.trunc(count) : count.toFixed(count < 10 ? 2 : 1)} ${units[unit]}`;
}

const seconds = (us) => `${(us / 1e6).toFixed(6)} s`;

