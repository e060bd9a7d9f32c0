//! Rules for how often something may come due. A timer that fires again before its last firing can have had an effect
//! only makes work, and a run full of such timers never ends.
//!
//! Start at [`check`]. The bound is a millisecond, because a message takes longer in any network that is worth a test.
//! A zero is reported by the rules of its setting; intervals of checkpoints and leases are bounded by the engine.
//! are bounded by the engine.

use std::time::Duration;

use super::Finding;
use crate::plan::RunPlan;
use crate::units;

/// Shortest allowed time between two firings.
const LEAST: Duration = Duration::from_millis(1);

pub(super) fn check(plan: &RunPlan, found: &mut Vec<Finding>) {
    let config = &plan.job.config;
    let timers = [
        ("heartbeat_interval", config.heartbeat_interval, "no heartbeat would arrive before the next is sent"),
        ("notify_retry", config.notify_retry, "a notification would be sent again while the first one is under way"),
        ("sink_flush_interval", config.sink_flush_interval, "sinks would write a file for every few records"),
    ];
    for (field, timer, why) in timers.into_iter().filter(|(_, timer, _)| !timer.is_zero() && *timer < LEAST) {
        let message = format!("`{field}` = {} is too short: {why}", units::format_duration(timer));
        let finding = Finding::new("too-often", message, "write 1ms or more");
        found.push(finding.at(format!("job.config.{field}"), "less than a millisecond"));
    }
}
