//! The distributions as JSON, for other programs to plot.
//!
//! Start at [`to_string`]. Every quantity has the unit of its numbers.

use serde_json::{Value, json};

use super::Distribution;
use crate::record::RunSet;

/// Version of this document.
pub const VERSION: u32 = 2;

/// Pretty JSON over all runs of a set, and over each scenario; ends with a line break.
pub fn to_string(set: &RunSet) -> String {
    let mut scenarios: Vec<&str> = set.runs.iter().map(|run| run.scenario.as_str()).collect();
    scenarios.sort_unstable();
    scenarios.dedup();
    let by_scenario = scenarios.into_iter().map(|name| {
        let runs = set.runs.iter().filter(|run| run.scenario == name);
        json!({ "scenario": name, "quantities": list(&super::of(runs)) })
    });
    let document = json!({
        "version": VERSION,
        "command": set.command,
        "program": set.program,
        "runs": set.runs.len(),
        "runs_without_times": super::without_times(set),
        "all": list(&super::of(&set.runs)),
        "scenarios": by_scenario.collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

fn list(distributions: &[Distribution]) -> Vec<Value> {
    let value = |one: &Distribution| {
        let of = |which: fn(&crate::timing::Percentiles) -> u64| one.percentiles.as_ref().map(which);
        json!({
            "name": one.name,
            "unit": one.unit.key(),
            "sort": one.sort.key(),
            "part": one.is_part,
            "count": of(|p| p.count).unwrap_or(0),
            "endless": one.endless,
            "min": of(|p| p.min),
            "p50": of(|p| p.p50),
            "p90": of(|p| p.p90),
            "p99": of(|p| p.p99),
            "max": of(|p| p.max),
        })
    };
    distributions.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn all_runs_and_each_scenario() {
        let document: Value = serde_json::from_str(&to_string(&fixtures::set())).unwrap();
        assert_eq!(document["runs"], fixtures::set().runs.len());
        assert_eq!(document["all"][0]["name"], "trigger gap T");
        assert!(document["all"][0]["p99"].as_u64() > Some(0));
        assert!(!document["scenarios"].as_array().unwrap().is_empty());
    }
}
