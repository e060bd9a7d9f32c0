//! `run` on several targets: which runs each scenario and seed has, and what is refused.
//!
//! Start at [`variants`]. A run that repeats exactly is made once. Others are made `--repeat` times, one after the other for each target, so that
//! their spread can be told; the report lays all of them side by side (`flowquake_reports::comparison`).

use std::process::ExitCode;

use super::super::refuse_text;
use crate::plan::TargetPlan;

/// The target of each run that a scenario and a seed have.
pub(super) fn variants(targets: &[TargetPlan], repeat: u32, listed: bool) -> Result<Vec<TargetPlan>, ExitCode> {
    match problem(targets, repeat, listed) {
        None => Ok(made(targets, repeat)),
        Some((what, remedy)) => Err(refuse_text(&what, remedy)),
    }
}

fn made(targets: &[TargetPlan], repeat: u32) -> Vec<TargetPlan> {
    let times = |target: &TargetPlan| if target.is_sim() { 1 } else { repeat as usize };
    targets.iter().flat_map(|target| std::iter::repeat_n(*target, times(target))).collect()
}

/// What of it makes no sense, and what to do. `listed`: the runs are those of a list.
fn problem(targets: &[TargetPlan], repeat: u32, listed: bool) -> Option<(String, &'static str)> {
    let twice = targets.iter().enumerate().find(|(at, target)| targets[..*at].contains(target));
    if let Some((_, target)) = twice {
        return Some((format!("--target names {} twice", target.name()), "name each once; --repeat N repeats runs"));
    }
    if repeat > 1 && targets.iter().all(|target| target.is_sim()) {
        let what = format!("--repeat {repeat}: a run on sim is the same each time");
        return Some((what, "take more --seeds, or a target in real time: --target process"));
    }
    if listed && (targets.len() > 1 || repeat > 1) {
        let what = "--failed makes each run of its list once".to_owned();
        return Some((what, "name one --target and leave --repeat out, or name scenarios instead of --failed"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [TargetPlan; 3] = [TargetPlan::Sim, TargetPlan::Process, TargetPlan::Flink];

    #[test]
    fn what_repeats_exactly_is_run_once() {
        use TargetPlan::{Flink, Process, Sim};
        assert_eq!(made(&ALL, 2), [Sim, Process, Process, Flink, Flink]);
        assert_eq!(made(&[Flink], 1), [Flink]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_remedy() {
        let says = |targets: &[TargetPlan], repeat, listed| problem(targets, repeat, listed).map(|(what, _)| what);
        assert_eq!(says(&ALL, 3, false), None);
        assert!(says(&[ALL[1], ALL[0], ALL[1]], 1, false).unwrap().contains("names process twice"));
        assert!(says(&ALL[..1], 2, false).unwrap().contains("--repeat 2"));
        assert!(says(&ALL, 1, true).is_some() && says(&ALL[1..2], 2, true).is_some());
        assert_eq!(says(&ALL[1..2], 1, true), None);
    }
}
