//! Rules for faults: what a trigger names must exist and be able to happen, and what is struck must exist.
//!
//! Start at [`check`]. Triggers are judged in `trigger`, durations in `lengths`, and what each kind of fault does in
//! the kind's file ([`crate::faults`]).

use crate::checker::{Finding, JobEntry, Rules};
use crate::faults;
use crate::plan::RunPlan;

mod lengths;
mod trigger;

pub(super) use lengths::lengths;

pub(super) fn check(plan: &RunPlan, entry: Option<&JobEntry>, lines: Option<u64>, found: &mut Vec<Finding>) {
    for (id, fault) in (1..).zip(&plan.faults) {
        let path = format!("faults[{}]", id - 1);
        if fault.id != id {
            let message = format!("fault {id} of the plan has the id {}", fault.id);
            let help =
                format!("faults are numbered from 1 in their order: write {id}, and adapt `after_fault` elsewhere");
            found.push(Finding::new("bad-fault-id", message, help).at(format!("{path}.id"), format!("must be {id}")));
        }
        let mut rules = Rules { plan, entry, lines, id, fault, path, rounds: None, found };
        rules.trigger();
        rules.lengths();
        faults::check(&mut rules);
        rules.strikes();
    }
}
