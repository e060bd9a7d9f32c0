//! `[tune]`: the intervals, state sizes, loads and backends that `flowquake tune` sweeps over.

use std::time::Duration;

use flowquake_engine::config::BackendKind;
use toml::de::DeValue;

use super::{Reader, Table};
use crate::plan::KillMode;
use crate::reader::{Refusal, value};
use crate::tune::{Tune, spread};
use crate::units;

/// The faults that can strike `tm-1`.
pub(super) const FAULTS: [&str; 2] = ["kill", "machine-loss"];

/// Reads `[tune]`.
pub(in crate::scenario) fn tune(reader: &mut Reader, table: &Table) -> Tune {
    let given = Some(table);
    let seconds = Duration::from_secs;
    let show_duration = |duration: &Duration| units::format_duration(*duration);
    let show_list =
        |list: &Vec<Duration>| list.iter().map(|each| units::format_duration(*each)).collect::<Vec<_>>().join(", ");
    let backends = |kinds: &Vec<BackendKind>| kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
    let range = || spread(seconds(1), seconds(300), 9);
    Tune {
        intervals: reader.or_default(given, "intervals", "tune.intervals", intervals, range(), show_list),
        states: reader.or_default(given, "states", "tune.states", states, vec![None], |_| "as it is".into()),
        backends: reader.or_default(
            given,
            "backends",
            "tune.backends",
            backend_list,
            BackendKind::ALL.to_vec(),
            backends,
        ),
        loads: reader.or_default(given, "loads", "tune.loads", loads, vec![0.5], |list| format!("{list:?}")),
        failures_every: reader.or_default(
            given,
            "failures_every",
            "tune.failures_every",
            durations,
            vec![seconds(600), seconds(3_600), seconds(86_400)],
            show_list,
        ),
        failures: reader.or_default(given, "failures", "tune.failures", few, 6, u32::to_string),
        fault: reader.or_default(given, "fault", "tune.fault", fault, KillMode::Crash, |_| "kill".into()),
        restart_after: reader.or_default(
            given,
            "restart_after",
            "tune.restart_after",
            value::duration,
            seconds(1),
            show_duration,
        ),
        duration: reader.or_default(given, "duration", "tune.duration", positive, seconds(3_600), show_duration),
        moving: reader.or_default(given, "moving", "tune.moving", moving, 80.0, |rate| format!("{rate}/s")),
        lateness_weight: reader.or_default(
            given,
            "lateness_weight",
            "tune.lateness_weight",
            number,
            1.0,
            f64::to_string,
        ),
    }
}

fn wrong(what: &str, label: &str, help: &str) -> Refusal {
    Refusal::new("wrong-value", what, label, help.to_owned())
}

fn list<T>(value: &DeValue, each: impl Fn(&DeValue) -> Result<T, Refusal>) -> Result<Vec<T>, Refusal> {
    let DeValue::Array(items) = value else { return each(value).map(|one| vec![one]) };
    if items.is_empty() {
        return Err(wrong("must not be empty", "nothing to sweep over", "name at least one, or leave {key} out"));
    }
    items.iter().map(|item| each(item.get_ref())).collect()
}

fn positive(value: &DeValue) -> Result<Duration, Refusal> {
    let duration = value::duration(value)?;
    if duration.is_zero() {
        return Err(wrong("must be more than zero", "no time", "write a duration such as \"1h\""));
    }
    Ok(duration)
}

fn durations(value: &DeValue) -> Result<Vec<Duration>, Refusal> {
    distinct(list(value, positive)?, |duration| units::format_duration(*duration))
}

/// Refuses a value that is listed twice: its runs would be made, and counted, twice.
fn distinct<T: PartialEq>(all: Vec<T>, show: impl Fn(&T) -> String) -> Result<Vec<T>, Refusal> {
    match (1..all.len()).find(|at| all[..*at].contains(&all[*at])) {
        Some(at) => {
            let message = format!("names {} twice", show(&all[at]));
            Err(wrong(&message, "the same value twice", "name each once"))
        }
        None => Ok(all),
    }
}

/// A list, or `"1s..300s"` for nine values over that range.
fn intervals(value: &DeValue) -> Result<Vec<Duration>, Refusal> {
    const LEAST: Duration = Duration::from_millis(10);
    let mut all = match value {
        DeValue::String(text) if text.contains("..") => {
            let (low, high) = value::duration_range(value)?;
            if low == high {
                let help = "write a range such as \"1s..300s\", or a list such as {key} = [\"1s\", \"5s\", \"30s\"]";
                return Err(wrong("is a range of one duration", "both ends are equal", help));
            }
            if low > high {
                let help = "write the shorter one first: {key} = \"1s..300s\"";
                return Err(wrong("is an empty range", "from above to below", help));
            }
            spread(low.max(LEAST), high, 9)
        }
        other => durations(other)?,
    };
    if all.iter().any(|interval| *interval < LEAST) {
        return Err(wrong("must be at least 10ms", "too short", "the engine takes no shorter interval"));
    }
    all.sort();
    all.dedup();
    if all.len() < 3 {
        let help = "write at least three intervals, or a range such as \"1s..300s\"";
        return Err(wrong("are too few to find an optimum between them", "fewer than three", help));
    }
    Ok(all)
}

fn states(value: &DeValue) -> Result<Vec<Option<u64>>, Refusal> {
    /// A petabyte: more state than any job keeps, and far below where sums of bytes overflow.
    const MOST: u64 = 1_000_000_000_000_000;
    let all = list(value, |item| match value::size(item)? {
        0 => Err(wrong("must be more than zero", "no state", "write a size such as \"100MB\", or leave {key} out")),
        bytes @ 1..=MOST => Ok(Some(bytes)),
        bytes => {
            let message = format!("must be at most 1000TB, not {}", units::format_size(bytes));
            Err(wrong(&message, "too large", "write a size up to a petabyte, such as \"10GB\""))
        }
    })?;
    distinct(all, |bytes| units::format_size(bytes.unwrap_or_default()))
}

fn backend_list(value: &DeValue) -> Result<Vec<BackendKind>, Refusal> {
    let names: Vec<&str> = BackendKind::ALL.iter().map(|kind| kind.name()).collect();
    let all = list(value, |item| value::word(item, &names, BackendKind::from_name))?;
    let mut all = distinct(all, |kind| format!("`{}`", kind.name()))?;
    all.sort();
    Ok(all)
}

fn number(value: &DeValue) -> Result<f64, Refusal> {
    positive_number(value).ok_or_else(|| wrong("must be a positive number", "no such number", "write {key} = 1.0"))
}

fn positive_number(value: &DeValue) -> Option<f64> {
    let text = match value {
        DeValue::Float(float) => float.as_str().replace('_', ""),
        DeValue::Integer(integer) => integer.as_str().replace('_', ""),
        _ => String::new(),
    };
    text.parse::<f64>().ok().filter(|number| *number > 0.0 && *number <= 1e9)
}

fn loads(value: &DeValue) -> Result<Vec<f64>, Refusal> {
    let share = |item: &DeValue| {
        let no_share = || {
            let label = format!("this is {}", value::describe(item));
            let label =
                if matches!(item, DeValue::Float(_) | DeValue::Integer(_)) { "no such share" } else { label.as_str() };
            wrong("must be a share of the capacity, above 0 and below 1", label, "write {key} = [0.5]")
        };
        let load = positive_number(item).ok_or_else(no_share)?;
        if load < 1.0 {
            return Ok(load);
        }
        let help = "write a share of the capacity below 1: at λ ≥ μ a backlog never drains, and no recovery ends";
        Err(wrong("must be below 1", "the job could not keep up", help))
    };
    distinct(list(value, share)?, f64::to_string)
}

fn few(value: &DeValue) -> Result<u32, Refusal> {
    match value::whole_u32(value)? {
        count @ 1..=1_000 => Ok(count),
        _ => Err(wrong("must be between 1 and 1000", "out of range", "write {key} = 6")),
    }
}

fn moving(value: &DeValue) -> Result<f64, Refusal> {
    let rate = value::rate(value)?.per_second();
    if (1.0..=1e6).contains(&rate) {
        return Ok(rate);
    }
    Err(wrong("must be between 1/s and 1000000/s", "out of range", "write {key} = \"80/s\""))
}

fn fault(value: &DeValue) -> Result<KillMode, Refusal> {
    value::word(value, &FAULTS, |word| match word {
        "kill" => Some(KillMode::Crash),
        "machine-loss" => Some(KillMode::MachineLoss),
        _ => None,
    })
}
