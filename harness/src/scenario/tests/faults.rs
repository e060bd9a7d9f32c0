//! Every kind of fault: read from the examples of the reference, compared with the catalogue, and refused where it
//! cannot apply.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::faults::{Kind, kind};
use crate::plan::{
    ClockFault, Disk, EventTrigger, FaultAction, FaultPlan, KillMode, MessageFault, MessageKind, NodeTarget, SlowWork,
    StoreFault, StoreName, Trigger, UserFailure,
};

/// The reference that users read.
const REFERENCE: &str = include_str!("../../../../docs/scenario-format.md");

/// A row of the reference: the keys, what a correct engine does, and an example.
struct Row {
    keys: String,
    answer: String,
    example: String,
}

/// The rows about kinds of faults, by name.
fn rows() -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    for line in REFERENCE.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let name = cells[0].strip_prefix("`\"").and_then(|rest| rest.strip_suffix("\"`"));
        if let (Some(name), [_, keys, _, answer, example]) = (name, cells.as_slice()) {
            let row = Row {
                keys: (*keys).to_owned(),
                answer: (*answer).to_owned(),
                example: example.trim_matches('`').to_owned(),
            };
            assert!(rows.insert(name.to_owned(), row).is_none(), "{name} stands there twice");
        }
    }
    rows
}

/// Two JobManagers, three TaskManagers, RocksDB, and these faults, each an inline table.
fn with_faults(faults: &[String]) -> String {
    let faults = faults.join(",\n  ");
    format!(
        "{HEAD}fault = [\n  {faults}\n]\n{JOB}parallelism = 4\n\n[cluster]\njob_managers = 2\ntask_managers = 3\n\n\
         [checkpointing]\nbackend = \"rocksdb\"\n"
    )
}

fn read(faults: &[String]) -> Vec<FaultPlan> {
    parse(&with_faults(faults)).unwrap_or_else(|error| panic!("{}", render(&error))).plan(1).faults
}

/// What is wrong with a fault with these keys in that cluster.
fn refused(fault: &str) -> Vec<&'static str> {
    codes(&with_faults(&[format!("{{ {fault} }}")]))
}

#[test]
fn the_reference_describes_every_kind_as_the_catalogue_does() {
    let rows = rows();
    let names: BTreeSet<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(names, Kind::ALL.iter().map(|kind| kind.name()).collect());
    for spec in Kind::ALL.iter().map(|kind| kind.spec()) {
        let row = &rows[spec.name];
        let keys: Vec<&str> = row.keys.split('`').skip(1).step_by(2).collect();
        let expected: Vec<&str> = spec.params.iter().map(|param| param.name).collect();
        assert_eq!(keys, expected, "keys of {}", spec.name);
        assert_eq!(row.answer, spec.answer(), "{}", spec.name);
    }
}

#[test]
fn every_example_of_the_reference_is_accepted_and_gives_its_kind_back() {
    for (name, row) in rows() {
        let example = if row.example.is_empty() { String::new() } else { format!(", {}", row.example) };
        let faults = read(&[format!("{{ at = \"2s\", do = \"{name}\"{example} }}")]);
        assert_eq!(kind(&faults[0].action), name, "FAULTS-K1");
    }
}

/// Rules refer to places of the file by plan paths, and plans are what is replayed. So both must be right for every
/// kind.
#[test]
fn every_kind_is_read_to_places_of_the_plan_and_survives_its_file() {
    let examples: Vec<String> =
        rows().iter().map(|(name, row)| format!("{{ at = \"2s\", do = \"{name}\", {} }}", row.example)).collect();
    let triggers = [
        "at = \"2s\", every = \"1s\", repeat = 5, delay = \"1ms\"",
        "on = { event = \"snapshot-sync-begun\", after = \"job-running\" }, repeat = 2",
        "each = { attempt = 1, nth = 2, node = \"tm-1\", subtask = 1 }, delay = \"50ms\"",
    ];
    let triggered = triggers.map(|trigger| format!("{{ {trigger}, do = \"kill\", targets = [\"tm-1\", \"peer\"] }}"));
    let text = with_faults(&[examples, triggered.to_vec()].concat());
    let plan = parse(&text).unwrap_or_else(|error| panic!("{}", render(&error))).plan(7);
    let json = serde_json::to_string_pretty(&plan).unwrap();
    let again = plan_file::parse_plan(&json, Path::new("p.json"), &catalogue());
    assert_eq!(again.unwrap_or_else(|error| panic!("{}", render(&error))), plan);

    let (root, _) = DeTable::parse_recoverable(&text);
    let mut reader = Reader::new(&SECTIONS);
    read_scenario(&mut reader, root.get_ref(), Path::new("broken.toml"), &catalogue()).unwrap();
    let known = json_places::Places::of(&json);
    let unknown: Vec<_> = reader.spans.keys().filter(|path| known.get(path).is_none()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn triggers_say_when_how_often_and_how_late() {
    let fault = |trigger: &str| {
        let mut faults = read(&[format!("{{ {trigger}, do = \"pause\", target = \"tm-1\" }}")]);
        let FaultPlan { trigger, delay, repeat, .. } = faults.remove(0);
        (trigger, delay, repeat)
    };
    let (second, none) = (Duration::from_secs(1), Duration::ZERO);
    assert_eq!(fault("at = \"1s\""), (Trigger::At(second), none, 1));
    let every = Trigger::Every { first: second * 2, period: second };
    assert_eq!(fault("at = \"2s\", every = \"1s\", repeat = 5, delay = \"50ms\""), (every, second / 20, 5));
    let on = EventTrigger {
        event: "task-running".into(),
        nth: 2,
        after_fault: None,
        after: Some("restore-begun".into()),
        not_before: Some(second * 4),
        ..EventTrigger::default()
    };
    let text = "on = { event = \"task-running\", nth = 2, after = \"restore-begun\", not_before = \"4s\" }, repeat = 3";
    assert_eq!(fault(text), (Trigger::On(on), none, 3));
    let each = EventTrigger { vertex: Some(1), nth: 1, ..EventTrigger::default() };
    assert_eq!(fault("each = { vertex = 1 }"), (Trigger::Each(each), none, 1));
}

#[test]
fn links_join_nodes_and_sets_of_nodes() {
    let named = |names: &[&str]| -> Vec<NodeTarget> { names.iter().map(|n| NodeTarget::Node((*n).into())).collect() };
    let cut = |kind: &str, link: &str| {
        let mut faults = read(&[format!("{{ at = \"1s\", do = \"{kind}\", link = \"{link}\" }}")]);
        match faults.remove(0).action {
            FaultAction::Cut { from, to, both_ways, .. } => (from, to, both_ways),
            other => panic!("{other:?}"),
        }
    };
    let sets = (named(&["tm-1", "tm-2"]), [named(&["tm-3"]), vec![NodeTarget::Leader]].concat());
    assert_eq!(cut("cut", "tm-1,tm-2 - tm-3,leader"), (sets.0.clone(), sets.1.clone(), true));
    assert_eq!(cut("cut", "tm-1, tm-2 | tm-3, leader"), (sets.0.clone(), sets.1.clone(), true));
    assert_eq!(cut("cut-one-way", "tm-1,tm-2->tm-3,leader"), (sets.0, sets.1, false));
    for (code, kind, link) in [
        ("bad-link", "cut", "tm-1,tm-2"),
        ("bad-link", "cut", "tm-1, - tm-2"),
        ("bad-link", "cut", "tm-1 - tm-2 - tm-3"),
        ("bad-link", "cut-one-way", "tm-1 | tm-2"),
        ("bad-link", "reset-connection", "tm-1,tm-2 - tm-3"),
        ("bad-link", "reset-connection", "tm-1 -> tm-3"),
        ("bad-link", "half-open", "tm-1 - tm-3"),
        ("sets-overlap", "cut", "tm-1,tm-2 - tm-3,tm-1"),
        ("sets-overlap", "cut", "leader,tm-1 - tm-2,leader"),
        ("no-such-node", "cut", "tm-1,tm-4 - tm-2"),
        ("idle-link", "cut", "jm-1 - jm-2"),
        ("idle-link", "half-open", "leader -> standby"),
        ("link-to-itself", "cut", "leader - leader"),
        ("link-to-itself", "reset-connection", "tm-2 - tm-2"),
    ] {
        assert_eq!(refused(&format!("at = \"1s\", do = \"{kind}\", link = \"{link}\"")), [code], "{link}");
    }
}

/// Faults that cannot apply, or would do nothing, are refused before the run.
#[test]
fn what_cannot_apply_is_refused() {
    let every = "at = \"1s\", every = \"1s\"";
    for (code, fault) in [
        ("no-emitter", "at = \"1s\", do = \"pause\", target = \"emitter\""),
        ("no-emitter", "at = \"1s\", every = \"1s\", repeat = 2, do = \"pause\", target = \"emitter\""),
        ("no-such-node", "at = \"1s\", do = \"pause\", target = \"jm-3\""),
        ("no-such-node", "at = \"1s\", do = \"pause\", target = \"tm-01\""),
        ("same-victim", "at = \"1s\", do = \"kill\", targets = [\"tm-1\", \"tm-1\"]"),
        ("no-effect", "at = \"1s\", do = \"kill\", targets = []"),
        ("two-targets", "at = \"1s\", do = \"kill\", target = \"tm-1\", targets = [\"tm-2\"]"),
        ("wrong-type", "at = \"1s\", do = \"kill\", targets = \"tm-1,tm-2\""),
        ("missing-key", "at = \"1s\", do = \"kill\""),
        ("kills-job-manager", "at = \"1s\", do = \"kill\", targets = [\"leader\", \"standby\"]"),
        (
            "kills-job-manager",
            "on = { event = \"leadership-granted\" }, repeat = 2, do = \"kill\", target = \"emitter\"",
        ),
        ("kills-job-manager", "each = {}, do = \"kill\", target = \"emitter\""),
        ("wrong-victim", "at = \"1s\", do = \"user-panic\", target = \"leader\""),
        ("wrong-victim", "on = { event = \"job-running\" }, do = \"hang-snapshot\", target = \"emitter\""),
        ("wrong-victim", "at = \"1s\", do = \"lose-message\", message = \"trigger\", node = \"standby\""),
        ("no-effect", "at = \"1s\", do = \"slow-cpu\", target = \"tm-1\", factor = 1"),
        ("no-effect", "at = \"1s\", do = \"crash-loop\", target = \"tm-1\", times = 0, up = \"1s\", down = \"1s\""),
        ("no-time", "at = \"1s\", do = \"crash-loop\", target = \"tm-1\", times = 2, up = \"1us\", down = \"1s\""),
        ("no-time", "at = \"1s\", do = \"flap\", link = \"tm-1 - tm-2\", times = 2, up = \"0s\", down = \"1s\""),
        ("no-time", "at = \"1s\", do = \"isolate\", target = \"tm-1\", heal_after = \"0s\""),
        ("no-time", "at = \"1s\", do = \"delay-message\", message = \"trigger\", by = \"0s\""),
        ("no-time", "at = \"1s\", do = \"stale-read\", age = \"0s\""),
        ("no-effect", "at = \"1s\", do = \"lose-message\", message = \"trigger\", count = 0"),
        ("wrong-value", "at = \"1s\", do = \"lose-message\", message = \"triger\""),
        ("no-effect", "at = \"1s\", do = \"latency\", link = \"tm-1 - tm-2\", latency = \"2s..1s\""),
        ("no-effect", "at = \"1s\", do = \"bandwidth\", link = \"tm-1 - tm-2\", bandwidth = \"0B/s\""),
        ("no-effect", "at = \"1s\", do = \"slow-receiver\", target = \"tm-1\", rate = \"0B/s\""),
        ("no-effect", "at = \"1s\", do = \"throttled-store\", rate = \"0B/s\""),
        ("no-effect", "at = \"1s\", do = \"failed-write\", count = 0"),
        ("no-effect", "at = \"1s\", do = \"clock-drift\", target = \"tm-1\", rate = \"0ms/s\""),
        ("no-effect", "at = \"1s\", do = \"clock-drift\", target = \"tm-1\", rate = \"-2s/s\""),
        ("bad-unit", "at = \"1s\", do = \"clock-drift\", target = \"tm-1\", rate = \"50ms\""),
        ("no-effect", "at = \"1s\", do = \"lose-leadership\", heal_after = \"2s\""),
        ("no-effect", "at = \"1s\", do = \"rival-leader\", by = \"2s\""),
        ("missing-key", "at = \"1s\", do = \"lose-leadership\""),
        ("no-such-record", "at = \"1s\", do = \"poison-record\", split = 4, position = 0"),
        ("no-such-record", "at = \"1s\", do = \"poison-record\", split = 0, position = 5000"),
        ("no-effect", "at = \"1s\", do = \"poison-record\", split = 0, position = 4999, times = 0"),
        ("wrong-value", "at = \"1s\", do = \"damage-local\", target = \"tm-1\", how = \"swap\""),
        ("wrong-value", "at = \"1s\", do = \"pauze\", target = \"tm-1\""),
        ("misplaced-key", "at = \"1s\", do = \"pause\", target = \"tm-1\", heal_after = \"1s\""),
        ("misplaced-key", "at = \"1s\", do = \"no-space\", by = \"1s\""),
        ("misplaced-key", "on = { event = \"job-running\" }, every = \"1s\", do = \"pause\", target = \"tm-1\""),
        ("missing-key", &format!("{every}, do = \"pause\", target = \"tm-1\"")),
        ("no-time", "at = \"1s\", every = \"0s\", repeat = 2, do = \"pause\", target = \"tm-1\""),
        ("never-strikes", &format!("{every}, repeat = 1_000, do = \"pause\", target = \"tm-1\"")),
        ("never-strikes", "at = \"1s\", delay = \"400s\", do = \"pause\", target = \"tm-1\""),
        ("bad-repeat", "at = \"1s\", repeat = 2, do = \"pause\", target = \"tm-1\""),
        ("bad-repeat", "each = {}, repeat = 2, do = \"pause\", target = \"tm-1\""),
        ("counts-from-one", "on = { event = \"job-running\" }, repeat = 0, do = \"pause\", target = \"tm-1\""),
        ("counts-from-one", "each = { nth = 0 }, do = \"pause\", target = \"tm-1\""),
        ("two-triggers", "on = { event = \"job-running\" }, each = {}, do = \"pause\", target = \"tm-1\""),
        ("unknown-key", "each = { event = \"job-running\" }, do = \"pause\", target = \"tm-1\""),
        ("unknown-event", "on = { event = \"job-running\", after = \"restored\" }, do = \"pause\", target = \"tm-1\""),
        ("never-matches", "on = { event = \"barrier-received\", vertex = 0 }, do = \"pause\", target = \"tm-1\""),
        ("never-matches", "on = { event = \"job-running\", node = \"tm-1\" }, do = \"pause\", target = \"tm-1\""),
        ("never-matches", "on = { event = \"task-running\", node = \"jm-1\" }, do = \"pause\", target = \"tm-1\""),
        ("bad-unit", "at = \"1s\", do = \"clock-forward\", target = \"tm-1\", by = \"8760h 1ns\""),
    ] {
        assert_eq!(refused(fault), [code], "{fault}");
    }
}

/// Some durations have another name in the plan than in the file.
#[test]
fn a_length_that_is_too_short_is_named_by_its_key() {
    for (key, fault) in [
        ("by", "do = \"duplicate-message\", message = \"trigger\", by = \"0s\""),
        ("by", "do = \"slow-store\", by = \"0s\""),
        ("by", "do = \"clock-back\", target = \"tm-1\", by = \"0s\""),
        ("age", "do = \"lagging-list\", age = \"0s\""),
        ("resume_after", "do = \"pause\", target = \"tm-1\", resume_after = \"0s\""),
        ("every", "every = \"0s\", repeat = 2, do = \"pause\", target = \"tm-1\""),
    ] {
        let error = parse(&with_faults(&[format!("{{ at = \"1s\", {fault} }}")])).unwrap_err();
        let said: Vec<String> = error.problems().iter().map(Problem::to_string).collect();
        assert!(said.len() == 1 && said[0].starts_with(&format!("`{key}` is zero")), "{fault}: {said:?}");
    }
}

/// The same in smaller clusters, and with less state.
#[test]
fn roles_that_nobody_plays_and_files_that_nobody_writes_are_refused() {
    let single = |fault: &str| with_faults(&[format!("{{ at = \"1s\", {fault} }}")]).replace("job_managers = 2\n", "");
    for (code, fault) in [
        ("no-standby", "do = \"pause\", target = \"standby\""),
        ("no-standby", "do = \"rival-leader\", by = \"10s\""),
        ("no-standby", "do = \"lose-leadership\", heal_after = \"10s\""),
        ("kills-job-manager", "do = \"kill\", target = \"leader\""),
        ("kills-job-manager", "do = \"machine-loss\", targets = [\"tm-1\", \"jm-1\"]"),
        ("no-such-node", "do = \"pause\", target = \"jm-2\""),
    ] {
        assert_eq!(codes(&single(fault)), [code], "{fault}");
    }
    // The leader comes back, or another JobManager leads.
    assert_eq!(codes(&single("do = \"kill\", target = \"leader\", restart_after = \"3s\"")), [""; 0]);
    assert_eq!(refused("at = \"1s\", do = \"kill\", target = \"leader\""), [""; 0]);
    assert_eq!(codes(&single("do = \"store-unavailable\", node = \"jm-1\", heal_after = \"1s\"")), [""; 0]);

    let alone = |fault: &str| {
        let text = with_faults(&[format!("{{ at = \"1s\", {fault} }}")]);
        codes(&text.replace("task_managers = 3\n", "task_managers = 1\nslots = 4\n"))
    };
    assert_eq!(alone("do = \"pause\", target = \"peer\""), ["no-peer"]);
    assert_eq!(alone("do = \"pause\", target = \"task-manager\""), [""; 0]);

    let on = |event: &str| {
        let on = format!("on = {{ event = \"{event}\" }}, do = \"pause\", target = \"tm-1\"");
        with_faults(&[format!("{{ {on} }}")])
    };
    for event in ["lease-expired", "leadership-lost"] {
        assert_eq!(codes(&on(event)), [""; 0]);
        assert_eq!(codes(&on(event).replace("job_managers = 2\n", "")), ["never-emitted"]);
    }
    assert_eq!(codes(&on("state-uploaded").replace("rocksdb", "memory")), ["never-emitted"]);
    let local = with_faults(&["{ at = \"1s\", do = \"damage-local\", target = \"tm-1\", how = \"delete\" }".into()]);
    assert_eq!(codes(&local.replace("rocksdb", "fs")), ["no-local-files"]);

    // A single vertex has no inputs.
    let file = concat!("file = \"", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml\"");
    let one_vertex = |event: &str| {
        let text = on(event).replace("string-length-count", "upper-case");
        codes(&text.replace("generator = \"words\", records = 20_000", file))
    };
    assert_eq!(one_vertex("alignment-opened"), ["never-emitted"]);
    assert_eq!(one_vertex("state-uploaded"), ["never-emitted"]);
    assert_eq!(one_vertex("barrier-injected"), [""; 0]);
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(Duration::ZERO), Just(Duration::MAX), (0..10_000_000_000u64).prop_map(Duration::from_nanos)]
}

fn target() -> impl Strategy<Value = NodeTarget> {
    prop_oneof![
        Just(NodeTarget::Emitter),
        Just(NodeTarget::Leader),
        Just(NodeTarget::Standby),
        Just(NodeTarget::TaskManager),
        Just(NodeTarget::Peer),
        "[jt]m-[0-4]|tm-|é?".prop_map(NodeTarget::Node),
    ]
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(u32::MAX), 0..5u32]
}

/// Any action that can be written, sensible or not.
fn any_action() -> impl Strategy<Value = FaultAction> {
    let after = || prop::option::of(duration());
    let nodes = || prop::collection::vec(target(), 0..3);
    let store_fault = prop_oneof![
        Just(StoreFault::Unavailable),
        Just(StoreFault::LostWrite),
        duration().prop_map(StoreFault::Slow),
        any::<u64>().prop_map(StoreFault::Throttled),
    ];
    let clock = prop_oneof![
        duration().prop_map(ClockFault::Forward),
        any::<i32>().prop_map(ClockFault::Drift),
        Just(ClockFault::Drift(i32::MIN)),
    ];
    prop_oneof![
        (nodes(), after()).prop_map(|(targets, restart_after)| FaultAction::Kill {
            targets,
            mode: KillMode::Crash,
            restart_after,
            disk: Disk::Kept
        }),
        (target(), number(), duration(), duration()).prop_map(|(target, times, up, down)| FaultAction::CrashLoop {
            target,
            times,
            up,
            down
        }),
        (nodes(), nodes(), any::<bool>(), after()).prop_map(|(from, to, both_ways, heal_after)| FaultAction::Cut {
            from,
            to,
            both_ways,
            heal_after
        }),
        (target(), target(), prop::option::of((duration(), duration())), prop::option::of(any::<u64>()), after())
            .prop_map(|(from, to, latency, bandwidth, heal_after)| FaultAction::Link {
                from,
                to,
                latency,
                bandwidth,
                heal_after
            }),
        (target(), prop::option::of(number()), after()).prop_map(|(target, factor, heal_after)| FaultAction::Slow {
            target,
            work: SlowWork::Records,
            factor,
            heal_after
        }),
        (target()).prop_map(|target| FaultAction::UserCode { target, how: UserFailure::Panic }),
        (number(), any::<u64>(), prop::option::of(number())).prop_map(|(split, position, times)| FaultAction::Poison {
            split,
            position,
            times
        }),
        (duration(), prop::option::of(target()), number()).prop_map(|(by, node, count)| FaultAction::Message {
            kind: MessageKind::Deploy,
            how: MessageFault::Delay(by),
            node,
            count
        }),
        (prop::option::of(target()), store_fault, prop::option::of(number()), after()).prop_map(
            |(node, how, count, heal_after)| FaultAction::Store {
                store: Some(StoreName::Checkpoints),
                node,
                how,
                count,
                heal_after
            }
        ),
        (target(), clock, after()).prop_map(|(target, how, heal_after)| FaultAction::Clock { target, how, heal_after }),
    ]
}

fn any_trigger() -> impl Strategy<Value = Trigger> {
    let event = prop_oneof![Just(""), Just("task-running"), Just("lease-expired"), Just("heartbeat-missed"), Just("é")];
    let on = (
        event,
        number(),
        prop::option::of(number()),
        prop::option::of(any::<u16>()),
        ("|tm-1|jm-1|jm-9", prop::option::of(duration())),
    )
        .prop_map(|(event, nth, after_fault, vertex, (node, not_before))| EventTrigger {
            event: event.into(),
            nth,
            after_fault,
            vertex,
            node: Some(node).filter(|node| !node.is_empty()),
            after: Some(event.into()).filter(|_| nth == 1),
            not_before,
            ..EventTrigger::default()
        });
    prop_oneof![
        duration().prop_map(Trigger::At),
        (duration(), duration()).prop_map(|(first, period)| Trigger::Every { first, period }),
        (on, any::<bool>()).prop_map(|(on, each)| if each { Trigger::Each(on) } else { Trigger::On(on) }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// A plan that was edited by hand gives a plan or an error, never a panic; and what passes has names, victims and
    /// ends. Tries RULES-C1.
    #[test]
    fn no_plan_makes_the_rules_panic(
        faults in prop::collection::vec((any_trigger(), duration(), number(), any_action()), 1..4),
        (job_managers, task_managers, splits) in (0..4u32, 0..4u32, 0..3u32),
    ) {
        let mut plan = parse(&format!("{HEAD}{JOB}")).unwrap().plan(1);
        plan.cluster.job_managers = job_managers;
        plan.cluster.task_managers = task_managers;
        plan.job.input.splits = splits;
        plan.faults = (1..).zip(faults)
            .map(|(id, (trigger, delay, repeat, action))| FaultPlan { id, trigger, delay, repeat, action })
            .collect();
        let json = serde_json::to_string(&plan).unwrap();
        match plan_file::parse_plan(&json, Path::new("p.json"), &catalogue()) {
            Ok(read) => prop_assert_eq!(&read, &plan),
            Err(error) => prop_assert!(!render(&error).is_empty()),
        }
        prop_assert!(plan.faults.iter().all(|fault| Kind::from_name(kind(&fault.action)).is_some()));
    }
}
