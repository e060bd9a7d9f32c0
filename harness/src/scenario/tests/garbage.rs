//! Whatever the text, loading gives a scenario, a plan or an error that can be shown, and never panics.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Pieces that get far into the reader before something is wrong.
const PIECES: &[&str] = &[
    "name = \"broken\"\n",
    "why = \"w\"\n",
    "time_limit = \"0s\"\n",
    "\n[job]\nname = \"string-length-count\"\n",
    "input = { generator = \"words\", records = 9223372036854775807, rate = \"0.001/s\" }\n",
    "input = { file = \"Cargo.toml\", repeat = 4294967295, splits = 4294967295 }\n",
    "params = { \"a.b[0]\" = 1, emit_every = {} }\n",
    "parallelism = 65535\n",
    "\n[cluster]\n",
    "task_managers = 4294967295\n",
    "slots = 0\n",
    "latency = \"8760h..1ns\"\n",
    "\n[checkpointing]\n",
    "interval = \"99999999999999999999999999999999999999999h\"\n",
    "backend = 3.5\n",
    "\n[[fault]]\n",
    "at = \"8760h\"\n",
    "on = { event = \"task-running\", checkpoint = 0, nth = 0, vertex = 65535, node = \"tm-é\", after_fault = 4294967295 }\n",
    "do = \"cut\"\n",
    "do = \"damage\"\n",
    "do = \"kill\"\n",
    "do = \"crash-loop\"\n",
    "do = \"clock-drift\"\n",
    "do = \"delay-message\"\n",
    "do = \"poison-record\"\n",
    "do = \"lose-leadership\"\n",
    "every = \"0s\"\n",
    "each = {}\n",
    "each = { nth = 0, after = \"é\" }\n",
    "repeat = 4294967295\n",
    "delay = \"8760h\"\n",
    "targets = [\"tm-1\", [], 3]\n",
    "targets = []\n",
    "link = \",|,\"\n",
    "times = 0\n",
    "up = \"0s\"\n",
    "down = \"8760h\"\n",
    "message = \"\"\n",
    "by = \"8760h\"\n",
    "rate = \"-8760h/s\"\n",
    "rate = \"-/s\"\n",
    "split = 4294967295\n",
    "position = 9223372036854775807\n",
    "heal_after = \"0s\"\n",
    "job_managers = 4294967295\n",
    "link = \"emitter - emitter\"\n",
    "link = \"->\"\n",
    "target = \"emitter\"\n",
    "file = { index = 4294967295 }\n",
    "\n[expect]\n",
    "job = \"failed(\"\n",
    "[fault]\n",
    "x = [[[[1]]]]\n",
    "é = \"\u{0}\"\n",
    "\u{feff}",
    "\r\n",
];

/// Loads `text` as both kinds of file, and shows what is wrong with it.
fn survives(text: &str) {
    if let Err(error) = parse(text) {
        assert!(!error.problems().is_empty());
        assert!(render(&error).contains("broken.toml"), "{}", render(&error));
    }
    if let Err(error) = plan_file::parse_plan(text, Path::new("plan.json"), &catalogue()) {
        assert!(render(&error).contains("plan.json"), "{}", render(&error));
    }
}

fn good() -> String {
    format!(
        "{HEAD}{JOB}\n[checkpointing]\nbackend = \"fs\"\n\n[[fault]]\non = {{ event = \"barrier-received\", nth = 2 }}\n\
         do = \"kill\"\ntarget = \"emitter\"\nrestart_after = \"3s\"\n\n[[fault]]\nat = \"2.5s\"\ndo = \"cut\"\nlink = \"tm-1 - tm-2\"\n"
    )
}

/// `text` with a few parts replaced.
fn mutated(mut text: String, edits: Vec<(prop::sample::Index, usize, String)>) -> String {
    for (at, cut, insert) in edits {
        let borders: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let start = at.index(borders.len());
        let end = (start + cut).min(borders.len() - 1);
        text.replace_range(borders[start]..borders[end], &insert);
    }
    text
}

fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, String)>> {
    prop::collection::vec((any::<prop::sample::Index>(), 0..12usize, "[-\"{}\\[\\]=.,a-z0-9é\n ]{0,6}"), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn mutated_scenarios_never_panic(edits in edits()) {
        survives(&mutated(good(), edits));
    }

    #[test]
    fn mutated_plans_never_panic(edits in edits()) {
        let plan = serde_json::to_string_pretty(&parse(&good()).unwrap().plan(5)).unwrap();
        survives(&mutated(plan, edits));
    }

    #[test]
    fn shuffled_pieces_never_panic(pieces in prop::collection::vec(select(PIECES), 0..16)) {
        survives(&pieces.concat());
    }

    /// Tries SCENARIO-S2.
    #[test]
    fn any_text_never_panics(text in "\\PC{0,80}|[\\x00-\\x7f]{0,80}") {
        survives(&text);
    }

    #[test]
    fn scenario_to_plan_to_json_to_plan_is_identity(
        (seed, records, splits) in (any::<u64>(), 1..1_000_000_000_000u64, 1..1000u32),
        rate in prop::option::of((0..1_000_000_000u64, 1..1000u32)),
        (nodes, slots, parallelism) in (1..50u32, 1..20u16, 1..100u16),
        (interval, low, high) in (10_000_000..DAY, 0..DAY, 0..DAY),
        why in "[^\"\\\\\\x00-\\x1f\\x7f]{0,20}",
        at in prop::collection::vec(0..299_000_000_000u64, 0..5),
    ) {
        let time = |nanos| units::format_duration(Duration::from_nanos(nanos));
        // As many records as arrive within ten years.
        let most = rate.map_or(u64::MAX, |(whole, milli)| (whole * 1000 + u64::from(milli)) * 315_000);
        let records = records.min(most);
        let rate = rate.map(|(whole, milli)| format!(", rate = \"{whole}.{milli:03}/s\"")).unwrap_or_default();
        let mut text = format!(
            "name = \"broken\"\nwhy = \"w{why}\"\ntime_limit = \"300s\"\n[job]\nname = \"string-length-count\"\n\
             parallelism = {}\ninput = {{ generator = \"words\", records = {records}, splits = {splits}{rate} }}\n\
             [cluster]\ntask_managers = {nodes}\nslots = {slots}\nlatency = \"{}..{}\"\n[checkpointing]\ninterval = \"{}\"\n",
            u64::from(parallelism).min(u64::from(nodes) * u64::from(slots)),
            time(low.min(high)),
            time(low.max(high)),
            time(interval),
        );
        for at in at {
            text += &format!("[[fault]]\nat = \"{}\"\ndo = \"kill\"\ntarget = \"tm-{nodes}\"\nrestart_after = \"3s\"\n", time(at));
        }
        let plan = parse(&text).map_err(|error| TestCaseError::fail(render(&error)))?.plan(seed);
        let json = serde_json::to_string_pretty(&plan).unwrap();
        let read = plan_file::parse_plan(&json, Path::new("plan.json"), &catalogue());
        prop_assert_eq!(read.map_err(|error| TestCaseError::fail(render(&error)))?, plan);
    }
}

/// A day in nanoseconds.
const DAY: u64 = 86_400_000_000_000;

#[test]
fn lines_of_any_length_and_any_number_of_mistakes_can_be_shown() {
    let shown = |text: &str| render(&parse(text).unwrap_err());
    let deep = shown(&format!("name = {}", "[".repeat(100_000)));
    assert!(deep.len() < 20_000 && deep.contains("broken.toml:1"), "{}", deep.len());
    let far = shown(&format!("why = \"{}\" x", "w".repeat(100_000)));
    assert!(far.contains("in column 100"), "{far}");
    let name = shown(&format!("name = \"{}\"\n", "n!".repeat(50_000)));
    assert!(name.len() < 50_000, "{}", name.len());
    let many = parse(&"not toml\n".repeat(3_000)).unwrap_err();
    assert_eq!(many.problems().len(), 20);
    let many = render(&many);
    assert!(many.contains("errors in scenarios/broken.toml") && many.contains(" more after them"), "{many}");
    assert!(many.lines().count() < 300);
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        survives(&format!("x = {}{}", open.repeat(20_000), close.repeat(20_000)));
    }
    survives(&"[".repeat(100_000));
    survives(&"{\"a\":".repeat(100_000));
    survives(&format!("{}x = 1", "a.".repeat(20_000)));
    survives(&format!("[{}x]", "a.".repeat(20_000)));
}
