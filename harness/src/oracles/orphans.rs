//! O4: no orphan files.
//!
//! Statement. When a job has finished, the stores hold nothing that its last leader should have swept away: no file of
//! a checkpoint that is not retained, and no pending output that no retained checkpoint names, if the file existed when
//! the last sweep began. Files written later (a superseded leader's or task's upload, a chunk in progress) are allowed.
//! A sweep is not judged if a fault was on the store during it, because the store may then have hidden files or refused
//! to delete them.
//!
//! The sweep counts from the last entry of the leadership log that changed what is retained. Files that the nemesis
//! removed are not left over. Source: FLINK-30461 (partial uploads of a cancelled checkpoint stay forever). Planted
//! bugs: `skip-sweep`, `any-sweep-ends-the-job`.

use super::{EVIDENCE_MAX, Finding, Oracle, Violation};
use crate::outcome::{End, Outcome, Section, Sweep};
use crate::plan::{FaultAction, RunPlan};

/// The entry of O4.
pub const ORACLE: Oracle = Oracle {
    id: "O4",
    property: "a finished job leaves no orphan files",
    unit: "files",
    rank: 8,
    needs: &[Section::Log, Section::Stores],
    prefers: &[],
    judge: |case| judge(case.plan, case.outcome),
};

/// Judges what a finished job has left in the stores.
pub fn judge(plan: &RunPlan, outcome: &Outcome) -> Finding {
    let mut finding = Finding::default();
    let Some(sweep) = outcome.sweep.filter(|_| outcome.end == End::Finished) else { return finding };
    let led = outcome.log.last().map(|newest| newest.entry.term);
    if led != Some(sweep.term) || store_was_faulty(plan, outcome, sweep) {
        return finding;
    }
    finding.judged = outcome.files_left.max(1);
    for orphan in outcome.orphans.iter().filter(|orphan| orphan.put <= sweep.began).take(EVIDENCE_MAX) {
        let (path, term) = (&orphan.path, sweep.term);
        let evidence =
            format!("{path} was there when the last sweep ({term}) began, belongs to nothing, and is still there");
        finding.violations.push(Violation { oracle: "O4", evidence });
    }
    finding
}

/// Whether, since the last sweep began, a fault was on the stores or between a node and the stores.
fn store_was_faulty(plan: &RunPlan, outcome: &Outcome, sweep: Sweep) -> bool {
    let began = outcome.log.iter().rev().find(|entry| entry.order <= sweep.began).map(|entry| entry.at);
    plan.faults.iter().zip(&outcome.strikes).any(|(fault, strike)| {
        let on_stores = matches!(fault.action, FaultAction::Store { .. } | FaultAction::Isolate { stores: true, .. });
        on_stores && strike.struck_at().is_some() && strike.healed_at().is_none_or(|healed| Some(healed) > began)
    })
}

#[cfg(test)]
mod tests {
    use flowquake_engine::fault::StoreFault;
    use flowquake_engine::ha::entry::Change;
    use std::time::Duration;

    use flowquake_engine::ids::Term;

    use super::*;
    use crate::fixtures::{logged, ms, outcome, plan, struck};
    use crate::outcome::Orphan;
    use crate::plan::{FaultPlan, Trigger};

    /// An outcome that was swept in term 1 after the 10th change of the stores. These files are left, each with the
    /// number of the change that wrote it.
    fn left(files: &[(&str, u64)]) -> Outcome {
        let mut outcome = outcome([]);
        outcome.log.clear();
        logged(&mut outcome, 100, 1, Change::Opened);
        outcome.log[0].order = 10;
        outcome.sweep = Some(Sweep { term: Term(1), began: 10 });
        outcome.orphans = files.iter().map(|(path, put)| Orphan { path: (*path).into(), put: *put }).collect();
        outcome
    }

    fn evidence(outcome: &Outcome) -> Vec<String> {
        judge(&plan(), outcome).violations.into_iter().map(|violation| violation.evidence).collect()
    }

    #[test]
    fn what_was_there_before_the_sweep_must_be_gone() {
        let outcome = left(&[("chk-00000003/1-0-1-1-heap", 10), (".pending/1-0/000001-000001-00000000", 4)]);
        let expected = [
            "chk-00000003/1-0-1-1-heap was there when the last sweep (term 1) began, belongs to nothing, and is still there",
            ".pending/1-0/000001-000001-00000000 was there when the last sweep (term 1) began, belongs to nothing, and is still there",
        ];
        assert_eq!(evidence(&outcome), expected);
    }

    #[test]
    fn a_late_upload_is_nobodys_fault() {
        let outcome = left(&[("chk-00000003/1-0-1-1-heap", 11)]);
        assert_eq!(evidence(&outcome), [""; 0]);
        assert_eq!(judge(&plan(), &outcome).judged, 1);
    }

    #[test]
    fn only_the_last_leaders_sweep_of_a_finished_job_is_judged() {
        let mut outcome = left(&[("chk-00000003/1-0-1-1-heap", 1)]);
        outcome.end = End::Failed("restarts are used up".into());
        assert_eq!(judge(&plan(), &outcome), Finding::default());
        outcome.end = End::Finished;
        logged(&mut outcome, 200, 2, Change::Opened);
        assert_eq!(judge(&plan(), &outcome), Finding::default());
    }

    #[test]
    fn a_store_that_was_not_itself_during_the_sweep_excuses_it() {
        let outcome = |healed| {
            let mut outcome = left(&[("chk-00000003/1-0-1-1-heap", 1)]);
            outcome.strikes = vec![struck(50, healed)];
            outcome
        };
        let mut plan = plan();
        let how = StoreFault::LaggingList(Duration::from_secs(5));
        let action = FaultAction::Store { store: None, node: None, how, count: None, heal_after: None };
        let trigger = Trigger::At(Duration::ZERO);
        plan.faults = vec![FaultPlan { id: 1, trigger, delay: Duration::ZERO, repeat: 1, action }];
        assert_eq!(judge(&plan, &outcome(None)), Finding::default());
        assert_eq!(judge(&plan, &outcome(Some(101))), Finding::default());
        assert_eq!(judge(&plan, &outcome(Some(99))).violations.len(), 1);
        assert_eq!(ms(99), outcome(Some(99)).strikes[0].healed_at().unwrap());
    }
}
