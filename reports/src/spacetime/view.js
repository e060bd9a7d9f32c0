// One picture with its controls: what the window shows, where the scrubber stands, and the panel of that instant.

const NARROWEST = 200; // microseconds: below, the data has no more to show

const HINT = "Click a checkpoint to see its barriers, or anywhere to move the scrubber; drag to pan. Chosen with a click, the picture " +
  "takes the wheel and + − 0 for zooming, ← → for stepping through events, and space for playing.";

function html(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  made.append(...children);
  return made;
}

class View {
  constructor(host, number) {
    this.model = decode(JSON.parse(host.querySelector("script").textContent));
    this.lanes = layout(this.model);
    this.number = number;
    this.window = { from: 0, to: this.model.end };
    this.at = this.start();
    this.host = host;
    this.texts = [...(host.closest("details")?.querySelectorAll("pre.timeline > i") ?? [])];
    this.build();
    this.resize();
    new ResizeObserver(() => this.resize()).observe(this.frame);
  }

  // Where a reader wants to look first: the first strike, else the middle of the first checkpoint.
  start() {
    const strikes = this.model.faults.flatMap((fault) => fault.hits.map((hit) => hit.at));
    const first = this.model.checkpoints[0];
    return strikes.length > 0 ? Math.min(...strikes)
      : first ? Math.trunc((first.triggered + (first.ended ?? first.triggered)) / 2) : 0;
  }

  build() {
    const button = (text, title, action) => {
      const made = html("button", { type: "button", title }, text);
      made.addEventListener("click", action);
      return made;
    };
    this.play = button("▶", "play (space)", () => this.toggle());
    this.range = html("input", { type: "range", "aria-label": "instant" });
    this.range.addEventListener("input", () => this.seek(Number(this.range.value)));
    this.goto = this.jumps();
    this.link = html("a", { title: "link to this instant" }, "link");
    const controls = html("div", { class: "controls" },
      this.play,
      button("‹", "previous event (←)", () => this.step(-1)),
      button("›", "next event (→)", () => this.step(1)),
      this.clock = html("output", { class: "clock" }),
      this.link,
      html("span", { class: "gap" }),
      this.goto,
      button("−", "zoom out (-)", () => this.zoom(2)),
      button("+", "zoom in (+)", () => this.zoom(0.5)),
      button("whole run", "show the whole run (0)", () => this.show(0, this.model.end)));
    this.svg = element("svg", { class: "fq", role: "img", "aria-label": "space-time picture of the run" });
    this.cursor = element("svg", { class: "fq cursor", "aria-hidden": "true" });
    this.frame = html("div", { class: "frame", tabindex: "0", "aria-label": "picture; arrow keys step from event to event" }, this.svg, this.cursor);
    this.panel = this.table();
    this.summary = html("p", { class: "instant" });
    this.host.append(controls, this.frame, this.range, legend(this.model), html("p", { class: "hint" }, HINT), this.summary, html("div", { class: "scroll" }, this.panel));
    this.listen();
  }

  jumps() {
    const options = [html("option", { value: "" }, "go to …")];
    const add = (text, from, to) => options.push(html("option", { value: `${from} ${to}` }, text));
    for (const fault of this.model.faults) {
      const hit = fault.hits[0];
      if (hit) add(`fault ${fault.id}: ${fault.kind} ${hit.target}`.slice(0, 60), hit.at, hit.at);
    }
    for (const [i, recovery] of this.model.recoveries.entries()) {
      add(`${recovery.stall ? "stall" : "recovery"} ${i + 1}, attempt ${recovery.attempt}`, recovery.failed, Math.max(outageEnd(recovery), recovery.caughtUp ?? 0));
    }
    for (const checkpoint of this.model.checkpoints) {
      add(`checkpoint ${checkpoint.id}, ${checkpoint.state}`, checkpoint.triggered, checkpoint.ended ?? this.model.end);
    }
    const select = html("select", { "aria-label": "go to" }, ...options);
    select.addEventListener("change", () => {
      const [from, to] = select.value.split(" ").map(Number);
      if (select.value) this.visit(from, to);
      select.value = "";
    });
    return select;
  }

  // Shows a span with some room around it; a strike has as much room as what follows it needs.
  visit(from, to) {
    const room = to > from ? (to - from) / 6 : Math.max(20_000, this.model.end / 100);
    this.seek(from);
    this.show(from - room, to + room);
  }

  table() {
    const heads = ["node", "state", "subtasks", "faults in force", "to be read"].map((text) => html("th", { scope: "col" }, text));
    this.cells = this.model.nodes.map((node) => {
      const cells = ["state", "tasks", "faults", "waiting"].map((kind) => html("td", { "data-cell": kind }));
      return { row: html("tr", { "data-node": node.name }, html("th", { scope: "row" }, node.name), ...cells), cells };
    });
    return html("table", { class: "state" }, html("thead", {}, html("tr", {}, ...heads)), html("tbody", {}, ...this.cells.map(({ row }) => row)));
  }

  listen() {
    const { frame } = this;
    frame.addEventListener("keydown", (event) => {
      const action = {
        ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1), "+": () => this.zoom(0.5), "=": () => this.zoom(0.5),
        "-": () => this.zoom(2), 0: () => this.show(0, this.model.end), " ": () => this.toggle(),
      }[event.key];
      if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      action();
    });
    // A wheel scrolls the page, unless the picture was chosen first or the gesture means zooming anyway.
    frame.addEventListener("wheel", (event) => {
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (!sideways && !event.ctrlKey && document.activeElement !== frame) return;
      event.preventDefault();
      const span = this.window.to - this.window.from;
      if (sideways) this.show(this.window.from + span * event.deltaX / 800, this.window.to + span * event.deltaX / 800);
      else this.zoom(2 ** (event.deltaY / 240), this.timeAt(event));
    }, { passive: false });
    let held = null;
    frame.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      held = { x: event.clientX, window: this.window, moved: false, map: this.isMap(event), goto: event.target.closest(".goto") };
      frame.setPointerCapture(event.pointerId);
    });
    frame.addEventListener("pointermove", (event) => {
      if (!held) return;
      const shift = (event.clientX - held.x) / (this.width - LEFT - RIGHT);
      held.moved ||= Math.abs(event.clientX - held.x) > 4;
      if (!held.moved) return;
      const span = held.window.to - held.window.from, by = held.map ? shift * this.model.end : -shift * span;
      this.show(held.window.from + by, held.window.to + by);
    });
    frame.addEventListener("pointerup", (event) => {
      const was = held;
      held = null;
      if (!was || was.moved) return;
      if (was.map) {
        const span = this.window.to - this.window.from, centre = this.timeAt(event, { from: 0, to: this.model.end });
        this.show(centre - span / 2, centre + span / 2);
      } else if (was.goto?.dataset.from) this.visit(Number(was.goto.dataset.from), Number(was.goto.dataset.to));
      else if (was.goto) this.seek(Number(was.goto.dataset.at));
      else this.seek(this.timeAt(event));
    });
    frame.addEventListener("pointercancel", () => (held = null));
  }

  isMap(event) {
    return event.clientY - this.svg.getBoundingClientRect().top > this.lanes.map.y - 4;
  }

  timeAt(event, window = this.window) {
    const share = (event.clientX - this.svg.getBoundingClientRect().left - LEFT) / (this.width - LEFT - RIGHT);
    return window.from + Math.max(0, Math.min(1, share)) * (window.to - window.from);
  }

  resize(width = Math.max(560, Math.floor(this.frame.clientWidth))) {
    if (width === this.width) return;
    this.width = width;
    this.redraw();
  }

  // Shows a window of time, moved and cut so that it lies within the run.
  show(from, to) {
    const span = Math.max(Math.min(NARROWEST, this.model.end), Math.min(to - from, this.model.end));
    const start = Math.max(0, Math.min(from + (to - from - span) / 2, this.model.end - span));
    this.window = { from: start, to: start + span };
    this.redraw();
  }

  zoom(factor, centre = this.at) {
    const { from, to } = this.window;
    const fixed = centre >= from && centre <= to ? centre : (from + to) / 2;
    this.show(fixed - (fixed - from) * factor, fixed + (to - fixed) * factor);
  }

  seek(at) {
    this.at = Math.round(Math.max(0, Math.min(at, this.model.end)));
    this.tell();
  }

  // To the next thing that happened; the window follows.
  step(direction) {
    const { instants } = this.model;
    const index = direction > 0 ? countUntil(instants, this.at) : countUntil(instants, this.at - 1) - 1;
    if (instants[index] === undefined) return;
    this.seek(instants[index]);
    this.follow();
  }

  follow() {
    const { from, to } = this.window;
    if (this.at < from || this.at > to) this.show(this.at - (to - from) / 4, this.at + (to - from) * 3 / 4);
  }

  toggle() {
    this.playing = !this.playing;
    this.play.textContent = this.playing ? "❚❚" : "▶";
    if (!this.playing) return;
    if (this.at >= this.model.end) this.seek(this.window.from);
    let before = null;
    const frame = (now) => {
      if (!this.playing || !this.host.isConnected) return;
      // Twelve seconds for what the window shows.
      if (before !== null) this.seek(this.at + Math.max(1, (now - before) / 12_000 * (this.window.to - this.window.from)));
      before = now;
      this.follow();
      if (this.at >= this.model.end) this.toggle(); else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  redraw() {
    if (!this.width) return;
    new Drawing(this.model, this.lanes, this.svg, this.window, this.width).draw();
    this.range.min = Math.floor(this.window.from);
    this.range.max = Math.ceil(this.window.to);
    this.range.step = Math.max(1, Math.round((this.window.to - this.window.from) / 1000));
    this.tell();
  }

  tell() {
    const state = stateAt(this.model, this.at);
    this.range.value = this.at;
    this.range.setAttribute("aria-valuetext", seconds(this.at));
    this.clock.textContent = seconds(this.at);
    const span = Math.round(this.window.to - this.window.from);
    this.link.href = `#run=${this.number}&t=${this.at}us` + (span < this.model.end ? `&w=${span}us` : "");
    this.drawCursor(state);
    this.summary.replaceChildren(...this.words(state));
    state.nodes.forEach((node, i) => this.tellNode(node, this.cells[i]));
    if (this.marked) this.marked.classList.remove("now");
    this.marked = this.texts[state.line];
    this.marked?.classList.add("now");
  }

  // The line of the instant, and which subtasks the rows belong to then.
  drawCursor(state) {
    const { from, to } = this.window, { height, bottom } = this.lanes;
    this.cursor.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
    this.cursor.replaceChildren();
    for (const task of state.runs ? state.attempt.tasks : []) {
      const lane = this.lanes.nodes[task.node], row = this.lanes.rows.get(`${state.attempt.number} ${task.subtask}`);
      if (lane) label(this.cursor, LEFT - 5, lane.y + PAD + row * ROW + 8.5, this.model.subtasks[task.subtask].name.slice(0, 8), { "text-anchor": "end" });
    }
    if (this.at < from || this.at > to) return;
    const x = LEFT + (this.at - from) / (to - from) * (this.width - LEFT - RIGHT);
    element("line", { x1: x, x2: x, y1: 18, y2: bottom + 2 }, this.cursor);
    element("path", { d: `M${x - 5},${bottom + 8}L${x},${bottom}L${x + 5},${bottom + 8}Z` }, this.cursor);
  }

  words(state) {
    const parts = [];
    const say = (kind, text) => parts.push(html("span", { "data-now": kind }, text));
    const { attempt, pending, completed, recovery, sample } = state;
    if (!attempt) say("attempt", "no attempt yet");
    else if (!state.runs) say("attempt", `attempt ${attempt.number} is over`);
    else say("attempt", `attempt ${attempt.number} ${attempt.running !== null && state.at >= attempt.running ? "runs" : "is being deployed"}`);
    if (pending) say("checkpoint", `checkpoint ${pending.id} under way for ${duration(state.at - pending.triggered)}`);
    else say("checkpoint", completed ? `checkpoint ${completed.id} is the newest complete one` : "no checkpoint is complete");
    if (recovery) say("recovery", `${recovery.stall ? "stands still" : "recovers"}: ${partAt(recovery, state.at)}`);
    for (const { fault, hit } of state.hits.slice(0, 3)) say("fault", `fault ${fault.id}: ${fault.kind} ${hit.target}`);
    if (sample) say("flow", `${bytes(sample.inFlight)} in flight, ${sample.committed.toLocaleString("en")} records committed`);
    const line = this.texts[state.line]?.textContent.replace(/[>▼▲●×✓↻↓■│\s]+/gu, " ").trim();
    if (line) say("line", `last: ${line}`);
    return parts;
  }

  tellNode(node, { row, cells: [state, tasks, faults, waiting] }) {
    const words = node.up ? `up, life ${node.life}` : node.life === 0 ? "not started" : `down since ${seconds(node.since)}`;
    state.textContent = node.term === null ? words : `${words}, leads term ${node.term}`;
    row.className = node.up ? "" : "down";
    tasks.replaceChildren(...node.tasks.map((task) =>
      html("span", { class: "task", "data-subtask": task.name, "data-does": task.state }, html("b", {}, task.name), ` ${task.state}`)));
    faults.textContent = [...new Set(node.faults.map(({ fault }) => `#${fault.id} ${fault.kind}`))].join(", ");
    waiting.textContent = node.waiting ? bytes(node.waiting) : "";
  }
}

// Only what the picture uses.
function legend(model) {
  const has = (state) => model.checkpoints.some((checkpoint) => checkpoint.state === state);
  const parts = PARTS.map((part, i) => [`p${i}`, part, model.recoveries.some((r) => r.parts && r.parts[i] > 0)]);
  const waves = model.checkpoints.some((checkpoint) => checkpoint.tasks.length > 0);
  const entries = [
    ["done", "checkpoint completed", has("completed")], ["lost", "given up", has("aborted")], ["open", "unfinished", has("unfinished")],
    ["up", "node up", model.nodes.length > 0], ["leads", "leads", model.terms.length > 0],
    ["aligning", "aligning", waves], ["sync", "synchronous part", waves], ["upload", "upload", waves], ["loading", "loading state", model.attempts.length > 0],
    ["chip", "fault", model.faults.some((fault) => fault.hits.length > 0)], ...parts,
    ["unended", "outage without an end", model.recoveries.some((r) => !r.parts)],
    ["late", "catch-up", model.recoveries.some((r) => r.caughtUp !== null)], ["area", "records in flight", model.flow.some((s) => s.inFlight > 0)],
  ];
  return html("ul", { class: "legend" }, ...entries.filter(([, , used]) => used).map(([kind, text]) => {
    const swatch = element("svg", { class: "fq", width: 10, height: 10, "aria-hidden": "true" });
    element("rect", { class: kind, width: 10, height: 10 }, swatch);
    return html("li", {}, swatch, text);
  }));
}

