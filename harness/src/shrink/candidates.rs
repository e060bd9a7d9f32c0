//! Plans that are a little smaller than a given plan, by what is cut.
//!
//! Start at [`cuts`] and [`candidates`]. Faults are removed by halves, quarters, and so on down to single ones, and
//! settings are put back to their defaults in the same way, because most failures need few of them. Then records,
//! nodes, and parts of each fault are cut. Settings, triggers and actions are walked as JSON, so a field that is added
//! later is shrunk without a change here. A result that no longer fits the plan's types is not a candidate.

use std::collections::BTreeSet;

use flowquake_engine::config::JobConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::plan::{ClusterPlan, FaultPlan, InputSource, RunPlan, Trigger};
use crate::profile::Profile;
use crate::scenario::cluster_default;

/// What can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// This many faults at once.
    Faults(usize),
    /// This many settings at once, put back to their defaults.
    Settings(usize),
    /// Records of the input.
    Records,
    /// JobManagers, TaskManagers, parallelism.
    Nodes,
    /// Parts of each fault: filters, repetitions, durations.
    Simpler,
    /// Any two of a few faults at once, because each may be needed only together with the other.
    Pairs,
}

/// If there are at most this many faults, every pair is tried.
const FEW: usize = 6;

/// Everything that can be cut, beginning with what most failures do not need.
pub(super) fn cuts(plan: &RunPlan) -> Vec<Cut> {
    let faults = halves(plan.faults.len()).map(Cut::Faults);
    let settings = halves(Setting::all(plan).len()).map(Cut::Settings);
    faults.chain(settings).chain([Cut::Records, Cut::Nodes, Cut::Simpler, Cut::Pairs]).collect()
}

/// `count`, half of it, and so on down to one.
fn halves(count: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(count), |size| Some(size / 2)).take_while(|size| *size > 0)
}

/// Every way to make one cut, each with a description. Every candidate is smaller than `plan` in one respect
/// (SHRINK-K3), and not larger in any other.
pub(super) fn candidates(plan: &RunPlan, cut: Cut) -> Vec<(String, RunPlan)> {
    let mut all = Vec::new();
    match cut {
        Cut::Faults(size) => fewer_faults(plan, size, &mut all),
        Cut::Settings(size) => default_settings(plan, size, &mut all),
        Cut::Records => fewer_records(plan, &mut all),
        Cut::Nodes => fewer_nodes(plan, &mut all),
        Cut::Pairs => without_two(plan, &mut all),
        Cut::Simpler => (0..plan.faults.len()).for_each(|at| simpler_fault(plan, at, &mut all)),
    }
    all
}

/// The plan with only the faults that struck, if some did not: the failure happened without the others.
pub fn only_struck(plan: &RunPlan, struck: &BTreeSet<u32>) -> Option<(String, RunPlan)> {
    let mut left = plan.faults.clone();
    for at in (0..left.len()).rev() {
        if !struck.contains(&plan.faults[at].id) {
            left = without(&left, at, at + 1);
        }
    }
    let gone = plan.faults.len() - left.len();
    (gone > 0).then(|| {
        let what = format!("{} that never struck removed", flowquake_reports::units::counted(gone, "fault"));
        (what, RunPlan { faults: left, ..plan.clone() })
    })
}

fn fewer_faults(plan: &RunPlan, size: usize, all: &mut Vec<(String, RunPlan)>) {
    let count = plan.faults.len();
    for from in (0..count).step_by(size) {
        let to = (from + size).min(count);
        let what = match to - from {
            1 => format!("fault {} removed", from + 1),
            _ => format!("faults {} to {to} removed", from + 1),
        };
        all.push((what, RunPlan { faults: without(&plan.faults, from, to), ..plan.clone() }));
    }
}

fn without_two(plan: &RunPlan, all: &mut Vec<(String, RunPlan)>) {
    let count = plan.faults.len();
    if count > FEW {
        return;
    }
    // Neighbouring faults were already removed together before.
    for (first, second) in (0..count).flat_map(|first| (first + 2..count).map(move |second| (first, second))) {
        let faults = without(&without(&plan.faults, second, second + 1), first, first + 1);
        all.push((format!("faults {} and {} removed", first + 1, second + 1), RunPlan { faults, ..plan.clone() }));
    }
}

/// The faults except those from `from` to before `to`, renumbered. A fault that waited for one of them no longer waits.
fn without(faults: &[FaultPlan], from: usize, to: usize) -> Vec<FaultPlan> {
    let (from_id, to_id) = (from as u32 + 1, to as u32);
    let renumbered = |id: u32| match id {
        id if id < from_id => Some(id),
        id if id > to_id => Some(id - (to_id + 1 - from_id)),
        _ => None,
    };
    let left = faults.iter().enumerate().filter(|(at, _)| !(from..to).contains(at));
    let mut left: Vec<FaultPlan> = left.map(|(_, fault)| fault.clone()).collect();
    for (id, fault) in (1..).zip(&mut left) {
        fault.id = id;
        if let Trigger::On(on) | Trigger::Each(on) = &mut fault.trigger {
            on.after_fault = on.after_fault.and_then(renumbered);
        }
    }
    left
}

fn fewer_records(plan: &RunPlan, all: &mut Vec<(String, RunPlan)>) {
    let mut push = |fewer: u64, what: &str| {
        let mut smaller = plan.clone();
        match &mut smaller.job.input.source {
            InputSource::Generator { records, .. } => *records = fewer,
            InputSource::File { repeat, .. } => *repeat = fewer as u32,
        }
        all.push((format!("{what} down to {fewer}"), smaller));
    };
    let (count, what) = match plan.job.input.source {
        InputSource::Generator { records, .. } => (records, "records"),
        InputSource::File { repeat, .. } => (repeat.into(), "repeats of the file"),
    };
    // Half, then less and less, until about a sixteenth is left out.
    for part in [2, 4, 8, 16] {
        let fewer = count - count.div_ceil(part);
        if (1..count).contains(&fewer) {
            push(fewer, what);
        }
    }
}

fn simpler_fault(plan: &RunPlan, at: usize, all: &mut Vec<(String, RunPlan)>) {
    let fault = &plan.faults[at];
    let mut push = |what: String, changed: FaultPlan| {
        let mut smaller = plan.clone();
        smaller.faults[at] = changed;
        all.push((format!("fault {}: {what}", fault.id), smaller));
    };
    if fault.repeat > 1 {
        push("strikes once".into(), FaultPlan { repeat: 1, ..fault.clone() });
    }
    if !fault.delay.is_zero() {
        push("no delay".into(), FaultPlan { delay: Default::default(), ..fault.clone() });
    }
    // An earlier time is not simpler. Removing a filter makes a trigger simpler, and so does an earlier match.
    let trigger = |leaf: &Value| match leaf {
        Value::Number(number) => number.as_u64().map_or(Vec::new(), |n| [vec![Value::Null], lower(n)].concat()),
        Value::String(_) => vec![Value::Null],
        _ => Vec::new(),
    };
    for (path, trigger) in changed(&fault.trigger, &trigger) {
        push(format!("trigger simplified at {path}"), FaultPlan { trigger, ..fault.clone() });
    }
    let action = |leaf: &Value| match leaf {
        Value::Number(number) => number.as_u64().map_or(Vec::new(), lower),
        Value::String(text) => shorter(text).into_iter().collect(),
        _ => Vec::new(),
    };
    for (path, action) in changed(&fault.action, &action) {
        push(format!("{path} lowered"), FaultPlan { action, ..fault.clone() });
    }
}

/// One, then half.
fn lower(number: u64) -> Vec<Value> {
    let mut lower: Vec<u64> = [1, number / 2].into_iter().filter(|fewer| (1..number).contains(fewer)).collect();
    lower.dedup();
    lower.into_iter().map(Value::from).collect()
}

/// Half of a duration, in whole milliseconds.
fn shorter(text: &str) -> Option<Value> {
    let millis = humantime::parse_duration(text).ok()?.as_millis() as u64 / 2;
    (millis > 0).then(|| format!("{millis}ms").into())
}

fn fewer_nodes(plan: &RunPlan, all: &mut Vec<(String, RunPlan)>) {
    let mut push = |what: &str, change: &dyn Fn(&mut RunPlan)| {
        let mut smaller = plan.clone();
        change(&mut smaller);
        all.push((what.to_owned(), smaller));
    };
    if plan.cluster.job_managers > 1 {
        push("one JobManager", &|plan| plan.cluster.job_managers = 1);
    }
    if plan.cluster.task_managers > 1 {
        push("one TaskManager less", &|plan| plan.cluster.task_managers -= 1);
    }
    if plan.job.config.parallelism > 1 {
        push("parallelism lowered by one", &|plan| plan.job.config.parallelism -= 1);
    }
}

/// A setting that is not at its default. The number of nodes and slots is handled separately.
struct Setting {
    /// JSON pointer: `config` or `cluster`, as [`Settings`] names them, and the place below.
    pointer: String,
    /// The default value; `None`: the default leaves the setting out.
    default: Option<Value>,
}

/// All settings of a plan, as one JSON value.
#[derive(Serialize, serde::Deserialize)]
struct Settings {
    config: JobConfig,
    cluster: ClusterPlan,
}

impl Settings {
    fn of(plan: &RunPlan) -> Self {
        Self { config: plan.job.config.clone(), cluster: plan.cluster.clone() }
    }

    fn default_for(plan: &RunPlan) -> Self {
        let cluster = ClusterPlan {
            job_managers: plan.cluster.job_managers,
            task_managers: plan.cluster.task_managers,
            slots: plan.cluster.slots,
            cost_profile: plan.cluster.cost_profile.clone(),
            rates: plan.cluster.rates.clone(),
            ..cluster_default(&Profile::builtin())
        };
        Self { config: JobConfig { parallelism: plan.job.config.parallelism, ..JobConfig::default() }, cluster }
    }
}

impl Setting {
    fn all(plan: &RunPlan) -> Vec<Self> {
        let both = [Settings::of(plan), Settings::default_for(plan)].map(serde_json::to_value);
        let [Ok(here), Ok(default)] = both else { return Vec::new() };
        let mut all = Vec::new();
        // A setting that the default does not have is removed as a whole.
        for section in ["config", "cluster"] {
            let keys = here[section].as_object().into_iter().flat_map(|of| of.keys());
            for key in keys.filter(|key| default[section].get(key).is_none()) {
                all.push(Self { pointer: format!("/{section}/{key}"), default: None });
            }
        }
        for pointer in leaves(&default) {
            let at_default = default.pointer(&pointer);
            if here.pointer(&pointer).is_some_and(|value| Some(value) != at_default) {
                all.push(Self { pointer, default: at_default.cloned() });
            }
        }
        all
    }

    fn reset(&self, settings: &mut Value) {
        match (&self.default, settings.pointer_mut(&self.pointer)) {
            (Some(default), Some(place)) => *place = default.clone(),
            (None, Some(_)) => {
                let (section, key) = self.pointer.rsplit_once('/').unwrap_or_default();
                settings.pointer_mut(section).and_then(Value::as_object_mut).and_then(|of| of.remove(key));
            }
            (_, None) => {}
        }
    }
}

/// Puts this many settings at a time back to their defaults.
fn default_settings(plan: &RunPlan, size: usize, all: &mut Vec<(String, RunPlan)>) {
    let Ok(here) = serde_json::to_value(Settings::of(plan)) else { return };
    for group in Setting::all(plan).chunks(size) {
        let mut json = here.clone();
        group.iter().for_each(|setting| setting.reset(&mut json));
        let Ok(Settings { config, cluster }) = serde_json::from_value(json) else { continue };
        let what = match group {
            [one] => format!(
                "{} at its default",
                readable(one.pointer.trim_start_matches("/config").trim_start_matches("/cluster"))
            ),
            _ => format!("{} settings at their defaults", group.len()),
        };
        let mut smaller = RunPlan { cluster, ..plan.clone() };
        smaller.job.config = config;
        if smaller != *plan {
            all.push((what, smaller));
        }
    }
}

/// Every way to change one leaf of `value` by `change` that still gives a `T`.
fn changed<T: Serialize + DeserializeOwned + PartialEq>(
    value: &T,
    change: &dyn Fn(&Value) -> Vec<Value>,
) -> Vec<(String, T)> {
    let Ok(json) = serde_json::to_value(value) else { return Vec::new() };
    let mut found = Vec::new();
    for pointer in leaves(&json) {
        for leaf in json.pointer(&pointer).map_or(Vec::new(), change) {
            let mut json = json.clone();
            if let Some(place) = json.pointer_mut(&pointer) {
                *place = leaf;
            }
            found.extend(serde_json::from_value(json).ok().map(|other: T| (readable(&pointer), other)));
        }
    }
    found.retain(|(_, other)| other != value);
    found
}

/// JSON pointers of everything that is neither an object nor a list. A list of leaves of one kind counts as one leaf,
/// because ranges are such lists.
fn leaves(json: &Value) -> Vec<String> {
    let Value::Object(entries) = json else { return vec![String::new()] };
    let below = |(key, value): (&String, &Value)| {
        let key = key.replace('~', "~0").replace('/', "~1");
        leaves(value).into_iter().map(move |rest| format!("/{key}{rest}")).collect::<Vec<_>>()
    };
    entries.iter().flat_map(below).collect()
}

/// `/checkpoints/interval` in readable form.
fn readable(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use flowquake_engine::config::RestartStrategy;

    use crate::fixtures::{kill, on, plan};
    use crate::plan::EventTrigger;

    fn all(plan: &RunPlan) -> Vec<(String, RunPlan)> {
        cuts(plan).into_iter().flat_map(|cut| candidates(plan, cut)).collect()
    }

    fn faults(count: u32) -> Vec<FaultPlan> {
        (1..=count).map(|id| kill(id, Trigger::At(Duration::from_secs(1)))).collect()
    }

    #[test]
    fn faults_that_waited_for_a_removed_one_wait_no_more() {
        let mut faults = faults(5);
        let after = |id| Trigger::On(EventTrigger { after_fault: Some(id), ..on("job-running") });
        faults[3].trigger = after(1);
        faults[4].trigger = after(3);
        let conditions = |faults: &[FaultPlan]| -> Vec<(u32, Option<u32>)> {
            let condition = |trigger: &Trigger| if let Trigger::On(on) = trigger { on.after_fault } else { None };
            faults.iter().map(|fault| (fault.id, condition(&fault.trigger))).collect()
        };
        assert_eq!(conditions(&without(&faults, 1, 2)), [(1, None), (2, None), (3, Some(1)), (4, Some(2))]);
        assert_eq!(conditions(&without(&faults, 2, 3)), [(1, None), (2, None), (3, Some(1)), (4, None)]);
        assert_eq!(conditions(&without(&faults, 0, 2)), [(1, None), (2, None), (3, Some(1))]);
    }

    #[test]
    fn the_largest_cut_comes_first() {
        let plan = RunPlan { faults: faults(4), ..plan() };
        let cuts: Vec<String> = all(&plan).into_iter().map(|(what, _)| what).take(8).collect();
        let expected = [
            "faults 1 to 4 removed",
            "faults 1 to 2 removed",
            "faults 3 to 4 removed",
            "fault 1 removed",
            "fault 2 removed",
            "fault 3 removed",
            "fault 4 removed",
            "records down to 1000",
        ];
        assert_eq!(cuts, expected);
    }

    #[test]
    fn a_range_goes_to_its_default_as_a_whole_and_a_filter_goes_alone() {
        let mut plan = plan();
        plan.cluster.latency = (Duration::from_micros(3), Duration::from_micros(4));
        let trigger = EventTrigger { checkpoint: Some(4), nth: 6, ..on("sink-committed") };
        plan.faults = vec![kill(1, Trigger::On(trigger))];
        let all = all(&plan);
        let latency: Vec<_> = all.iter().filter(|(what, _)| what.contains("latency")).collect();
        assert_eq!(latency.len(), 1);
        assert_eq!(latency[0].1.cluster.latency, cluster_default(&Profile::builtin()).latency);
        let triggers: Vec<EventTrigger> = all
            .iter()
            .filter(|(what, _)| what.contains("trigger"))
            .filter_map(|(_, plan)| if let Trigger::On(on) = &plan.faults[0].trigger { Some(on.clone()) } else { None })
            .collect();
        assert!(triggers.contains(&EventTrigger { nth: 6, ..on("sink-committed") }), "{triggers:?}");
        assert!(triggers.contains(&EventTrigger { checkpoint: Some(4), ..on("sink-committed") }), "{triggers:?}");
        assert!(triggers.iter().all(|trigger| trigger.event == "sink-committed"), "{triggers:?}");
    }

    #[test]
    fn a_restart_strategy_shrinks_to_the_default_that_plans_leave_out() {
        let mut plan = plan();
        plan.job.config.restart_strategy = RestartStrategy::from_name("exponential-delay").unwrap();
        let found = all(&plan).into_iter().find(|(what, _)| what == "restart_strategy at its default");
        assert_eq!(found.unwrap().1.job.config, JobConfig { parallelism: 2, ..JobConfig::default() });
    }
}
