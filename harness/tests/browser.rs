//! The report in a real browser: what its script draws and says is compared with the record.
//!
//! Each test looks for Chromium or Chrome, and prints a line if there is none. A page is opened without a window, with
//! an address that names a run and an instant. The document that the browser made is read as text.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use flowquake_reports::record::{RunRecord, RunSet, SubtaskCheckpoint};

/// Real time after which a browser counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);

const SCENARIO: &str = r#"name = "small"
why = "the report is tried on it"

[job]
name = "string-length-count"
input = { generator = "words", records = 4_000, rate = "2000/s" }

[cluster]
task_managers = 3

[checkpointing]
interval = "200ms"

[[fault]]
on = { event = "checkpoint-completed", checkpoint = 3 }
do = "kill"
target = "tm-2"
restart_after = "700ms"
"#;

/// A browser that starts. `None`: there is none, and a line was printed that says why.
fn browser() -> Option<PathBuf> {
    let folders =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let found =
        names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file());
    let Some(found) = found else {
        println!("skipped: no chromium, chromium-browser or google-chrome in PATH");
        return None;
    };
    if dom(&found, "about:blank").is_none() {
        println!("skipped: {} does not start here", found.display());
        return None;
    }
    Some(found)
}

/// The document that the browser made of an address; `None`: the browser failed, or did not end.
fn dom(browser: &Path, address: &str) -> Option<String> {
    let home = tempfile::tempdir().unwrap();
    let output = home.path().join("dom.html");
    let mut child = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--window-size=1400,1400",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", home.path().join("profile").display()))
        .arg(address)
        .stdout(fs::File::create(&output).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let Some(status) = ended(&mut child) else {
        let _ = child.kill();
        let _ = child.wait();
        return None;
    };
    let text = fs::read_to_string(output).unwrap();
    (status.success() && text.contains("<html")).then_some(text)
}

/// How a process ended; `None`: the process did not end within [`PATIENCE`].
#[allow(clippy::disallowed_methods, reason = "a browser takes real time")]
fn ended(child: &mut Child) -> Option<ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

/// Runs scenarios in a folder. Returns the records, and the address of their report.
fn report(folder: &Path, args: &[&str]) -> (RunSet, String) {
    let said = Command::new(env!("CARGO_BIN_EXE_flowquake"))
        .args(["run", "--json", "runs.json"])
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(matches!(said.status.code(), Some(0 | 7)), "{}", String::from_utf8_lossy(&said.stdout));
    let set = serde_json::from_slice(&fs::read(folder.join("runs.json")).unwrap()).unwrap();
    (set, format!("file://{}", folder.join("target/flowquake/report.html").display()))
}

/// An opened page.
struct Page(String);

impl Page {
    #[track_caller]
    fn open(browser: &Path, address: &str) -> Self {
        let page = Page(dom(browser, address).unwrap_or_else(|| panic!("{address} was not opened")));
        let root = page.between("<html", ">");
        assert!(!root.contains("data-error"), "{root}");
        page
    }

    #[track_caller]
    fn between(&self, from: &str, to: &str) -> &str {
        let at = self.0.find(from).unwrap_or_else(|| panic!("the page has no {from}")) + from.len();
        self.0[at..].split(to).next().unwrap_or_default()
    }

    /// The space-time picture of the first run.
    fn picture(&self) -> &str {
        self.between("class=\"spacetime\"", "<dl class=\"facts\"")
    }

    /// The row of a node in the panel.
    fn row(&self, node: &str) -> &str {
        self.between(&format!("<tr data-node=\"{node}\""), "</tr>")
    }

    /// The text of a cell, without markup.
    fn cell(&self, node: &str, cell: &str) -> String {
        let row = self.row(node);
        let content = row.split(&format!("data-cell=\"{cell}\">")).nth(1).unwrap_or_default();
        content.split("</td>").next().unwrap_or_default().to_owned()
    }

    /// What a subtask does, as the panel says in the row of the node.
    fn does(&self, node: &str, subtask: &str) -> Option<&str> {
        let rest = self.row(node).split(&format!("data-subtask=\"{subtask}\" data-does=\"")).nth(1)?;
        rest.split('"').next()
    }
}

/// What a subtask was doing for a pending checkpoint, computed from the record without the page's script.
fn doing(task: &SubtaskCheckpoint, at: u64) -> &'static str {
    let reached = |step: Option<u64>| step.is_some_and(|step| step <= at);
    match () {
        () if reached(task.acknowledged_ns) => "acknowledged",
        () if reached(task.async_end_ns) => "acknowledgement under way",
        () if reached(task.sync_end_ns) => "uploading",
        () if reached(task.aligned_ns) => "snapshot, synchronous part",
        () if reached(task.first_barrier_ns) => "aligning",
        () => "waiting for its barrier",
    }
}

fn small(folder: &Path) -> (RunRecord, String) {
    fs::write(folder.join("small.toml"), SCENARIO).unwrap();
    let (set, address) = report(folder, &["small.toml"]);
    (set.runs.into_iter().next().unwrap(), address)
}

#[test]
fn the_scrubber_says_what_every_subtask_does_for_a_checkpoint() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (run, address) = small(folder.path());
    let checkpoint = &run.checkpoints[1];
    // While barriers are on their way, and half way through the last upload.
    let first_aligned = checkpoint.subtasks.iter().filter_map(|task| task.aligned_ns).min().unwrap();
    let last = checkpoint.subtasks.iter().max_by_key(|task| task.async_end_ns).unwrap();
    let uploading = u64::midpoint(last.sync_end_ns.unwrap(), last.async_end_ns.unwrap());
    let mut seen = Vec::new();
    for at_us in [first_aligned / 1_000 + 1, uploading / 1_000] {
        let page = Page::open(&browser, &format!("{address}#run=1&t={at_us}us&w=20ms"));
        assert!(page.0.contains(&format!("checkpoint {} under way", checkpoint.id)));
        for task in &checkpoint.subtasks {
            // Times in the picture are whole microseconds: everything that happened within this microsecond counts as
            // reached.
            let expected = doing(task, at_us * 1_000 + 999);
            assert_eq!(page.does(&task.node, &task.subtask), Some(expected), "{} at {at_us} µs", task.subtask);
            seen.push(expected);
        }
        for (node, state) in [("jm-1", "up, life 1, leads term 1"), ("tm-1", "up, life 1"), ("tm-2", "up, life 1")] {
            assert_eq!(page.cell(node, "state"), state);
        }
        for drawn in ["class=\"front\"", "class=\"ack\"", "class=\"upload\"", "class=\"strike\""] {
            // The strike lies outside this window.
            assert_eq!(page.picture().contains(drawn), !drawn.contains("strike"), "{drawn}");
        }
    }
    assert!(seen.contains(&"uploading") && seen.contains(&"acknowledged"), "{seen:?}");
}

#[test]
fn the_scrubber_says_who_is_down_and_which_fault_is_in_force() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (run, address) = small(folder.path());
    let (struck, healed) = (run.faults[0].struck_at_ns.unwrap(), run.faults[0].healed_at_ns.unwrap());
    let page = Page::open(&browser, &format!("{address}#run=1&t={}us", struck.midpoint(healed) / 1_000));
    assert!(page.cell("tm-2", "state").starts_with("down since "), "{}", page.cell("tm-2", "state"));
    assert_eq!(page.cell("tm-2", "tasks"), "");
    assert_eq!(page.cell("tm-2", "faults"), "#1 kill");
    assert_eq!(page.cell("tm-1", "faults"), "");
    assert!(page.picture().contains("class=\"strike\"") && page.picture().contains("class=\"band\""));
    // An address may also give seconds instead of microseconds. This instant is after the restart, in the second life.
    let later = Page::open(
        &browser,
        &format!("{address}#run=1&t={}.{:06}s", healed / 1_000_000_000, healed / 1_000 % 1_000_000 + 1),
    );
    assert_eq!(later.cell("tm-2", "state"), "up, life 2");
    // An address without an instant opens the run. The bare address opens no run.
    assert!(Page::open(&browser, &format!("{address}#run-1")).0.contains("data-now=\"attempt\""));
    assert!(!Page::open(&browser, &address).0.contains("<tr data-node="));
}

#[test]
fn back_pressure_is_drawn_for_each_subtask_and_an_idle_run_has_no_such_picture() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/network/slow-link-and-back-pressure.toml");
    let (_, address) = report(folder.path(), &["--restore-check=false", scenario.to_str().unwrap()]);
    let page = Page::open(&browser, &address);
    let load = page.between("<svg class=\"fq-load\"", "</svg>");
    for part in ["0#0: busy at most", "1#1: busy at most", "<path class=\"pressed\"", "class=\"strike\""] {
        assert!(load.contains(part), "{part}: {load}");
    }
    let (_, address) = small(folder.path());
    assert!(!Page::open(&browser, &address).0.contains("<svg class=\"fq-load\""));
}

/// Presses keys, turns the wheel and clicks. After each step the script notes the scrubber and the width of the window
/// (`-`: the whole run).
const HANDS: &str = r##"<script>
addEventListener("load", () => {
  const run = document.querySelector("#run-1");
  const notes = [], frame = run.querySelector(".frame"), box = frame.getBoundingClientRect();
  const note = () => {
    const [, at, width] = /t=(\d+)us(?:&w=(\d+)us)?/.exec(run.querySelector(".controls a").getAttribute("href"));
    notes.push(`${at} ${width ?? "-"}`);
  };
  const key = (key) => { frame.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true })); note(); };
  const point = (kind, x, y, target = frame) =>
    target.dispatchEvent(new PointerEvent(kind, { clientX: box.left + x, clientY: box.top + y, bubbles: true }));
  frame.setPointerCapture = () => {};
  frame.focus();
  for (const name of ["ArrowLeft", "ArrowRight", "+", "0"]) key(name);
  frame.dispatchEvent(new WheelEvent("wheel", { deltaY: -240, clientX: box.left + 600, cancelable: true })); note();
  point("pointerdown", 300, 100); point("pointerup", 300, 100); note();
  point("pointerdown", 300, 100); point("pointermove", 420, 100); point("pointerup", 420, 100); note();
  key("0");
  point("pointerdown", 300, 30, frame.querySelector("rect.goto")); point("pointerup", 300, 30); note();
  document.documentElement.dataset.notes = notes.join(",");
});
</script></body>"##;

#[test]
fn keys_wheel_and_pointer_move_scrubber_and_window() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (run, address) = small(folder.path());
    let file = address.trim_start_matches("file://");
    fs::write(file, fs::read_to_string(file).unwrap().replace("</body>", HANDS)).unwrap();
    let page = Page::open(&browser, &format!("{address}#run-1"));
    let notes = page.between("data-notes=\"", "\"").split(',');
    let notes: Vec<(u64, Option<u64>)> = notes
        .map(|note| note.split_once(' ').unwrap())
        .map(|(at, width)| (at.parse().unwrap(), width.parse().ok()))
        .collect();
    let [left, right, zoomed, whole, wheel, clicked, dragged, whole_again, checkpoint] = notes[..] else {
        panic!("{notes:?}")
    };
    let struck = run.faults[0].struck_at_ns.unwrap() / 1_000;
    assert!(left.0 < struck && right.0 == struck, "from event to event: {notes:?}");
    let end = run.totals.virtual_ns / 1_000;
    assert!(zoomed.1.unwrap().abs_diff(end / 2) <= 1 && whole.1.is_none(), "{notes:?}");
    assert!(wheel.1.unwrap().abs_diff(end / 2) <= 1, "{notes:?}");
    assert!(
        clicked.0 != struck && dragged == clicked && whole_again.1.is_none(),
        "a drag pans and moves no scrubber: {notes:?}"
    );
    assert_eq!(checkpoint.0, run.checkpoints[0].triggered_at_ns / 1_000, "a click on a checkpoint goes to its trigger");
    assert!(checkpoint.1.unwrap() < end / 5, "{notes:?}");
}

/// Types, clicks and goes back in the table of runs. After each step the script notes which runs are shown, in which
/// order, and the address.
const TABLE: &str = r##"<script>
addEventListener("load", () => {
  const notes = [], root = document.documentElement, find = (what) => document.querySelector(what);
  const note = () => {
    const shown = [...document.querySelectorAll("tr[data-run]")].filter((row) => !row.hidden && !row.closest("tbody").hidden);
    notes.push(`${shown.map((row) => row.dataset.run).join(" ")}|${location.hash}|${find("output").textContent}`);
  };
  const head = (name) => [...document.querySelectorAll(".runs thead button")].find((one) => one.textContent === name).click();
  const words = (text) => { find(".filter input").value = text; find(".filter input").dispatchEvent(new Event("input")); };
  note();
  head("seed"); note();
  head("seed"); note();
  words("KILL small"); note();
  words("nothing like this"); note();
  words(""); find("button[data-verdict=passed]").click(); note();
  find(".clear").click(); note();
  root.dataset.focus = document.activeElement === find(".filter input");
  find("button[data-verdict=passed]").focus();
  dispatchEvent(new KeyboardEvent("keydown", { key: "/", cancelable: true }));
  root.dataset.slash = document.activeElement === find(".filter input");
  root.dataset.table = notes.join("§");
});
</script></body>"##;

#[test]
fn the_table_of_runs_is_narrowed_and_sorted_and_its_address_says_how() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("other")).unwrap();
    for (file, name) in [("small.toml", "small"), ("other/calm-one.toml", "calm-one")] {
        let text = SCENARIO.replace("\"small\"", &format!("\"{name}\""));
        let text = if name == "small" { text } else { text.split("[[fault]]").next().unwrap().to_owned() };
        fs::write(folder.path().join(file), text).unwrap();
    }
    let (_, address) = report(folder.path(), &["small.toml", "other", "--seeds", "2"]);
    let rows = |page: &Page| {
        let row = |rest: &str| {
            (rest.split('"').next().unwrap().to_owned(), !rest.split('>').next().unwrap().contains("hidden"))
        };
        page.0
            .split("<tr data-run=\"")
            .skip(1)
            .map(row)
            .filter(|(_, shown)| *shown)
            .map(|(run, _)| run)
            .collect::<Vec<_>>()
    };
    // Filter and order given by an address.
    let page = Page::open(&browser, &format!("{address}#filter=calm&sort=-seed"));
    assert_eq!(rows(&page), ["4", "3"]);
    assert!(page.0.contains("aria-sort=\"descending\"") && page.0.contains("2 of 4 runs"));
    assert_eq!(
        page.0.matches("<details class=\"run card\" id=\"run-1\" hidden").count(),
        1,
        "its section is hidden, too"
    );
    // An address of a run shows this run, and a malformed address does no harm.
    assert_eq!(rows(&Page::open(&browser, &format!("{address}#run-1"))), ["1", "2", "3", "4"]);
    Page::open(&browser, &format!("{address}#filter=%&sort=no-such-column&verdict=&x=%E4"));
    // A link may ask for a verdict in upper or lower case. It narrows the table even if no run has this verdict. A
    // printed page says so in words.
    for (asked, shown, said, narrowed) in [
        ("verdict=Passed", &["1", "2", "3", "4"][..], "4 of 4 runs", "passed"),
        (
            "verdict=passed,stuck&filter=calm+one",
            &["3", "4"],
            "2 of 4 runs; none is stuck",
            "passed or stuck, with the words calm one",
        ),
        ("verdict=not-built", &[], "0 of 4 runs; none is not built", "not built"),
    ] {
        let page = Page::open(&browser, &format!("{address}#{asked}"));
        assert_eq!(rows(&page), shown, "{asked}");
        assert_eq!(page.between("<output", "</output>"), format!(" data-narrowed=\"{narrowed}\">{said}"), "{asked}");
    }
    // Filter and order set by hand.
    let file = address.trim_start_matches("file://");
    fs::write(file, fs::read_to_string(file).unwrap().replace("</body>", TABLE)).unwrap();
    let page = Page::open(&browser, &address);
    let notes: Vec<&str> = page.between("data-table=\"", "\"").split('§').collect();
    assert_eq!(
        notes,
        [
            "1 2 3 4||",
            "2 4 1 3|#sort=-seed|",
            "1 3 2 4|#sort=seed|",
            "1 2|#filter=KILL+small&amp;sort=seed|2 of 4 runs",
            "|#filter=nothing+like+this&amp;sort=seed|0 of 4 runs",
            "1 3 2 4|#verdict=passed&amp;sort=seed|4 of 4 runs",
            "1 2 3 4||",
        ]
    );
    assert!(page.0.contains("data-focus=\"true\"") && page.0.contains("data-slash=\"true\""));
}

/// Measures how long a reader waits: `cargo test --test browser -- --ignored --nocapture`.
#[test]
#[ignore = "takes the time of every scenario, and measures real time"]
fn a_report_of_sixty_runs_is_small_and_opens_quickly() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let args = ["--restore-check=false", scenarios.to_str().unwrap()];
    let (set, address) = report(folder.path(), &args);
    let size = fs::metadata(address.trim_start_matches("file://")).unwrap().len();
    let page = Page::open(&browser, &address);
    let opened: u64 = page.between("data-opened=\"", "\"").parse().unwrap();
    let shown = page.0.matches("<details class=\"run").count();
    println!("{} runs, {shown} shown, {size} bytes, opened in {opened} ms", set.runs.len());
    assert!(shown >= 60 && size < 5_000_000 && opened < 2_000);
}
