// Model to SVG: lanes from top to bottom, time from left to right. `layout` places the lanes once, `draw` fills them for a
// window of time. Marks that a window makes smaller than a few pixels are left out or merged: zooming brings them back.

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 128, RIGHT = 14, ROW = 11, PAD = 5, GAP = 7;

// Right edge of the nodes' names; between them and the plot stand the names of their subtasks.
const NAMES = LEFT - 51;

// Below so many pixels a checkpoint is a hairline; above so many its barriers and acknowledgements are drawn, too.
const HAIRLINE = 5, WAVE = 36;

function element(name, attributes, parent, title) {
  const made = document.createElementNS(SVG, name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (title) {
    const text = document.createElementNS(SVG, "title");
    text.textContent = title;
    made.append(text);
  }
  parent?.append(made);
  return made;
}

function label(parent, x, y, text, attributes = {}) {
  const made = element("text", { x, y, ...attributes }, parent);
  made.textContent = text;
  return made;
}

// Puts extents into the first row where they overlap none before.
function rowsOf(extents) {
  const rows = [];
  return extents.map(([from, to]) => {
    let row = rows.findIndex((taken) => taken.every(([a, b]) => to <= a || b <= from));
    if (row < 0) row = rows.push([]) - 1;
    rows[row].push([from, to]);
    return row;
  });
}

// Where every lane stands, for the whole run: lanes must not move while somebody zooms.
function layout(model) {
  const slots = model.nodes.map(() => 1);
  const rows = new Map();
  for (const attempt of model.attempts) {
    const used = model.nodes.map(() => 0);
    for (const task of attempt.tasks) {
      if (task.node < 0) continue;
      rows.set(`${attempt.number} ${task.subtask}`, used[task.node]++);
      slots[task.node] = Math.max(slots[task.node], used[task.node]);
    }
  }
  let y = 24;
  const take = (height, gap = GAP) => ({ y, height, bottom: (y += height + gap) - gap });
  const checkpoints = take(16, 11);
  const nodes = model.nodes.map((_, i) => take(slots[i] * ROW + 2 * PAD));
  const struck = model.faults.flatMap((fault) => fault.hits);
  const elsewhere = struck.some((hit) => hit.nodes.length === 0) ? take(16) : null;
  const places = rowsOf(model.recoveries.map((r) => [r.failed, Math.max(outageEnd(r), r.caughtUp ?? 0) + model.end / 12]));
  y += model.recoveries.length > 0 ? 4 : 0;
  const recoveries = places.map(() => null);
  const recoveryRows = Array.from({ length: Math.max(0, ...places.map((row) => row + 1)) }, () => take(16, 5));
  places.forEach((row, i) => (recoveries[i] = recoveryRows[row]));
  y += 4;
  const flow = model.flow.some((sample) => sample.inFlight > 0) ? take(40, 4) : null;
  const map = { y: y + 24, height: 14 };
  return { checkpoints, nodes, elsewhere, recoveries, flow, rows, top: 20, bottom: y, map, height: y + 44 };
}

function tickOf(span) {
  for (let step = 1; ; step *= 10) {
    for (const factor of [1, 2, 5]) if (span / (step * factor) <= 10) return step * factor;
  }
}

const tickLabel = (at, tick) => `${(at / 1e6).toFixed(Math.max(0, 6 - Math.floor(Math.log10(tick))))} s`;

class Drawing {
  constructor(model, lanes, svg, window, width) {
    Object.assign(this, { model, lanes, svg, width, from: window.from, to: window.to });
    this.scale = (width - LEFT - RIGHT) / (this.to - this.from);
    this.right = width - RIGHT;
  }

  x(at) {
    // Far outside the window is as good as just outside, and no number that a renderer chokes on.
    return Math.max(-1e4, Math.min(this.width + 1e4, LEFT + (at - this.from) * this.scale));
  }

  shows(from, to) {
    return to >= this.from && from <= this.to;
  }

  bar(parent, kind, from, to, y, height, title, least = 1) {
    const x = this.x(from);
    return element("rect", { class: kind, x, y, width: Math.max(least, this.x(to) - x), height }, parent, title);
  }

  // A label in the visible part of a bar, if there is room.
  inside(parent, from, to, y, text) {
    const a = Math.max(LEFT, this.x(from)), b = Math.min(this.right, this.x(to));
    const fits = b - a > text.length * 6.2 + 6;
    if (fits) label(parent, (a + b) / 2, y, text, { class: "on", "text-anchor": "middle" });
    return fits;
  }

  draw() {
    const { svg, lanes, width } = this;
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${lanes.height}`);
    svg.setAttribute("height", lanes.height);
    const clip = element("svg", { x: LEFT, y: 0, width: this.right - LEFT, height: lanes.height, viewBox: `${LEFT} 0 ${this.right - LEFT} ${lanes.height}` });
    this.grid(clip);
    this.names();
    svg.append(clip);
    this.upTime(clip);
    this.faultBands(clip);
    this.attempts(clip);
    for (const checkpoint of this.model.checkpoints) {
      const to = checkpoint.ended ?? this.model.end;
      if (this.shows(checkpoint.triggered, to)) this.checkpoint(clip, checkpoint, to);
    }
    this.marks(clip);
    this.model.recoveries.forEach((recovery, i) => this.recovery(clip, recovery, lanes.recoveries[i]));
    if (lanes.flow) this.flow(clip, lanes.flow);
    this.strikes(clip);
    this.map();
  }

  names() {
    const { svg, lanes, model } = this;
    const name = (text, lane, right = LEFT - 12) => {
      const most = Math.trunc(right / 6.4);
      const shown = text.length > most ? `${text.slice(0, most - 1)}…` : text;
      label(svg, right, lane.y + lane.height / 2 + 4, shown, { "text-anchor": "end" });
    };
    name("checkpoints", lanes.checkpoints);
    model.nodes.forEach((node, i) => name(node.name, lanes.nodes[i], NAMES));
    if (lanes.elsewhere) name("stores", lanes.elsewhere);
    if (lanes.recoveries.length > 0) name(lanes.recoveries.length === 1 ? "recovery" : "recoveries", lanes.recoveries[0]);
    if (!lanes.flow) return;
    name("in flight", { y: lanes.flow.y, height: 20 });
    const peak = Math.max(...model.flow.map((sample) => sample.inFlight));
    label(svg, LEFT - 12, lanes.flow.y + 28, `≤ ${bytes(peak)}`, { class: "dim", "text-anchor": "end" });
  }

  grid(parent) {
    const { lanes } = this;
    const tick = tickOf(this.to - this.from);
    let free = 0;
    for (let at = Math.ceil(this.from / tick) * tick; at <= this.to; at += tick) {
      const x = this.x(at);
      element("line", { class: "grid", x1: x, x2: x, y1: lanes.top, y2: lanes.bottom }, parent);
      const anchor = x > this.right - 24 ? "end" : x < LEFT + 16 ? "start" : "middle";
      // Ticks whose labels would touch keep their lines.
      const text = tickLabel(at, tick), width = text.length * 6.2;
      const left = x - { start: 0, middle: width / 2, end: width }[anchor];
      if (left < free) continue;
      free = left + width + 8;
      label(parent, x, lanes.bottom + 13, text, { class: "dim", "text-anchor": anchor });
    }
  }

  upTime(parent) {
    this.model.nodes.forEach((node, i) => {
      const lane = this.lanes.nodes[i];
      node.lives.forEach((life, n) => {
        if (!this.shows(life.from, life.to)) return;
        const title = `${node.name}, life ${n + 1}: up from ${seconds(life.from)} to ${seconds(life.to)}`;
        this.bar(parent, "up", life.from, life.to, lane.y, lane.height, title);
      });
    });
    for (const term of this.model.terms) {
      const lane = this.lanes.nodes[term.node];
      if (!lane) continue;
      const to = term.to ?? this.model.end;
      this.bar(parent, "leads", term.from, to, lane.bottom - 3, 3, `leads the job, term ${term.number}`);
    }
  }

  // Thin lines under the rows of subtasks: what ran where, and who was loading state.
  attempts(parent) {
    for (const attempt of this.model.attempts) {
      const ended = attempt.ended ?? this.model.end;
      if (!this.shows(attempt.deployed, ended)) continue;
      for (const task of attempt.tasks) {
        const y = this.row(attempt.number, task);
        if (y === null) continue;
        const name = this.model.subtasks[task.subtask].name;
        const life = this.model.nodes[task.node].lives.find((life) => life.from <= attempt.deployed && attempt.deployed <= life.to);
        const to = Math.min(ended, life ? life.to : ended);
        const began = task.restoring ?? task.running;
        if (!isTime(began) || began > to) continue;
        this.bar(parent, "task", began, to, y + ROW / 2 - 0.5, 1, `subtask ${name}, attempt ${attempt.number}`);
        const loaded = task.restored ?? task.running;
        if (isTime(task.restoring) && isTime(loaded)) {
          this.bar(parent, "loading", began, loaded, y + 2, ROW - 4, `${name} loads its state: ${duration(loaded - began)}`);
        }
      }
    }
  }

  row(attempt, task) {
    const lane = this.lanes.nodes[task.node];
    const row = this.lanes.rows.get(`${attempt} ${task.subtask}`) ?? 0;
    return lane ? lane.y + PAD + row * ROW : null;
  }

  checkpoint(parent, checkpoint, to) {
    const { lanes, model } = this;
    const width = (to - checkpoint.triggered) * this.scale;
    const kind = { completed: "done", aborted: "lost", unfinished: "open" }[checkpoint.state];
    const took = duration(to - checkpoint.triggered);
    const story = { completed: `completed in ${took}`, aborted: `given up after ${took}: ${checkpoint.reason}`, unfinished: checkpoint.ended === null ? "unfinished" : `left unfinished after ${took}` };
    const title = `${checkpoint.final ? "final " : ""}checkpoint ${checkpoint.id}, attempt ${checkpoint.attempt}: ${story[checkpoint.state]}, ${bytes(checkpoint.bytes)} of state`;
    const lane = lanes.checkpoints;
    const span = this.bar(parent, `${kind} goto`, checkpoint.triggered, to, lane.y, lane.height, title, 2);
    span.dataset.from = checkpoint.triggered;
    span.dataset.to = to;
    const id = String(checkpoint.id);
    if (!this.inside(parent, checkpoint.triggered, to, lane.y + 12, id)) {
      const next = model.checkpoints.find((other) => other.triggered > checkpoint.triggered);
      const free = (next ? this.x(next.triggered) : this.right) - this.x(to);
      if (free > id.length * 6.2 + 8) label(parent, this.x(to) + 4, lane.y + 12, id, { class: "dim" });
    }
    if (width < HAIRLINE) {
      const x = this.x(checkpoint.triggered);
      const bottom = lanes.nodes.length > 0 ? lanes.nodes[lanes.nodes.length - 1].bottom : lane.bottom;
      element("line", { class: `hair ${kind}`, x1: x, x2: x, y1: lane.bottom, y2: bottom }, parent, title);
      return;
    }
    const group = element("g", { class: `wave ${kind}` }, parent);
    if (width >= WAVE) this.wave(group, checkpoint, to);
    for (const task of checkpoint.tasks) this.work(group, checkpoint, task, to);
  }

  // What one subtask did: thin while it aligned, full while it stood still for its snapshot, half while it uploaded.
  work(parent, checkpoint, task, to) {
    const y = this.row(checkpoint.attempt, task);
    if (y === null || !isTime(task.first)) return;
    const name = this.model.subtasks[task.subtask].name;
    const until = (at) => Math.min(isTime(at) ? at : to, to);
    const phase = (kind, from, at, top, height, what) => {
      const end = until(at);
      if ((end - from) * this.scale < 0.4) return;
      const open = isTime(at) ? "" : ", to no end";
      this.bar(parent, kind, from, end, y + top, height, `${name}, checkpoint ${checkpoint.id}: ${what} ${duration(end - from)}${open}`, 0.5);
    };
    phase("aligning", task.first, task.aligned, 3, ROW - 6, "aligns");
    if (isTime(task.aligned)) phase("sync", task.aligned, task.sync, 0.5, ROW - 1, "synchronous part of the snapshot");
    if (isTime(task.sync)) phase("upload", task.sync, task.upload, 2, ROW - 4, "uploads");
    if ((to - checkpoint.triggered) * this.scale < WAVE) return;
    const x = this.x(task.first);
    element("circle", { class: "barrier", cx: x, cy: y + ROW / 2, r: 2.2 }, parent,
      `${name}: first barrier of checkpoint ${checkpoint.id} at ${seconds(task.first)}`);
  }

  // Barriers go down, acknowledgements come up. The record does not say which barrier came over which channel, so between
  // subtasks the front lies between two lines: from whoever passed its barrier on first to the first barrier that came, and
  // from whoever did so last to the last.
  wave(parent, checkpoint, to) {
    const { model, lanes } = this;
    const home = lanes.nodes[checkpoint.node] ?? lanes.checkpoints;
    const centre = home.y + home.height / 2;
    const line = (kind, fromAt, fromY, toAt, toY, title) =>
      element("line", { class: kind, x1: this.x(fromAt), y1: fromY, x2: this.x(toAt), y2: toY }, parent, title);
    const middle = (task) => this.row(checkpoint.attempt, task) + ROW / 2;
    const tasks = checkpoint.tasks.filter((task) => isTime(task.first) && lanes.nodes[task.node]);
    const vertex = (task) => model.subtasks[task.subtask].vertex;
    for (const task of tasks) {
      const above = new Set(model.edges.filter(([, v]) => v === vertex(task)).map(([u]) => u));
      const passed = (other) => other.aligned ?? other.first;
      const upstream = tasks.filter((other) => above.has(vertex(other))).sort((a, b) => passed(a) - passed(b));
      const name = model.subtasks[task.subtask].name;
      if (above.size === 0) {
        line("front", checkpoint.triggered, centre, task.first, middle(task), `trigger of checkpoint ${checkpoint.id} to ${name}: ${duration(task.first - checkpoint.triggered)}`);
      } else if (upstream.length > 0) {
        // Within a node a barrier arrives as it is passed on, so a neighbour that did so by then was the first.
        const first = upstream.find((other) => other.node === task.node && passed(other) <= task.first) ?? upstream[0];
        const last = upstream[upstream.length - 1];
        if (isTime(task.aligned)) {
          const points = [[passed(first), middle(first)], [task.first, middle(task)], [task.aligned, middle(task)], [passed(last), middle(last)]];
          element("polygon", { class: "fan", points: points.map(([at, y]) => `${this.x(at)},${y}`).join(" ") }, parent);
          line("front late", passed(last), middle(last), task.aligned, middle(task), `last barrier of checkpoint ${checkpoint.id} at ${name}`);
        }
        line("front", passed(first), middle(first), task.first, middle(task), `first barrier of checkpoint ${checkpoint.id} at ${name}`);
      }
      if (isTime(task.upload) && isTime(task.acknowledged)) {
        line("ack", task.upload, middle(task), task.acknowledged, centre, `acknowledgement of ${name}: ${duration(task.acknowledged - task.upload)}`);
      }
    }
    line("spine", checkpoint.triggered, centre, to, centre, `checkpoint ${checkpoint.id}, trigger to end: ${duration(to - checkpoint.triggered)}`);
    element("circle", { class: "point", cx: this.x(checkpoint.triggered), cy: centre, r: 3 }, parent, `checkpoint ${checkpoint.id} is triggered at ${seconds(checkpoint.triggered)}`);
    if (checkpoint.ended === null) return;
    const x = this.x(checkpoint.ended), word = { completed: "is complete", aborted: "is given up", unfinished: "is left unfinished" }[checkpoint.state];
    element("rect", { class: "point", x: x - 3, y: centre - 3, width: 6, height: 6, transform: `rotate(45 ${x} ${centre})` }, parent, `checkpoint ${checkpoint.id} ${word} at ${seconds(checkpoint.ended)}`);
  }

  // Failovers, restores and commits as ticks at the upper edge of their node.
  marks(parent) {
    let last = new Map();
    for (const line of this.model.lines) {
      if (!"rso".includes(line.kind) || !this.shows(line.at, line.at)) continue;
      for (const node of line.nodes) {
        const x = this.x(line.at), key = `${node}${line.kind}`;
        if (x - (last.get(key) ?? -9) < 2) continue;
        last.set(key, x);
        const lane = this.lanes.nodes[node];
        element("line", { class: `mark ${{ r: "failover", s: "restore", o: "commit" }[line.kind]}`, x1: x, x2: x, y1: lane.y, y2: lane.y + 5 }, parent);
      }
    }
  }

  faultBands(parent) {
    for (const fault of this.model.faults) {
      // What hurts several links of a node at once hurts the node once.
      const drawn = new Set();
      for (const hit of fault.hits) {
        const to = hit.healed ?? this.model.end;
        if (!this.shows(hit.at, to)) continue;
        const title = `fault ${fault.id}: ${fault.kind} ${hit.target}, ${seconds(hit.at)} to ${hit.healed === null ? "the end" : seconds(to)}. ${fault.detail}`;
        const lanes = hit.nodes.length > 0 ? hit.nodes.map((node) => this.lanes.nodes[node]) : [this.lanes.elsewhere];
        for (const lane of lanes) {
          const key = `${lane.y} ${hit.at} ${to}`;
          if (!drawn.has(key)) this.bar(parent, "band", hit.at, to, lane.y - 2, lane.height + 4, title, 2);
          drawn.add(key);
        }
      }
    }
  }

  strikes(parent) {
    const { lanes } = this;
    let free = -Infinity;
    const all = this.model.faults.flatMap((fault) => fault.hits.map((hit) => ({ fault, hit }))).sort((a, b) => a.hit.at - b.hit.at);
    for (const { fault, hit } of all) {
      if (!this.shows(hit.at, hit.at)) continue;
      const x = this.x(hit.at), text = String(fault.id), width = Math.max(16, text.length * 7 + 6);
      element("line", { class: "strike", x1: x, x2: x, y1: 18, y2: lanes.bottom }, parent);
      if (x - width / 2 < free) continue;
      free = x + width / 2 + 1;
      const chip = element("g", { class: "goto" }, parent, `fault ${fault.id}: ${fault.kind} ${hit.target}, struck at ${seconds(hit.at)}. ${fault.detail}`);
      chip.dataset.at = hit.at;
      element("rect", { class: "chip", x: x - width / 2, y: 2, width, height: 16, rx: 3 }, chip);
      label(chip, x, 14, text, { class: "on", "text-anchor": "middle" });
    }
  }

  recovery(parent, recovery, lane) {
    const end = Math.max(outageEnd(recovery), recovery.caughtUp ?? 0);
    const length = duration(outageEnd(recovery) - recovery.failed);
    const text = !recovery.parts ? `outage > ${length}`
      : `outage ${length}` + (recovery.caughtUp === null && !recovery.stall ? ", not caught up" : "");
    if (!this.shows(recovery.failed, end + 1e9)) return;
    let at = recovery.failed;
    for (const [i, part] of (recovery.parts ?? []).entries()) {
      if (part > 0) {
        this.bar(parent, `p${i}`, at, at + part, lane.y, lane.height, `${PARTS[i]}: ${duration(part)}`, 0.7);
        this.inside(parent, at, at + part, lane.y + 12, PARTS[i]);
      }
      at += part;
    }
    if (!recovery.parts) {
      this.bar(parent, "unended", at, end, lane.y, lane.height, `no lasting progress for ${length} until the run ended`, 0.7);
    }
    if (recovery.caughtUp !== null && recovery.caughtUp > at) {
      this.bar(parent, "late", at, recovery.caughtUp, lane.y + 4, lane.height - 8, `catch-up: ${duration(recovery.caughtUp - at)}`);
    }
    const x = this.x(end) + 6;
    if (x > LEFT && x + text.length * 6 < this.right) label(parent, x, lane.y + 12, text, { class: "dim" });
  }

  // Bytes on their way to all nodes, seen at events; the scale is that of the whole run, so that windows compare.
  flow(parent, lane) {
    const samples = this.model.flow, peak = Math.max(...samples.map((sample) => sample.inFlight));
    const from = Math.max(0, countUntil(samples, this.from, (s) => s.at) - 1), to = countUntil(samples, this.to, (s) => s.at);
    // Bars and no curve: between two samples nothing is known.
    const bar = (sample, i) => {
      if (sample.inFlight === 0) return "";
      const x = this.x(sample.at), next = samples[from + i + 1];
      const width = Math.max(1.5, Math.min(5, (next ? this.x(next.at) : this.right) - x));
      return `M${x},${lane.bottom}v${-Math.max(1, (sample.inFlight / peak) * lane.height)}h${width}V${lane.bottom}Z`;
    };
    element("path", { class: "area", d: samples.slice(from, to + 1).map(bar).join("") }, parent, `records under way between nodes, at most ${bytes(peak)}`);
    element("line", { class: "grid", x1: LEFT, x2: this.right, y1: lane.bottom, y2: lane.bottom }, parent);
  }

  // The whole run in one strip, with the window that is drawn above.
  map() {
    const { svg, model } = this, { y, height } = this.lanes.map;
    const scale = (this.right - LEFT) / model.end, x = (at) => LEFT + Math.min(at, model.end) * scale;
    const group = element("g", { class: "map" }, svg, "the whole run; click to go there");
    element("rect", { class: "up", x: LEFT, y, width: this.right - LEFT, height }, group);
    for (const checkpoint of model.checkpoints) {
      const kind = { completed: "done", aborted: "lost", unfinished: "open" }[checkpoint.state];
      const from = x(checkpoint.triggered);
      element("rect", { class: kind, x: from, y: y + 4, width: Math.max(1, x(checkpoint.ended ?? model.end) - from), height: height - 8 }, group);
    }
    for (const recovery of model.recoveries) {
      element("rect", { class: "late", x: x(recovery.failed), y, width: Math.max(1, x(outageEnd(recovery)) - x(recovery.failed)), height }, group);
    }
    for (const fault of model.faults) for (const hit of fault.hits) {
      element("rect", { class: "chip", x: x(hit.at) - 0.75, y, width: 1.5, height }, group);
    }
    element("rect", { class: "window", x: x(this.from), y: y - 2, width: Math.max(3, x(this.to) - x(this.from)), height: height + 4, rx: 2 }, group);
  }
}

