//! Rules for expectations: a run must be able to meet each, and to fail it.

use super::Finding;
use crate::plan::{ExpectedEnd, RunPlan};

pub(super) fn check(plan: &RunPlan, found: &mut Vec<Finding>) {
    let expect = &plan.expect;
    if let ExpectedEnd::Failed(reason) | ExpectedEnd::FinishedOrFailed(reason) = &expect.job
        && reason.trim().is_empty()
    {
        let help =
            "write a part of the reason, such as \"failed(restarts are used up)\"; an empty one would accept any";
        let finding = Finding::new("no-reason", "the job may fail, but not for just any reason", help);
        found.push(finding.at("expect.job", "no reason given"));
    }
    // A planted bug can break the output on purpose. Without one, wrong output is always a failure of the engine.
    if !expect.exactly_once && !cfg!(feature = "mutations") {
        let help =
            "write true: the output is always judged; only runs with planted bugs (feature `mutations`) may go without";
        let finding =
            Finding::new("not-exactly-once", "`exactly_once` is false, but no planted bug is under test", help);
        found.push(finding.at("expect.exactly_once", "must be true"));
    }
    if expect.recovers_within.is_some_and(|bound| bound.is_zero()) {
        let help = "write the time from the end of the last fault to the end of the job, such as \"20s\"";
        let finding = Finding::new("no-time", "`recovers_within` is zero: no job recovers in no time", help);
        found.push(finding.at("expect.recovers_within", "more than zero"));
    }
}
