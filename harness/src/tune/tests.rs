use flowquake_reports::tuning::{Point, TUNING_VERSION};

use super::journal::{Journal, key};
use super::*;

fn tune() -> Tune {
    Tune {
        intervals: spread(Duration::from_secs(1), Duration::from_secs(100), 3),
        states: vec![None, Some(1_000_000)],
        backends: vec![BackendKind::Memory, BackendKind::Fs],
        loads: vec![0.5],
        failures_every: vec![Duration::from_secs(3_600)],
        failures: 4,
        fault: KillMode::Crash,
        restart_after: Duration::from_secs(1),
        duration: Duration::from_secs(600),
        moving: 100.0,
        lateness_weight: 1.0,
    }
}

fn point(interval: f64) -> Point {
    Point {
        interval,
        verdict: "passed".into(),
        headline: String::new(),
        period: Some(interval),
        duration: None,
        duration_p99: None,
        cost: None,
        state: 0.0,
        new_bytes: None,
        capacity: None,
        commit: None,
        recoveries: Vec::new(),
        simulated: 1.0,
    }
}

#[test]
fn intervals_are_spread_over_the_orders_of_magnitude() {
    let seconds: Vec<f64> = tune().intervals.iter().map(Duration::as_secs_f64).collect();
    assert_eq!(seconds, [1.0, 10.0, 100.0]);
    let closer = tune().thorough();
    let seconds: Vec<f64> = closer.intervals.iter().map(Duration::as_secs_f64).collect();
    assert_eq!(seconds, [1.0, 3.162, 10.0, 31.622, 100.0]);
    assert_eq!((closer.failures, closer.moving), (8, 500.0));
    let near = [1_000, 1_001, 5_000].map(Duration::from_millis);
    let near = Tune { intervals: near.into(), ..tune() }.thorough().intervals;
    assert!(near.is_sorted_by(|one, next| one < next), "TUNING-V1: {near:?}");
}

#[test]
fn the_grid_goes_curve_by_curve() {
    let grid = tune().grid();
    assert_eq!(grid.len(), 2 * 2 * 3);
    assert!(grid[..3].iter().all(|setting| setting.backend == BackendKind::Memory && setting.state.is_none()));
    assert_eq!(grid[4].interval, Duration::from_secs(10));
}

#[test]
fn a_stopped_sweep_goes_on_and_another_engine_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tune.journal");
    let plan = crate::fixtures::plan();
    let mut journal = Journal::open(&path, "engine 1").unwrap();
    assert!(journal.is_empty());
    journal.add(key(&plan), point(5.0)).unwrap();
    journal.add("other".into(), point(6.0)).unwrap();
    drop(journal);
    // The stop cut the last line off.
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.truncate(text.len() - 10);
    std::fs::write(&path, text).unwrap();
    let journal = Journal::open(&path, "engine 1").unwrap();
    assert_eq!((journal.len(), journal.get(&key(&plan))), (1, Some(&point(5.0))));
    assert_eq!((journal.dropped(), journal.aside()), (1, None));
    // A valid journal is left as it is, so a stop while it is being opened loses nothing.
    let file = |path: &std::path::Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
    let (before, text) = (file(&path), std::fs::read_to_string(&path).unwrap());
    let mut journal = Journal::open(&path, "engine 1").unwrap();
    assert_eq!((file(&path), std::fs::read_to_string(&path).unwrap()), (before, text));
    journal.add("third".into(), point(7.0)).unwrap();
    assert_eq!(Journal::open(&path, "engine 1").unwrap().len(), 2);
    let text = std::fs::read_to_string(&path).unwrap();
    let other = Journal::open(&path, "engine 2").unwrap();
    assert!(other.is_empty());
    assert_ne!(file(&path), before, "another one took its place");
    let aside = other.aside().expect("the first one is kept");
    assert_eq!(std::fs::read_to_string(aside).unwrap(), text);
    drop(Journal::open(&path, "engine 1").unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "and so is the second");
}

#[test]
fn a_journal_of_another_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tune.journal");
    drop(Journal::open(&path, "engine 1").unwrap());
    let text = std::fs::read_to_string(&path).unwrap();
    let newer = text.replace(&format!("version {TUNING_VERSION}"), "version 99") + "points that mean something else\n";
    std::fs::write(&path, &newer).unwrap();
    for engine in ["engine 1", "engine 2"] {
        let error = Journal::open(&path, engine).err().unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        let expected = format!("it holds points of version 99, but this build reads version {TUNING_VERSION}");
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), newer);
}

#[test]
fn a_setting_becomes_a_plan_with_its_load_its_state_and_its_failures() {
    let text = r#"
        name = "tuned"
        why = "test"
        [job]
        name = "keyed-count"
        params = { keys = 500, emit_every = 5 }
        input = { generator = "orders", records = 1000, rate = "100/s" }
        [cluster]
        task_managers = 3
        [checkpointing]
        backend = "fs"
    "#;
    let jobs = crate::jobs::Jobs::builtin();
    let catalogue = crate::cli::catalogue(&jobs);
    let mut base =
        crate::scenario::Scenario::parse(text, std::path::Path::new("tuned.toml"), &catalogue).unwrap().plan(1);
    let job = jobs.get("keyed-count").unwrap();
    let interval = Duration::from_secs(10);
    let setting = Setting { backend: BackendKind::Fs, state: Some(100_000_000), load: 0.6, interval };
    let Err(plan::Unplannable::FlowControl { flow, work, credits, send_buffer }) =
        plan::plan(&base, &tune(), &setting, job)
    else {
        panic!("four credits are too few");
    };
    assert!(flow < work && send_buffer >= base.cluster.send_buffer, "{flow} and {work}");
    // The settings that the refusal recommends are enough.
    (base.job.config.credits, base.cluster.send_buffer) = (credits, send_buffer);
    let planned = plan::plan(&base, &tune(), &setting, job).unwrap();
    let again = plan::plan(&base, &tune(), &setting, job).unwrap();
    assert_eq!(key(&planned.plan), key(&again.plan), "TUNE-T1");
    assert!((planned.rate / planned.capacity - 0.6).abs() < 1e-9);
    let predicted = crate::predict::predict(&planned.plan, job);
    let state = predicted.state_bytes.unwrap() as f64;
    assert!((state / 1e8 - 1.0).abs() < 0.1, "{state}");
    assert!(planned.plan.faults.len() >= 2, "{:?}", planned.plan.faults);
    // Every key has occurred when the state is measured, and hardly any checkpoint is left out.
    assert!((1.0..60.0).contains(&planned.warm_up.as_secs_f64()), "{:?}", planned.warm_up);
    assert!(crate::scenario::plan_problems(&planned.plan, &catalogue).is_empty());
}
