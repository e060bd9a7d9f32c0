//! Writes a plan as a scenario file: values that equal the default are left out, all others are written as people write
//! them.
//!
//! Start at [`scenario_of`]. Settings are taken from the reader's own sections, so a key that is added there is written
//! without a change here. Not every plan can be written: an edited price list has no key, and in a swarm's plan some
//! faults may fail to strike, which a file cannot say. So the text is read back, and refused if it means another plan.
//!
//! Invariant: (WRITE-1) what is written reads back as the same plan, except for seeds, options, prediction, and whether
//! some faults may fail to strike.

use std::path::Path;
use std::time::Duration;

use flowquake_engine::config::RestartStrategy;
use serde_json::Value;

use super::Scenario;
use super::read::forms::{Form, form};
use crate::checker::JobCatalogue;
use crate::faults;
use crate::plan::{EventTrigger, ExpectedEnd, FaultPlan, InputSource, RunPlan, TimingBounds, Trigger};
use crate::units;
use crate::writer::{key, pair, text, time};

/// Why a plan has no scenario file.
#[derive(Debug, thiserror::Error)]
pub enum Unwritable {
    /// The text would not pass the rules of scenario files.
    #[error("as a scenario file the plan would be refused: {0}")]
    Refused(String),
    /// The text means a plan other than the given one.
    #[error("a scenario file cannot say what the plan has at `{0}`")]
    Differs(String),
}

/// The text of a scenario file at `path` that means `plan`.
pub fn scenario_of(plan: &RunPlan, path: &Path, catalogue: &JobCatalogue) -> Result<String, Unwritable> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let head = head(plan, &name, path);
    let profile = match plan.cluster.cost_profile.as_str() {
        "builtin" => String::new(),
        name => format!("cost_profile = {}\n", text(name)),
    };
    let cluster = if profile.is_empty() { String::new() } else { format!("\n[cluster]\n{profile}") };
    // What the same file means without further keys. The parallelism is left out, because it may need more slots than
    // the default cluster has.
    let job: String =
        head.job.lines().filter(|line| !line.starts_with("parallelism = ")).map(|line| format!("{line}\n")).collect();
    let bare = parse(&format!("{}{job}{cluster}", head.top), path, catalogue)?.plan(plan.seed);
    let (wanted, silent) = (json(plan), json(&bare));

    let mut out = head.top;
    for key in ["time_limit", "heal_at"] {
        line(&mut out, "the top level", key, at(&wanted, key), at(&silent, key));
    }
    out.push_str(&head.job);
    for (section, prefix) in
        [("[cluster]", "cluster"), ("[checkpointing]", "job.config.checkpoints"), ("[engine]", "job.config")]
    {
        let mut lines = if section == "[cluster]" { profile.clone() } else { String::new() };
        for key in keys(section).iter().filter(|key| **key != "cost_profile") {
            match *key {
                "backend" => {
                    line(
                        &mut lines,
                        section,
                        key,
                        at(&wanted, "job.config.backend"),
                        at(&silent, "job.config.backend"),
                    );
                }
                "restart_strategy" => lines.push_str(&restart_strategy(&plan.job.config.restart_strategy)),
                // Written together with its strategy.
                key if key != "restart_delay"
                    && key != "restart_attempts"
                    && RestartStrategy::owners(key).is_some() => {}
                key => {
                    let path = format!("{prefix}.{key}");
                    line(&mut lines, section, key, at(&wanted, &path), at(&silent, &path));
                }
            }
        }
        if !lines.is_empty() {
            out.push_str(&format!("\n{section}\n{lines}"));
        }
    }
    for fault in &plan.faults {
        out.push_str(&fault_text(fault));
    }
    out.push_str(&expect(plan));
    let read = parse(&out, path, catalogue)?.plan(plan.seed);
    match difference(&comparable(plan), &comparable(&read), String::new()) {
        Some(path) => Err(Unwritable::Differs(path)),
        None => Ok(out),
    }
}

fn parse(text: &str, path: &Path, catalogue: &JobCatalogue) -> Result<Scenario, Unwritable> {
    Scenario::parse(text, path, catalogue).map_err(|error| {
        let problems: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
        Unwritable::Refused(problems.join("; "))
    })
}

struct Head {
    top: String,
    job: String,
}

fn head(plan: &RunPlan, name: &str, path: &Path) -> Head {
    let input = &plan.job.input;
    let mut parts = match &input.source {
        InputSource::File { path: file, repeat } => {
            let mut parts = vec![format!("file = {}", text(&beside(file, path)))];
            parts.extend((*repeat != 1).then(|| format!("repeat = {repeat}")));
            parts
        }
        InputSource::Generator { name, records } => {
            vec![format!("generator = {}", text(name)), format!("records = {records}")]
        }
    };
    parts.push(format!("splits = {}", input.splits));
    parts.extend(input.rate.map(|rate| format!("rate = \"{rate}/s\"")));
    let mut job = format!("\n[job]\nname = {}\ninput = {{ {} }}\n", text(&plan.job.name), parts.join(", "));
    if !plan.job.params.is_empty() {
        let params: Vec<String> =
            plan.job.params.iter().map(|(name, value)| format!("{} = {}", key(name), text(value))).collect();
        job.push_str(&format!("params = {{ {} }}\n", params.join(", ")));
    }
    job.push_str(&format!("parallelism = {}\n", plan.job.config.parallelism));
    Head { top: format!("name = {}\nwhy = {}\n", text(name), text(&plan.why)), job }
}

/// The path of an input file as a scenario at `scenario` names it.
fn beside(file: &Path, scenario: &Path) -> String {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = scenario.parent().and_then(|folder| std::path::absolute(folder).ok());
    let within = folder.as_ref().and_then(|folder| absolute.strip_prefix(folder).ok());
    within.unwrap_or(&absolute).display().to_string()
}

/// Writes `key = value`, if the value differs from the default.
fn line(out: &mut String, section: &str, key: &str, wanted: &Value, silent: &Value) {
    if wanted == silent {
        return;
    }
    let Some((form, _)) = form(section, key) else { return };
    let value = match (&form, wanted) {
        (Form::Attempts, Value::Null) => text("unlimited"),
        // A setting without a value is left out.
        (_, Value::Null) => return,
        (Form::Size, Value::Number(bytes)) => text(&units::format_size(bytes.as_u64().unwrap_or_default())),
        (Form::Bandwidth, Value::Number(rate)) => text(&units::format_bandwidth(rate.as_u64().unwrap_or_default())),
        (_, Value::String(word)) => text(word),
        (Form::DurationRange, Value::Array(ends)) => {
            let ends: Vec<&str> = ends.iter().filter_map(Value::as_str).collect();
            text(&ends.join(".."))
        }
        (_, other) => other.to_string(),
    };
    out.push_str(&format!("{key} = {value}\n"));
}

/// A restart strategy that is not the default, with all its own settings.
fn restart_strategy(strategy: &RestartStrategy) -> String {
    if *strategy == RestartStrategy::default() {
        return String::new();
    }
    let mut out = pair("restart_strategy", text(strategy.name())) + "\n";
    let value = serde_json::to_value(strategy).expect("a strategy is always JSON");
    for (setting, _) in RestartStrategy::SETTINGS {
        line(&mut out, "[engine]", setting, &value[strategy.name()][setting], &Value::Null);
    }
    out
}

fn fault_text(fault: &FaultPlan) -> String {
    let mut lines = match &fault.trigger {
        Trigger::At(at) => vec![pair("at", time(*at))],
        Trigger::Every { first, period } => vec![pair("at", time(*first)), pair("every", time(*period))],
        Trigger::On(on) => vec![filters("on", on)],
        Trigger::Each(each) => vec![filters("each", each)],
    };
    if fault.repeat != 1 || matches!(fault.trigger, Trigger::Every { .. }) {
        lines.push(pair("repeat", fault.repeat));
    }
    if !fault.delay.is_zero() {
        lines.push(pair("delay", time(fault.delay)));
    }
    lines.extend(faults::write(&fault.action));
    format!("\n[[fault]]\n{}\n", lines.join("\n"))
}

fn filters(key: &str, on: &EventTrigger) -> String {
    let named = |key: &str, name: &Option<String>| name.as_ref().map(|name| pair(key, text(name)));
    let event = (!on.event.is_empty()).then(|| pair("event", text(&on.event)));
    let parts = [
        event,
        on.checkpoint.map(|id| pair("checkpoint", id)),
        on.vertex.map(|id| pair("vertex", id)),
        on.subtask.map(|id| pair("subtask", id)),
        named("node", &on.node),
        on.attempt.map(|id| pair("attempt", id)),
        (on.nth != 1).then(|| pair("nth", on.nth)),
        on.after_fault.map(|id| pair("after_fault", id)),
        named("after", &on.after),
        on.not_before.map(|at| pair("not_before", time(at))),
        on.apart.map(|pause| pair("apart", time(pause))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { format!("{key} = {{}}") } else { format!("{key} = {{ {} }}", parts.join(", ")) }
}

fn expect(plan: &RunPlan) -> String {
    let expect = &plan.expect;
    let below = |key: &str, bound: Option<Duration>| {
        bound.map(|bound| pair(key, text(&format!("< {}", units::format_duration(bound)))))
    };
    let TimingBounds {
        checkpoint_duration_p50,
        checkpoint_duration_p99,
        checkpoint_duration_max,
        outage_max,
        recovery_max,
        lateness_max,
        backpressure_min_permille,
        recovery_prediction_permille,
    } = &expect.timing;
    let lines = [
        match &expect.job {
            ExpectedEnd::Finished => None,
            ExpectedEnd::Failed(reason) => Some(pair("job", text(&format!("failed({reason})")))),
            ExpectedEnd::FinishedOrFailed(reason) => Some(pair("job", text(&format!("finished-or-failed({reason})")))),
        },
        expect.recovers_within.map(|within| pair("recovers_within", time(within))),
        expect.failovers.map(|count| pair("failovers", count)),
        expect.falls_back.map(|falls| pair("falls_back", falls)),
        expect.aborted_checkpoints_min.map(|count| pair("aborted_checkpoints_min", count)),
        below("checkpoint_duration_p50", *checkpoint_duration_p50),
        below("checkpoint_duration_p99", *checkpoint_duration_p99),
        below("checkpoint_duration_max", *checkpoint_duration_max),
        below("outage_max", *outage_max),
        below("recovery_max", *recovery_max),
        below("lateness_max", *lateness_max),
        backpressure_min_permille.map(|share| pair("backpressure_min", text(&format!("{}%", f64::from(share) / 10.0)))),
        recovery_prediction_permille
            .map(|share| pair("recovery_prediction", text(&format!("within {}%", f64::from(share) / 10.0)))),
    ];
    let lines: Vec<String> = lines.into_iter().flatten().collect();
    if lines.is_empty() { String::new() } else { format!("\n[expect]\n{}\n", lines.join("\n")) }
}

fn keys(section: &str) -> &'static [&'static str] {
    super::read::keys(section)
}

fn json(plan: &RunPlan) -> Value {
    serde_json::to_value(plan).expect("a plan is always JSON")
}

fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(value, |value, key| &value[key])
}

/// A plan without the parts that a scenario file does not state.
fn comparable(plan: &RunPlan) -> Value {
    let plan = RunPlan {
        scenario: String::new(),
        file: String::new(),
        scheduling_seed: 0,
        redraws: Vec::new(),
        swarm: false,
        options: Vec::new(),
        prediction: None,
        ..plan.clone()
    };
    let mut value = json(&plan);
    // The same file, whether its path counts from the current folder or from the scenario's.
    if let Some(path) = value["job"]["input"]["source"]["file"].get_mut("path") {
        let file = path.as_str().map(std::path::absolute);
        if let Some(Ok(file)) = file {
            *path = Value::from(file.display().to_string());
        }
    }
    value
}

/// The first place where two values differ, in words.
fn difference(one: &Value, other: &Value, path: String) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys = one.keys().chain(other.keys().filter(|key| !one.contains_key(*key)));
            keys.into_iter().find_map(|key| {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                difference(one.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null), below)
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => (0..)
            .zip(one.iter().zip(other))
            .find_map(|(n, (one, other))| difference(one, other, format!("{path}[{n}]"))),
        _ => (one != other).then_some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::Jobs;
    use crate::scenario::discover;

    fn shipped() -> (JobCatalogue, Vec<Scenario>) {
        let catalogue = crate::cli::catalogue(&Jobs::builtin());
        let files = discover(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")]).unwrap();
        let scenarios = files.iter().map(|file| Scenario::load(file, &catalogue).unwrap()).collect();
        (catalogue, scenarios)
    }

    #[test]
    fn every_scenario_and_what_swarms_draw_survives_being_written() {
        let (catalogue, scenarios) = shipped();
        let (mut swarms, mut written, mut refused) = (0, 0, 0);
        for scenario in &scenarios {
            let swarm = scenario.plan(1).swarm;
            swarms += u32::from(swarm);
            for seed in 1..=if swarm { 60 } else { 1 } {
                let plan = scenario.plan(seed);
                // Beside the original, because the input and the cost profile lie there.
                let path = Path::new(scenario.file()).with_file_name("written-again.toml");
                let text = scenario_of(&plan, &path, &catalogue);
                let text = match text {
                    Ok(text) => text,
                    // A fault that a swarm draws may have no effect; a scripted fault must have one.
                    Err(Unwritable::Refused(_)) if swarm => {
                        refused += 1;
                        continue;
                    }
                    Err(error) => panic!("{} seed {seed}: {error}", scenario.file()),
                };
                written += 1;
                let again = Scenario::parse(&text, &path, &catalogue).unwrap().plan(seed);
                assert_eq!(again.faults, plan.faults, "WRITE-1");
                assert_eq!(again.scheduling_seed, plan.scheduling_seed, "the same seed gives the same order");
            }
        }
        assert!(scenarios.len() > 150 && swarms > 2 && refused * 5 < written, "{refused} of {written}");
    }

    #[test]
    fn what_has_no_key_is_refused_and_named() {
        let (catalogue, scenarios) = shipped();
        let mut plan = scenarios[0].plan(1);
        plan.cluster.rates.deploy_ns += 1.0;
        let refused = scenario_of(&plan, Path::new("small.toml"), &catalogue).unwrap_err();
        assert!(refused.to_string().contains("cluster.rates.deploy_ns"), "{refused}");
    }
}
