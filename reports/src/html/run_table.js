// The table of all runs: words and verdicts narrow it, and the sections of the runs with it; its heads sort it. What is chosen
// stands in the address, "#filter=kill&verdict=failed,stuck&sort=-cpu", so that a view can be linked. Rows bring their words
// and their order; nothing here is read off numbers as they are shown.

const table = document.querySelector("table.runs");
const bar = document.querySelector(".filter");

const rows = [...(table?.querySelectorAll("tr[data-run]") ?? [])].map((row) => ({
  row,
  group: row.parentElement,
  verdict: row.dataset.verdict,
  text: [...row.cells].map((cell) => cell.textContent)
    .concat(row.dataset.words, row.parentElement.dataset.folder).join(" ").toLowerCase(),
  order: row.dataset.order.split(" ").map(Number),
  section: document.getElementById(`run-${row.dataset.run}`),
}));

const chosen = { words: "", verdicts: new Set(), column: -1, falling: false };

function choose() {
  const words = chosen.words.toLowerCase().split(/\s+/).filter(Boolean);
  const found = rows.filter((one) => words.every((word) => one.text.includes(word)));
  const kept = new Set(found.filter((one) => chosen.verdicts.size === 0 || chosen.verdicts.has(one.verdict)));
  const groups = new Set();
  for (const one of rows) {
    one.row.hidden = !kept.has(one);
    if (one.section) one.section.hidden = one.row.hidden;
    if (!one.row.hidden) groups.add(one.group);
  }
  for (const group of new Set(rows.map((one) => one.group))) group.hidden = chosen.column >= 0 || !groups.has(group);
  for (const chip of chips) {
    chip.setAttribute("aria-pressed", chosen.verdicts.has(chip.dataset.verdict));
    chip.querySelector("b").textContent = found.filter((one) => one.verdict === chip.dataset.verdict).length.toLocaleString("en");
  }
  const narrowed = words.length > 0 || chosen.verdicts.size > 0;
  said.textContent = narrowed ? `${kept.size.toLocaleString("en")} of ${rows.length.toLocaleString("en")} runs` : "";
  // A link may ask for a verdict that no run here has: then no run is shown, and this says why.
  const absent = [...chosen.verdicts].filter((one) => !rows.some((row) => row.verdict === one));
  if (absent.length > 0) said.textContent += `; none is ${absent.join(" or ")}`;
  // Paper has neither box nor chips: the style sheet prints this in their place.
  said.dataset.narrowed = [[...chosen.verdicts].join(" or "), words.length > 0 ? `with the words ${words.join(" ")}` : ""]
    .filter(Boolean).join(", ");
  clear.hidden = !narrowed && chosen.column < 0;
}

// By folder, or by one column over all folders. Rows that are equal stay in the order of the runs.
function sort() {
  const { column, falling } = chosen;
  for (const [index, head] of heads.entries()) {
    if (index === column) head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  if (column < 0) {
    for (const { row, group } of rows) group.append(row);
    sorted.remove();
  } else {
    const sign = falling ? -1 : 1;
    sorted.append(...rows.toSorted((one, other) => sign * (one.order[column] - other.order[column])).map(({ row }) => row));
    table.append(sorted);
  }
}

const nameOf = (head) => head.textContent.replaceAll(" ", "-");

function write() {
  const words = new URLSearchParams();
  if (chosen.words.trim()) words.set("filter", chosen.words.trim());
  if (chosen.verdicts.size > 0) words.set("verdict", [...chosen.verdicts].map((one) => one.replaceAll(" ", "-")).join(","));
  if (chosen.column >= 0) words.set("sort", (chosen.falling ? "-" : "") + nameOf(heads[chosen.column]));
  const address = words.size > 0 ? `#${words.toString().replaceAll("%2C", ",")}` : location.href.split("#")[0];
  history.replaceState(null, "", address);
}

// An address of a run leaves the table as it is.
function read() {
  const words = new URLSearchParams(location.hash.slice(1));
  const sort_by = words.get("sort") ?? "";
  if (location.hash.length > 1 && !["filter", "verdict", "sort"].some((name) => words.has(name))) return;
  chosen.words = input.value = words.get("filter") ?? "";
  const verdicts = (words.get("verdict") ?? "").split(",").map((one) => one.trim().toLowerCase().replaceAll("-", " "));
  chosen.verdicts = new Set(verdicts.filter(Boolean));
  chosen.falling = sort_by.startsWith("-");
  chosen.column = heads.findIndex((head) => nameOf(head) === sort_by.replace(/^-/, ""));
  sort();
  choose();
}

const input = bar?.querySelector("input");
const chips = [...(bar?.querySelectorAll("[data-verdict]") ?? [])];
const clear = bar?.querySelector(".clear");
const said = bar?.querySelector("output");
const heads = [...(table?.querySelectorAll("thead th") ?? [])];
const sorted = document.createElement("tbody");

function changed(order) {
  if (order) sort();
  choose();
  write();
}

if (table && bar) {
  bar.hidden = false;
  input.addEventListener("input", () => {
    chosen.words = input.value;
    changed(false);
  });
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      if (!chosen.verdicts.delete(chip.dataset.verdict)) chosen.verdicts.add(chip.dataset.verdict);
      changed(false);
    });
  }
  clear.addEventListener("click", () => {
    Object.assign(chosen, { words: "", verdicts: new Set(), column: -1 });
    input.value = "";
    input.focus();
    changed(true);
  });
  // A head is a button: one click sorts, the next turns the order around, the third goes back to the folders.
  for (const [index, head] of heads.entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "sort by this column";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const first = "falling" in head.dataset;
      if (chosen.column !== index) Object.assign(chosen, { column: index, falling: first });
      else if (chosen.falling === first) chosen.falling = !first;
      else chosen.column = -1;
      changed(true);
    });
  }
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    input.focus();
  });
  addEventListener("hashchange", read);
  // The table is written as it stands without a choice: nothing to move while the page opens.
  if (location.hash.length > 1) read();
}
