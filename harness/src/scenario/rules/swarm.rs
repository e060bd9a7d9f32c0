//! Rules for swarms: budgets must leave something to draw, and the job must be able to notice, survive and outlast what
//! is drawn.
//!
//! A swarm is not part of a plan, so these are the only rules that see more than the plan. A plan that a swarm makes is
//! also checked by all other rules.

use std::time::Duration;

use flowquake_engine::config::{JobConfig, RestartStrategy};

use super::Finding;
use crate::checker::JobCatalogue;
use crate::faults::{Family, Kind};
use crate::plan::{ExpectedEnd, InputSource, RunPlan};
use crate::reader::suggest;
use crate::scenario::NO_WAY_BACK;
use crate::scenario::read::restart;
use crate::swarm::{Need, Swarm};
use crate::units;

/// More faults than this are a typing mistake.
const FAULTS_MAX: u32 = 1_000;

/// Plan path of the time after which a checkpoint is given up.
const TIMEOUT: &str = "job.config.checkpoints.timeout";
/// Plan path of the restart strategy.
const RESTART_STRATEGY: &str = "job.config.restart_strategy";

/// All problems of `swarm` together with the plan that it fills in.
pub(in crate::scenario) fn check(swarm: &Swarm, plan: &RunPlan, catalogue: &JobCatalogue) -> Vec<Finding> {
    let mut found = Vec::new();
    budgets(swarm, plan, &mut found);
    times(swarm, plan, &mut found);
    kinds(swarm, plan, &mut found);
    job(swarm, plan, &mut found);
    params(swarm, plan, catalogue, &mut found);
    found
}

fn budgets(swarm: &Swarm, plan: &RunPlan, found: &mut Vec<Finding>) {
    let (least, most) = swarm.faults;
    if least == 0 || most > FAULTS_MAX {
        let help = format!("write 1 to {FAULTS_MAX}, such as faults = [1, 6]; a run without faults needs no swarm");
        let finding = Finding::new("bad-swarm", format!("a swarm cannot have {least} to {most} faults"), help);
        found.push(finding.at("swarm.faults", "out of range"));
    } else if least > most {
        let help = format!("write the smaller one first: faults = [{most}, {least}]");
        let finding = Finding::new("bad-swarm", format!("`faults` runs from {least} down to {most}"), help);
        found.push(finding.at("swarm.faults", "ends are swapped"));
    }
    let nodes = plan.cluster.task_managers;
    // Where the number of nodes is drawn, the budget is reduced to fit.
    let drawn = swarm.vary && !swarm.written.contains("cluster.task_managers");
    if let Some(down) = swarm.nodes_down.filter(|down| *down == 0 || (*down > nodes && !drawn)) {
        let help = format!("write 1 to {nodes}, the number of TaskManagers; left out, it is half of them");
        let finding = Finding::new("bad-swarm", format!("`nodes_down` cannot be {down}"), help);
        found.push(finding.at("swarm.nodes_down", "out of range").given("cluster.task_managers"));
    }
    let Some((least, most)) = swarm.records else { return };
    let finding = if !matches!(plan.job.input.source, InputSource::Generator { .. }) {
        let help = "leave `records` out of [swarm], or give the job a generator as input";
        Finding::new("bad-swarm", "a file has the records that it has", help).at("swarm.records", "for generated input")
    } else if least == 0 || least > most {
        let help = "write at least one record, and the smaller number first: records = [1_000, 5_000]";
        let message = format!("a run cannot have {least} to {most} records");
        Finding::new("bad-swarm", message, help).at("swarm.records", "out of range")
    } else {
        return;
    };
    found.push(finding.given("job.input"));
}

fn times(swarm: &Swarm, plan: &RunPlan, found: &mut Vec<Finding>) {
    let (low, high) = swarm.heal_after;
    if low > high || low.is_zero() {
        let (low, high) = (units::format_duration(low), units::format_duration(high));
        let help = "write how long faults last, the shorter time first: heal_after = \"100ms..3s\"";
        let finding = Finding::new("bad-swarm", format!("faults cannot last from {low} to {high}"), help);
        found.push(finding.at("swarm.heal_after", "more than zero, the smaller end first"));
    } else if high > plan.time_limit / 10 {
        let (high, limit) = (units::format_duration(high), units::format_duration(plan.time_limit));
        let message = format!("faults may last {high}, but the run is stopped at {limit}");
        let help = "let them end within a tenth of `time_limit`: several may follow each other, and then the job has to recover";
        let finding = Finding::new("bad-swarm", message, help).at("swarm.heal_after", "too long");
        found.push(finding.at("time_limit", "the end").given("job.input"));
    }
    let until = units::format_duration(swarm.until);
    if swarm.until < Duration::from_millis(1) {
        let help = "write by when faults strike, such as until = \"10s\"";
        let finding = Finding::new("no-time", format!("`until` is {until}: no fault could strike before that"), help);
        found.push(finding.at("swarm.until", "at least 1ms"));
    } else if swarm.until >= plan.time_limit {
        let limit = units::format_duration(plan.time_limit);
        let message = format!("faults are drawn until {until}, but the run is stopped at {limit}");
        let finding = Finding::new("never-strikes", message, "let `until` end earlier, or raise `time_limit`");
        let finding = finding.at("swarm.until", "after the end").at("time_limit", "the end");
        found.push(finding.given("job.input"));
    } else if let (InputSource::Generator { records, .. }, Some(rate)) = (&plan.job.input.source, plan.job.input.rate)
        && let records = swarm.records.map_or(*records, |(least, _)| least)
        && rate > 0.0
        && (records as f64) < rate * swarm.until.as_secs_f64()
    {
        let seconds = records as f64 / rate;
        let message = format!("faults are drawn until {until}, but all input has arrived after {seconds:.1}s");
        let help = "let `until` end earlier, or give the job more `records`: faults after its end strike nothing";
        let finding = Finding::new("never-strikes", message, help).at("swarm.until", "after the input's end");
        found.push(finding.at("job.input.source.generator.records", "so many records").given("job.input"));
    }
}

fn kinds(swarm: &Swarm, plan: &RunPlan, found: &mut Vec<Finding>) {
    if swarm.kinds.is_empty() {
        let help = format!(
            "leave `kinds` out to draw from all, or name some: {}",
            suggest::quoted(&Family::ALL.map(Family::name))
        );
        let finding = Finding::new("bad-swarm", "`kinds` is empty: there is nothing to draw from", help);
        return found.push(finding.at("swarm.kinds", "no kind of fault"));
    }
    if let Some(kind) = swarm.min_hurt.keys().find(|kind| !swarm.kinds.contains(*kind)) {
        let help = format!("name `{kind}` in `kinds` as well, or leave it out of `min_hurt`");
        let message = format!("`min_hurt` asks for `{kind}`, which is not drawn");
        let finding = Finding::new("bad-swarm", message, help).at("swarm.min_hurt", "so often");
        found.push(finding.at("swarm.kinds", "drawn from these"));
    }
    let named: Vec<&Kind> = Kind::ALL.iter().filter(|kind| swarm.kinds.contains(kind.name())).collect();
    let unmet = |kind: &Kind| kind.spec().drawn.need.unmet(plan, swarm.keyed);
    // One kind that applies is enough: the others may apply for other seeds, or in copies of this file with other
    // settings.
    if named.iter().any(|kind| unmet(kind).is_none()) {
        return;
    }
    for kind in named {
        let Some(path) = unmet(kind) else { continue };
        let (why, help) = match kind.spec().drawn.need {
            Need::Standby => ("needs a second JobManager", "write job_managers = 2 in [cluster]"),
            Need::GeneratedInput => ("needs generated records", "give the job generated records as input"),
            Need::TwoCheckpoints => ("needs a checkpoint to fall back to", "write retained = 2 in [checkpointing]"),
            Need::StateFiles if path == "job.config.checkpoints.retained" => {
                ("needs a checkpoint to fall back to", "write retained = 2 in [checkpointing]")
            }
            Need::StateFiles => {
                ("needs files of keyed state", "write backend = \"fs\" and take a job with keyed state")
            }
            Need::RocksDb => ("needs a local database", "write backend = \"rocksdb\" and take a job with keyed state"),
            Need::Nothing => continue,
        };
        let finding = Finding::new("never-applies", format!("`{}` {why}", kind.name()), help);
        found.push(finding.at("swarm.kinds", "applies to no run of this scenario").at(path, "because of this"));
    }
}

/// Parameters to draw: the job must have them and accept each value, and the file must not also set them.
fn params(swarm: &Swarm, plan: &RunPlan, catalogue: &JobCatalogue, found: &mut Vec<Finding>) {
    let Some(entry) = catalogue.get(&plan.job.name) else { return };
    let names = entry.param_names();
    for (name, values) in &swarm.params {
        let written = format!("job.params.{name}");
        let finding = if !names.contains(&name.as_str()) {
            let message = format!("job `{}` has no parameter `{name}` to draw", plan.job.name);
            let help = suggest::guess_then(suggest::nearest(name, &names), "`flowquake list jobs` shows what it takes");
            Finding::new("unknown-parameter", message, help)
        } else if swarm.written.contains(&written) {
            let message = format!("`{name}` is both written and drawn");
            Finding::new("two-sources", message, "keep one of them").at(written, "written")
        } else if let Some((value, what)) = values.iter().find_map(|value| {
            let mut asked = plan.clone();
            asked.job.params.insert(name.clone(), value.clone());
            Some((value, entry.accepts.as_ref()?.refusal(&asked)?))
        }) {
            let message = format!("job `{}` does not take {name} = {value}: {what}", plan.job.name);
            Finding::new("bad-parameter", message, "draw from values that the job takes")
        } else {
            continue;
        };
        found.push(finding.at("swarm.params", "drawn").given("job.name"));
    }
}

/// The setting that limits how often the job restarts, if one does, and what follows. `None` in the pair: the strategy
/// itself is the limit.
fn limited(config: &JobConfig) -> Option<(Option<&'static str>, String)> {
    let may_end = |setting, limit: u32| {
        let message =
            format!("with {setting} = {limit} the job may run out of restarts, whatever the engine does right");
        Some((Some(setting), message))
    };
    match &config.restart_strategy {
        RestartStrategy::None => Some((None, "without restarts the job ends with the first fault".to_owned())),
        RestartStrategy::FixedDelay => may_end("restart_attempts", config.restart_attempts?),
        RestartStrategy::FailureRate(rate) => may_end("max_failures_per_interval", rate.max_failures_per_interval),
        RestartStrategy::ExponentialDelay(delay) => {
            may_end("attempts_before_reset_backoff", delay.attempts_before_reset_backoff?)
        }
    }
}

/// The job must be able to survive each drawn fault, and to notice it before the run ends.
fn job(swarm: &Swarm, plan: &RunPlan, found: &mut Vec<Finding>) {
    let config = &plan.job.config;
    // Without a word about it, a swarm expects the end that damage can cause.
    let expected = matches!(&plan.expect.job, ExpectedEnd::FinishedOrFailed(why) if why != NO_WAY_BACK);
    if let Some((setting, message)) = limited(config).filter(|_| !expected) {
        let (other, reason) = match setting {
            Some("max_failures_per_interval") => ("write another restart_strategy".to_owned(), "failure rate"),
            None => ("write another restart_strategy".to_owned(), "the restart strategy is none"),
            Some(setting) => (format!("write {setting} = \"unlimited\""), "used up"),
        };
        let help =
            format!("{other}, or leave it out; or expect it, with job = \"finished-or-failed({reason})\" in [expect]");
        let path =
            setting.map_or(RESTART_STRATEGY.to_owned(), |setting| restart::path(&config.restart_strategy, setting));
        let finding = Finding::new("bad-swarm", message, help).at(path, "limited");
        found.push(finding.given("swarm"));
    }
    let drawn = swarm.vary && !swarm.written.contains(TIMEOUT);
    let timeout = config.checkpoints.timeout;
    if timeout > plan.time_limit / 10 && !drawn {
        let (timeout, limit) = (units::format_duration(timeout), units::format_duration(plan.time_limit));
        let message = format!(
            "a checkpoint that a fault holds up is given up after {timeout}, but the run is stopped at {limit}"
        );
        let help = "write a `timeout` of at most a tenth of `time_limit`, such as timeout = \"5s\" in [checkpointing]";
        // Often the timeout is not written in the file, and its default is what is too long.
        let (path, label) = match swarm.written.contains(TIMEOUT) {
            true => (TIMEOUT, "too long"),
            false => ("swarm", "may hold checkpoints up"),
        };
        let finding = Finding::new("bad-swarm", message, help).at(path, label).at("time_limit", "the end");
        found.push(finding.given(TIMEOUT).given("job.input"));
    }
}
