//! Every report that a user can get, as it is shown. A changed snapshot means that users read something else, so review
//! it as such.

use super::*;

/// Renders the report for a file made of the usual head and job, and `rest`.
fn report(rest: &str) -> String {
    report_of(&format!("{HEAD}{JOB}{rest}"))
}

fn report_of(text: &str) -> String {
    render(&parse(text).unwrap_err())
}

macro_rules! shows {
    ($($name:ident => $report:expr;)*) => {
        $(#[test] fn $name() { insta::assert_snapshot!(stringify!($name), $report); })*
    };
}

shows! {
    misspelt_key => report("\n[checkpointing]\nintervall = \"1s\"\n");
    key_of_another_section => report("\n[cluster]\nbackend = \"fs\"\n");
    top_level_key_in_a_section => report("\n[expect]\njob = \"finished\"\ntime_limit = \"300s\"\n");
    bare_number_for_a_duration => report("\n[checkpointing]\ninterval = 5\n");
    unknown_unit => report("\n[engine]\nrestart_delay = \"3 seconds\"\n");
    bare_number_for_a_rate =>
        report_of(&format!("{HEAD}{}", JOB.replace("\"2000/s\"", "2000")));
    setting_of_another_restart_strategy =>
        report("\n[engine]\nrestart_strategy = \"failure-rate\"\nmax_backoff = \"1m\"\nrestart_attempts = 3\n");
    setting_without_its_restart_strategy => report("\n[engine]\nmax_failures_per_interval = 3\n");
    unknown_restart_strategy =>
        report("\n[engine]\nrestart_strategy = \"exponential\"\nmax_backoff = \"1m\"\n");
    greatest_backoff_below_the_first => report(
        "\n[engine]\nrestart_strategy = \"exponential-delay\"\ninitial_backoff = \"2s\"\nmax_backoff = \"1s\"\n",
    );
    swarm_with_a_failure_rate => report(
        "\n[engine]\nrestart_strategy = \"failure-rate\"\n\n[swarm]\nuntil = \"5s\"\n[checkpointing]\ntimeout = \"5s\"\n",
    );
    quoted_number => report("\n[cluster]\nslots = \"4\"\n");
    negative_number => report("\n[cluster]\nslots = -4\n");
    unknown_backend => report("\n[checkpointing]\nbackend = \"rocks\"\n");
    unknown_job => report_of(&format!("{HEAD}{}", JOB.replace("string-length-count", "string-lenght-count")));
    unknown_parameter => report_of(&format!("{HEAD}{JOB}params = {{ emit_evry = 10 }}\n"));
    unknown_generator => report_of(&format!("{HEAD}{}", JOB.replace("\"words\"", "\"orders\"")));
    too_few_slots => report_of(&format!("{HEAD}{JOB}parallelism = 8\n\n[cluster]\ntask_managers = 3\nslots = 2\n"));
    too_few_slots_by_default => report_of(&format!("{HEAD}{JOB}\n[cluster]\ntask_managers = 1\nslots = 1\n"));
    pause_with_concurrency => report("\n[checkpointing]\nmin_pause = \"1s\"\nmax_concurrent = 2\n");
    timeout_below_interval =>
        report("\n[engine]\nheartbeat_interval = \"10s\"\n");
    unknown_event =>
        report("\n[[fault]]\non = { event = \"sink-precommitted\", checkpoint = 3 }\ndo = \"kill\"\ntarget = \"emitter\"\n");
    filter_that_never_matches =>
        report("\n[[fault]]\non = { event = \"task-running\", checkpoint = 3 }\ndo = \"kill\"\ntarget = \"emitter\"\n");
    no_such_node => report("\n[[fault]]\nat = \"2.5s\"\ndo = \"kill\"\ntarget = \"tm-4\"\n");
    killing_the_only_job_manager => report("\n[[fault]]\nat = \"2.5s\"\ndo = \"kill\"\ntarget = \"leader\"\n");
    killing_the_emitter_of_a_coordinator_event =>
        report("\n[[fault]]\non = { event = \"checkpoint-completed\" }\ndo = \"machine-loss\"\ntarget = \"emitter\"\n");
    emitter_of_a_time => report("\n[[fault]]\nat = \"2.5s\"\ndo = \"kill\"\ntarget = \"emitter\"\n");
    link_to_itself => report("\n[[fault]]\nat = \"2.5s\"\ndo = \"cut\"\nlink = \"tm-1 - tm-1\"\nheal_after = \"1s\"\n");
    arrow_in_a_cut => report("\n[[fault]]\nat = \"2.5s\"\ndo = \"cut\"\nlink = \"tm-1 -> tm-2\"\n");
    restart_of_a_cut =>
        report("\n[[fault]]\nat = \"2.5s\"\ndo = \"cut\"\nlink = \"tm-1 - tm-2\"\nrestart_after = \"1s\"\n");
    two_triggers =>
        report("\n[[fault]]\non = { event = \"job-running\" }\nat = \"2.5s\"\ndo = \"kill\"\ntarget = \"tm-1\"\n");
    no_trigger => report("\n[[fault]]\ndo = \"kill\"\ntarget = \"tm-1\"\n");
    state_file_of_backend_memory =>
        report("\n[checkpointing]\nbackend = \"memory\"\n\n[[fault]]\nat = \"2.5s\"\ndo = \"damage\"\nhow = \"flip-byte\"\n");
    fault_after_itself => report(
        "\n[[fault]]\non = { event = \"job-running\", after_fault = 1 }\ndo = \"kill\"\ntarget = \"tm-1\"\n",
    );
    swarm_beside_a_fault => report(
        "\n[checkpointing]\ntimeout = \"5s\"\n\n[[fault]]\nat = \"2.5s\"\ndo = \"kill\"\ntarget = \"tm-1\"\n\n[swarm]\nuntil = \"5s\"\n",
    );
    swarm_of_an_unknown_kind =>
        report("\n[checkpointing]\ntimeout = \"5s\"\n\n[swarm]\nkinds = [\"storage\", \"machine-los\"]\nuntil = \"5s\"\n");
    swarm_whose_kinds_never_apply => report(
        "\n[checkpointing]\ntimeout = \"5s\"\n\n[swarm]\nkinds = [\"rival-leader\", \"damage\"]\nuntil = \"5s\"\n",
    );
    swarm_with_bad_budgets => report(
        "\n[engine]\nrestart_attempts = 3\n\n[swarm]\nfaults = [6, 2]\nnodes_down = 9\nuntil = \"30s\"\nheal_after = \"3s..1s\"\nvary = 1\n",
    );
    swarm_that_nothing_would_notice => report("\n[swarm]\nfaults = \"some\"\nheel_after = \"1s\"\n");
    swarm_that_draws_what_the_job_does_not_take => report_of(&format!(
        "{HEAD}\n[job]\nname = \"string-length-count\"\nparams = {{ emit_every = 5 }}\n\
         input = {{ generator = \"words\", records = 5_000, rate = \"500/s\" }}\n\n[checkpointing]\ntimeout = \"5s\"\n\n\
         [swarm]\nuntil = \"5s\"\nparams = {{ state_byte = [1], emit_every = [1, 5] }}\n"
    ));
    swarm_whose_parameters_are_no_lists => report("\n[swarm]\nuntil = \"5s\"\nparams = { keys = 5 }\n");
    unknown_kind_of_fault => report("\n[[fault]]\nat = \"2.5s\"\ndo = \"partition\"\ntarget = \"tm-1\"\n");
    unknown_kind_of_message =>
        report("\n[[fault]]\nat = \"2.5s\"\ndo = \"lose-message\"\nmessage = \"ack\"\n");
    standby_without_one => report("\n[[fault]]\nat = \"2.5s\"\ndo = \"pause\"\ntarget = \"standby\"\n");
    losing_leadership_to_nobody =>
        report("\n[[fault]]\nat = \"2.5s\"\ndo = \"lose-leadership\"\nheal_after = \"10s\"\n");
    jump_within_the_lease => report(
        "\n[cluster]\njob_managers = 2\n\n[engine]\nlease = \"8s\"\n\n[[fault]]\nat = \"2.5s\"\ndo = \"rival-leader\"\nby = \"5s\"\n",
    );
    overlapping_sets => report("\n[[fault]]\nat = \"2.5s\"\ndo = \"cut\"\nlink = \"tm-1,leader - tm-2,tm-1\"\n");
    event_that_never_comes => report(
        "\n[[fault]]\non = { event = \"state-uploaded\", nth = 2 }\ndo = \"kill\"\ntarget = \"emitter\"\nrestart_after = \"3s\"\n",
    );
    record_beyond_its_split =>
        report("\n[[fault]]\nat = \"2.5s\"\ndo = \"poison-record\"\nsplit = 1\nposition = 10_000\n");
    key_of_another_kind_of_fault =>
        report("\n[[fault]]\nat = \"2.5s\"\ndo = \"pause\"\ntarget = \"tm-1\"\nheal_after = \"1s\"\n");
    repeat_without_a_period =>
        report("\n[[fault]]\nat = \"2.5s\"\nrepeat = 3\ndo = \"pause\"\ntarget = \"tm-1\"\n");
    name_differs_from_file => report_of(&format!("name = \"other\"\nwhy = \"w\"\n{JOB}"));
    syntax_errors => report_of("name = broken\nwhy = \"never closed\n[job\n");
    missing_input_file => report_of(&format!("{HEAD}\n[job]\nname = \"upper-case\"\ninput = {{ file = \"words.txt\" }}\n"));
    several_errors_at_once => report_of(
        "nmae = \"broken\"\nwhy = \"\"\n\n[job]\nname = \"string-length-count\"\nparallelism = 4\n\
         input = { file = \"words.txt\", records = 5, splits = 0 }\n\n[cluster]\nlatency = \"1ms..200us\"\nslots = 1.5\n\n\
         [[fault]]\non = { event = \"sink-pre-committed\", subtask = 4, nth = 0 }\ndo = \"exlode\"\n",
    );
    unrelated_values_are_not_blamed_for_a_refused_one => report("parallelism = 4\n\n[cluster]\ntask_managers = \"three\"\nslots = 1\n");
}

#[test]
fn binary_input_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("words.bin"), b"some\nwords\n\x00\x01\xff").unwrap();
    let text = format!("{HEAD}\n[job]\nname = \"upper-case\"\ninput = {{ file = \"words.bin\" }}\n");
    let error = Scenario::parse(&text, &folder.path().join("broken.toml"), &catalogue()).unwrap_err();
    assert_eq!(error.problems()[0].code_name(), "binary-input");
    assert!(error.to_string().ends_with("a NUL byte in line 3, at byte offset 11"), "{error}");
    std::fs::write(folder.path().join("words.bin"), b"").unwrap();
    let error = Scenario::parse(&text, &folder.path().join("broken.toml"), &catalogue()).unwrap_err();
    assert_eq!(error.problems()[0].code_name(), "empty-input");
}

/// Offences too simple for a snapshot: each gives its own code and nothing else. No rule complains about the stand-in
/// of the refused value (READ-R2), and findings that depend on a refused value are dropped (RULES-C3).
#[test]
fn each_offence_is_told_once_under_its_code() {
    let fault = |text: &str| format!("{HEAD}{JOB}\n[[fault]]\n{text}\n");
    let job = |from: &str, to: &str| format!("{HEAD}{}", JOB.replace(from, to));
    let with = |text: &str| format!("{HEAD}{JOB}{text}\n");
    let file = concat!("file = \"", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml\"");
    let on = |filters: &str| fault(&format!("on = {{ {filters} }}\ndo = \"kill\"\ntarget = \"tm-1\""));
    let strategy = |name: &str, setting: &str| with(&format!("\n[engine]\nrestart_strategy = \"{name}\"\n{setting}"));
    let cases = [
        ("bad-rate", job("2000/s", "0/s")),
        ("bad-unit", job("2000/s", "-5/s")),
        ("no-records", job("20_000", "0")),
        ("bad-splits", job("rate =", "splits = 0, rate =")),
        ("misplaced-key", job("rate =", "repeat = 2, rate =")),
        ("two-inputs", job("rate =", "file = \"x\", rate =")),
        ("missing-key", job("generator = \"words\", records = 20_000, ", "")),
        ("unknown-key", job("generator", "generater")),
        ("unknown-key", format!("{HEAD}{JOB}parallelism = 6\n\n[cluster]\ntask_manager = 3\n")),
        ("unknown-key", fault("att = \"1s\"\ndo = \"kill\"\ntarget = \"tm-1\"")),
        ("unknown-key", with("\n[expect]\njobs = \"finished\"")),
        (
            "file-not-accepted",
            job("string-length-count", "order-join").replace("generator = \"words\", records = 20_000", file),
        ),
        ("missing-key", format!("{HEAD}\n[cluster]\nslots = 2\n")),
        ("missing-key", format!("{HEAD}\n[job]\nname = \"upper-case\"\n")),
        ("bad-name", format!("name = \"Broken Sink\"\nwhy = \"w\"\n{JOB}")),
        ("wrong-type", format!("{HEAD}{JOB}\n[fault]\nat = \"1s\"\n")),
        ("wrong-type", format!("{HEAD}job = 3\n")),
        ("counts-from-one", on("event = \"barrier-received\", checkpoint = 0")),
        ("counts-from-one", on("event = \"barrier-received\", nth = 0")),
        ("counts-from-one", on("event = \"barrier-received\", attempt = 0")),
        ("no-such-vertex", on("event = \"barrier-received\", vertex = 2")),
        ("no-such-subtask", on("event = \"barrier-received\", subtask = 2")),
        ("no-such-node", on("event = \"barrier-received\", node = \"tm-9\"")),
        ("bad-order", on("event = \"barrier-received\", after_fault = 2")),
        ("bad-order", on("event = \"barrier-received\", after_fault = 0")),
        ("never-strikes", on("event = \"barrier-received\", not_before = \"400s\"")),
        ("missing-key", on("checkpoint = 1")),
        ("kills-job-manager", fault("at = \"1s\"\ndo = \"kill\"\ntarget = \"jm-1\"")),
        ("missing-key", fault("at = \"1s\"\ndo = \"kill\"")),
        ("missing-key", fault("at = \"1s\"\ndo = \"cut\"")),
        ("misplaced-key", fault("at = \"1s\"\ndo = \"kill\"\ntarget = \"tm-1\"\nheal_after = \"1s\"")),
        ("never-strikes", fault("at = \"400s\"\ndo = \"kill\"\ntarget = \"tm-1\"")),
        ("bad-link", fault("at = \"1s\"\ndo = \"cut-one-way\"\nlink = \"tm-1 - tm-2\"")),
        ("bad-link", fault("at = \"1s\"\ndo = \"cut\"\nlink = \"tm-1\"")),
        ("no-emitter", fault("at = \"1s\"\ndo = \"cut\"\nlink = \"emitter - tm-1\"")),
        ("link-to-itself", fault("at = \"1s\"\ndo = \"cut\"\nlink = \"leader - jm-1\"")),
        ("no-such-node", fault("at = \"1s\"\ndo = \"cut\"\nlink = \"tm-1 - tm-3\"")),
        ("no-time", fault("at = \"1s\"\ndo = \"cut\"\nlink = \"tm-1 - tm-2\"\nheal_after = \"0s\"")),
        ("no-state-files", fault("at = \"1s\"\ndo = \"damage\"\nhow = \"delete\"")),
        (
            "no-such-file",
            fault("at = \"1s\"\ndo = \"damage\"\nhow = \"delete\"\nfile = { kind = \"manifest\", index = 1 }"),
        ),
        ("wrong-value", with("\n[expect]\noutput = \"at-least-once\"")),
        ("wrong-value", with("\n[expect]\njob = \"failed\"")),
        ("no-reason", with("\n[expect]\njob = \"failed()\"")),
        ("no-time", with("\n[expect]\nrecovers_within = \"0s\"")),
        ("bad-cluster", with("\n[cluster]\nbandwidth = \"0B/s\"")),
        ("bad-cluster", with("\n[cluster]\ntask_managers = 0")),
        ("unknown-cost-profile", with("\n[cluster]\ncost_profile = \"laptop\"")),
        ("bad-setting", with("\n[engine]\nnotify_retry = \"0s\"")),
        ("bad-setting", with("\n[checkpointing]\ninterval = \"1ms\"")),
        ("wrong-value", with("\n[engine]\nrestart_attempts = \"many\"")),
        ("wrong-type", with("\n[engine]\nrestart_strategy = 3")),
        ("out-of-range", strategy("exponential-delay", "backoff_multiplier = 1.0001")),
        ("wrong-type", strategy("exponential-delay", "backoff_multiplier = \"1.5\"")),
        ("bad-setting", strategy("exponential-delay", "backoff_multiplier = 1")),
        ("bad-setting", strategy("exponential-delay", "jitter_factor = 1.5")),
        ("bad-setting", strategy("exponential-delay", "attempts_before_reset_backoff = 0")),
        ("bad-setting", strategy("failure-rate", "max_failures_per_interval = 0")),
        ("other-strategy", strategy("none", "restart_delay = \"1s\"")),
        ("out-of-range", with("\n[cluster]\ntask_managers = 99999999999")),
        ("too-many-records", job("20_000", "1_000_000_000_001")),
        ("too-long", job("20_000, rate = \"2000/s\"", "400_000_000, rate = \"1/s\"")),
        (
            "too-many-strikes",
            fault("at = \"1s\"\nevery = \"1ms\"\nrepeat = 100001\ndo = \"reset-connections\"\ntarget = \"tm-1\""),
        ),
        (
            "too-many-strikes",
            fault("at = \"1s\"\ndo = \"crash-loop\"\ntarget = \"tm-1\"\ntimes = 100_001\nup = \"1ms\"\ndown = \"1ms\""),
        ),
        ("out-of-range", with("\n[engine]\nsink_chunk = \"4GiB\"")),
    ];
    for (code, text) in cases {
        assert_eq!(codes(&text), [code], "{text}");
    }
    let keyless = fault("at = \"1s\"\ndo = \"damage\"\nhow = \"delete\"\n\n[checkpointing]\nbackend = \"fs\"");
    assert_eq!(codes(&keyless), [""; 0]);
    let keyless =
        keyless.replace("string-length-count", "upper-case").replace("generator = \"words\", records = 20_000", file);
    assert_eq!(codes(&keyless), ["no-state-files"]);
}

/// Message and remedy of each problem of `text`.
fn told(text: &str, catalogue: &JobCatalogue) -> Vec<(String, String)> {
    let error = Scenario::parse(text, Path::new("scenarios/broken.toml"), catalogue).unwrap_err();
    let help = |problem: &Problem| problem.help().map(|help| help.to_string()).unwrap_or_default();
    error.problems().iter().map(|problem| (problem.to_string(), help(problem))).collect()
}

#[test]
fn a_job_is_asked_about_its_parameters() {
    let catalogue = crate::cli::catalogue(&crate::jobs::Jobs::builtin());
    let job = |params: &str| {
        format!(
            "{HEAD}[job]\nname = \"keyed-count\"\nparams = {{ {params} }}\n\
             input = {{ generator = \"orders\", records = 1000, rate = \"100/s\" }}\n"
        )
    };
    let parsed = |params: &str| Scenario::parse(&job(params), Path::new("scenarios/broken.toml"), &catalogue);
    parsed("keys = 4294967295, emit_every = 7, value_bytes = 1048576, update_values = 1").unwrap();
    for (params, what) in [
        ("keys = 0", "keys = 0: a whole number from 1 to 4294967295"),
        ("keys = 4294967296", "from 1 to 4294967295"),
        ("keys = \"x\"", "keys = x: a whole number"),
        ("emit_every = 0", "emit_every = 0: a whole number from 1 to"),
        ("value_bytes = 10000000000", "from 0 to 1048576"),
        ("update_values = 2", "update_values = 2: a whole number from 0 to 1"),
    ] {
        let name = params.split_once(' ').unwrap().0;
        let [(message, help)] = &told(&job(params), &catalogue)[..] else { panic!("{params}") };
        assert!(message.starts_with("job `keyed-count`: ") && message.contains(what), "{message}");
        assert!(help.contains(&format!("leave `{name}` out")), "{help}");
        let shown = render(&parsed(params).unwrap_err());
        assert!(shown.contains("broken.toml:5:12"), "at the parameter: {shown}");
    }
    assert_eq!(told(&job("keys = 0, emit_every = 0"), &catalogue).len(), 2, "each is told");
    let error = parsed("keys = 0, emit_evry = 2").unwrap_err();
    assert_eq!(error.problems().len(), 2);
}

#[test]
fn a_job_of_another_crate_may_refuse_in_its_own_words() {
    let mut catalogue = catalogue();
    let entry = catalogue.jobs.get_mut("string-length-count").unwrap();
    entry.accepts = Some(ParamCheck::new(|plan| match plan.job.params["emit_every"].as_str() {
        "odd" => Err("that is odd".to_owned()),
        _ => Ok(()),
    }));
    let text = format!("{HEAD}{JOB}params = {{ emit_every = \"odd\" }}\n");
    assert_eq!(told(&text, &catalogue)[0].0, "job `string-length-count`: that is odd");
    assert!(Scenario::parse(&format!("{HEAD}{JOB}"), Path::new("scenarios/broken.toml"), &catalogue).is_ok());
}

#[test]
fn a_sweep_names_each_value_once_and_only_such_as_can_be_run() {
    for (line, what, remedy) in [
        ("loads = [0.5, 0.3, 0.5]", "`loads` names 0.5 twice", "name each once"),
        ("backends = [\"fs\", \"fs\"]", "`backends` names `fs` twice", "name each once"),
        ("states = [\"1MB\", \"1000kB\"]", "`states` names 1MB twice", "name each once"),
        ("failures_every = [\"1h\", \"60m\"]", "`failures_every` names 3600s twice", "name each once"),
        ("intervals = [\"1s\", \"2s\", \"5s\", \"1s\"]", "`intervals` names 1s twice", "name each once"),
        ("intervals = \"5s..5s\"", "is a range of one duration", "intervals = [\"1s\", \"5s\", \"30s\"]"),
        ("intervals = \"5s..1s\"", "is an empty range", "shorter one first"),
        ("loads = [-0.5]", "`loads` must be a share of the capacity", "write loads = [0.5]"),
        ("loads = [nan]", "`loads` must be a share of the capacity", "write loads = [0.5]"),
        ("loads = [\"half\"]", "`loads` must be a share of the capacity", "write loads = [0.5]"),
        ("loads = [1.0]", "must be below 1", "share of the capacity below 1"),
        ("states = [\"1000000TB\"]", "must be at most 1000TB", "up to a petabyte"),
        ("lateness_weight = -1", "must be a positive number", "write lateness_weight = 1.0"),
    ] {
        let [(message, help)] = &told(&format!("{HEAD}{JOB}\n[tune]\n{line}\n"), &catalogue())[..] else {
            panic!("{line}")
        };
        assert!(message.contains(what) && help.contains(remedy), "{line}: {message}; {help}");
    }
}

#[test]
fn a_share_or_a_bound_in_another_form_is_answered_with_that_very_number() {
    for (line, what, remedy) in [
        ("backpressure_min = 20", "must be a share", "write backpressure_min = \"20%\""),
        ("backpressure_min = 20.5", "must be a share", "write backpressure_min = \"20.5%\""),
        ("backpressure_min = \"20\"", "must be a share", "write backpressure_min = \"20%\""),
        ("backpressure_min = 0.2", "must be a share", "backpressure_min = \"20%\" or backpressure_min = \"0.2%\""),
        ("backpressure_min = 0.05", "must be a share", "write backpressure_min = \"5%\""),
        ("backpressure_min = \"120%\"", "must be a share", "from 0.1% to 100% in steps of 0.1%"),
        ("backpressure_min = true", "must be a share", "from 0.1% to 100% in steps of 0.1%"),
        ("recovery_prediction = 5", "must be a share", "write recovery_prediction = \"within 5%\""),
        ("recovery_prediction = \"5%\"", "must be a share", "write recovery_prediction = \"within 5%\""),
        ("recovery_prediction = \"within 5\"", "must be a share", "write recovery_prediction = \"within 5%\""),
        ("outage_max = 5", "must be an upper bound", "\"< 5s\" or outage_max = \"< 5ms\""),
        ("outage_max = \"5s\"", "must be an upper bound", "write what it must stay below: outage_max = \"< 5s\""),
        ("job = 3", "must say how the job ends", "write job = \"finished\""),
    ] {
        let [(message, help)] = &told(&format!("{HEAD}{JOB}\n[expect]\n{line}\n"), &catalogue())[..] else {
            panic!("{line}")
        };
        assert!(message.contains(what) && help.contains(remedy), "{line}: {message}; {help}");
    }
    let fault = |rest: &str| told(&format!("{HEAD}{JOB}\n[[fault]]\nat = \"1s\"\n{rest}\n"), &catalogue());
    for (rest, remedy) in [
        ("do = \"kill\"\ntarget = 2", "write a role or a name: target = \"leader\" or target = \"tm-2\""),
        ("do = \"cut\"\nlink = 2", "name both ends: link = \"tm-1 - tm-3\""),
        ("do = 2", "flowquake list faults"),
    ] {
        let said = fault(rest);
        assert!(said.iter().any(|(_, help)| help.contains(remedy)), "{rest}: {said:?}");
    }
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    if cfg!(target_os = "linux") {
        let error = Scenario::load(Path::new("/dev/zero"), &catalogue()).unwrap_err();
        assert_eq!(error.problems()[0].code_name(), "too-long");
    }
}

#[test]
fn two_scenarios_of_one_name_are_refused_and_all_files_are_judged() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    let good = format!("{HEAD}{JOB}");
    let paths = [write("a/broken.toml", &good), write("b/broken.toml", &good), write("c/bad.toml", "name = 1\n")];
    let errors = Scenario::load_all(&paths, &catalogue()).unwrap_err();
    assert_eq!(errors.len(), 2);
    assert_eq!(errors[0].problems()[0].code_name(), "duplicate-name");
    assert!(errors[0].to_string().contains("a/broken.toml and "), "{}", errors[0]);
    assert_eq!(errors[1].path(), paths[2]);
}

#[test]
fn what_would_come_due_without_end_is_refused_and_a_millisecond_is_enough() {
    let timers = [("engine", "heartbeat_interval"), ("engine", "notify_retry"), ("engine", "sink_flush_interval")];
    for (section, timer) in timers {
        let with = |value: &str| codes(&format!("{HEAD}{JOB}\n[{section}]\n{timer} = \"{value}\"\n"));
        assert_eq!(with("1ns"), ["too-often"], "{timer}");
        assert_eq!(with("999us"), ["too-often"], "{timer}");
        assert_eq!(with("1ms"), [""; 0], "{timer}");
    }
    let shown = report("\n[engine]\nnotify_retry = \"1ns\"\n");
    assert!(shown.contains("`notify_retry` = 1ns is too short") && shown.contains("write 1ms or more"), "{shown}");
    let fault = |rest: &str| codes(&format!("{HEAD}{JOB}\n[[fault]]\n{rest}\n"));
    let pause = "do = \"pause\"\ntarget = \"tm-1\"\nresume_after = \"1ms\"";
    let every = |period: &str| format!("at = \"1s\"\nevery = \"{period}\"\nrepeat = 9\n{pause}");
    assert_eq!(fault(&every("1us")), ["no-time"]);
    assert_eq!(fault(&every("1ms")), [""; 0]);
}

/// The remedy of the only problem of `text`.
fn remedy(text: &str) -> String {
    let error = parse(text).expect_err(text);
    assert_eq!(error.problems().len(), 1, "{}", render(&error));
    error.problems()[0].help().unwrap().to_string()
}

#[test]
fn what_people_type_is_answered() {
    let fault = |fault: &str| format!("{HEAD}{JOB}[[fault]]\nat = \"2s\"\n{fault}\n");
    for (text, part) in [
        (format!("{HEAD}{JOB}[expect]\nmax_outage = \"< 5s\"\n"), "did you mean `outage_max`?"),
        (fault("do = \"partition\"\nlink = \"tm-1 - tm-2\""), "did you mean `cut`?"),
        (fault("do = \"kill\"\ntarget = \"jobmanager-1\""), "did you mean `jm-1`?"),
        (fault("do = \"kill\"\nrestart_after = \"1s\"\ntarget = \"TaskManager 2\""), "did you mean `tm-2`?"),
        (format!("{HEAD}{}", JOB.replace("20_000", "\"120k\"")), "write records = 120_000"),
        (format!("{HEAD}{JOB}[checkpointing]\nunaligned = true\n"), "this engine has no unaligned checkpoints yet"),
    ] {
        let remedy = remedy(&text);
        assert!(remedy.contains(part), "{remedy}\n{text}");
    }
}
