// A click on a strike shows what it is, how it went, and the command that makes the run again.
const picked = document.getElementById("picked");
let before = null;
const line = (text, tag) => {
  const p = document.createElement("p");
  const inner = tag ? p.appendChild(document.createElement(tag)) : p;
  inner.textContent = text;
  return p;
};
const show = (rect) => {
  const found = strikes[rect.dataset.n];
  if (!found) return;
  if (before) before.classList.remove("picked");
  rect.classList.add("picked");
  before = rect;
  const [what, way, replay] = found;
  const others = Number(rect.dataset.k) - 1;
  const parts = [line(what), line(way || "not run: another strike of its class stands for it")];
  if (replay) parts.push(line(replay, "code"));
  if (others > 0) parts.push(line(`and ${others} more that went the same way here`));
  picked.replaceChildren(...parts);
};
document.querySelector("svg.strikes")?.addEventListener("click", (event) => {
  const rect = event.target.closest("rect");
  if (rect) show(rect);
});
const [, first] = location.hash.split("strike-");
const asked = first && document.querySelector(`rect[data-n="${CSS.escape(first)}"]`);
if (asked) show(asked);
