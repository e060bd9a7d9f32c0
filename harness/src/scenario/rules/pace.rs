//! How often something may come due: a timer that is due again before anything can have come of it only makes work, and a plan
//! of such timers never ends.
//!
//! Start at [`check`]. The bound is a millisecond: a message takes longer in any network that is worth a test, and the simulator
//! wakes nobody sooner. A zero is told by the rules of its setting; intervals of checkpoints and leases have a bound in the engine.

use std::time::Duration;

use super::Finding;
use crate::plan::RunPlan;
use crate::units;

/// Shortest time from one time that something is due to the next.
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
