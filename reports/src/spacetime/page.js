// The page: a run's picture is made when its details are opened, and an address names a run and an instant of it.
// Failures are noted at the root of the document, where a test finds them.

const root = document.documentElement;
const note = (what) => (root.dataset.error = `${root.dataset.error ?? ""}${what}\n`);
addEventListener("error", (event) => note(event.message));
addEventListener("unhandledrejection", (event) => note(String(event.reason)));

const views = new Map();

function viewOf(details) {
  if (!views.has(details)) {
    const host = details.querySelector(".spacetime");
    const number = Number(details.id.replace("run-", ""));
    views.set(details, host ? new View(host, number) : null);
  }
  return views.get(details);
}

for (const details of document.querySelectorAll("details.run")) {
  details.addEventListener("toggle", () => details.open && viewOf(details));
  // One that stands open from the start may have told so before anybody listened.
  if (details.open) viewOf(details);
}

// "2.5s", "80ms", "300us", or seconds without a unit; microseconds.
function timeOf(text) {
  const found = /^(\d+(?:\.\d+)?)(s|ms|us|µs)?$/.exec(text ?? "");
  return found ? Math.round(Number(found[1]) * { s: 1e6, ms: 1e3, us: 1, "µs": 1 }[found[2] ?? "s"]) : null;
}

// "#run-3" opens run 3; "#run=3&t=2.5s&w=80ms" also moves its scrubber and shows so much time around it.
function follow() {
  const asked = new URLSearchParams(location.hash.slice(1).replace(/^run-/, "run="));
  const details = document.getElementById(`run-${asked.get("run")}`);
  if (!details) return;
  details.open = true;
  // Whoever follows a link to a run sees it, whatever the table of runs is narrowed to.
  details.hidden = false;
  const view = viewOf(details), at = timeOf(asked.get("t")), width = timeOf(asked.get("w"));
  if (view && at !== null) {
    view.seek(at);
    if (width !== null) view.show(at - width / 2, at + width / 2);
    else view.follow();
  }
  (at === null || !view ? details : view.host).scrollIntoView();
}

// On paper every run that is shown has its picture, as wide as the paper.
const PAPER = 960;
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details.run:not([hidden])")) viewOf(details);
  for (const view of views.values()) view?.resize(PAPER);
});
addEventListener("afterprint", () => {
  for (const view of views.values()) view?.resize();
});

addEventListener("hashchange", follow);
follow();
addEventListener("load", () => (root.dataset.opened = Math.round(performance.now())));
