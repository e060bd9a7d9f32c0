//! Every duration of a fault, and which of them must not be zero.

use std::time::Duration;

use crate::checker::{Finding, LIFE_MIN, Length, Rules};
use crate::plan::{ClockFault, FaultAction, FaultPlan, MessageFault, StoreFault, Trigger};

/// All durations of a fault.
pub(in crate::scenario::rules) fn lengths(fault: &FaultPlan) -> Vec<Length> {
    const BRIEF: Duration = Duration::from_nanos(1);
    let mut found = Vec::new();
    let mut add = |path, duration, least| found.push(Length { path, duration, least });
    add("delay", fault.delay, None);
    match fault.trigger {
        Trigger::At(at) => add("trigger.at", at, None),
        Trigger::Every { first, period } => {
            add("trigger.every.first", first, None);
            add(
                "trigger.every.period",
                period,
                Some((LIFE_MIN, "it would strike again before anything came of it, without end")),
            );
        }
        Trigger::On(_) | Trigger::Each(_) => {}
    }
    let mut end = |path, after: Option<Duration>, meaning| {
        if let Some(after) = after {
            add(path, after, Some((BRIEF, meaning)));
        }
    };
    const OVER: &str = "the fault would be over before it began; leave it out, and it lasts";
    const BACK: &str = "the node needs a millisecond between two lives";
    match &fault.action {
        // A restart at once is taken as one after a millisecond.
        FaultAction::Kill { restart_after, .. } => {
            add("action.kill.restart_after", restart_after.unwrap_or_default(), None);
        }
        FaultAction::CrashLoop { up, down, .. } => {
            add("action.crash-loop.up", *up, Some((LIFE_MIN, BACK)));
            add("action.crash-loop.down", *down, Some((LIFE_MIN, BACK)));
        }
        FaultAction::Pause { resume_after, .. } => end("action.pause.resume_after", *resume_after, OVER),
        FaultAction::Slow { heal_after, .. } => end("action.slow.heal_after", *heal_after, OVER),
        FaultAction::Cut { heal_after, .. } => end("action.cut.heal_after", *heal_after, OVER),
        FaultAction::Isolate { heal_after, .. } => end("action.isolate.heal_after", *heal_after, OVER),
        FaultAction::Flap { up, down, .. } => {
            add("action.flap.up", *up, Some((LIFE_MIN, "no message would get through before it is cut again")));
            add("action.flap.down", *down, Some((LIFE_MIN, "no message would be held back before it is whole again")));
        }
        FaultAction::Link { latency, heal_after, .. } => {
            end("action.link.heal_after", *heal_after, OVER);
            if let Some((_, high)) = latency {
                add("action.link.latency", *high, None);
            }
        }
        FaultAction::Refuse { heal_after, .. } => end("action.refuse.heal_after", *heal_after, OVER),
        FaultAction::Message { how: MessageFault::Delay(by), .. } => {
            add("action.message.how.delay", *by, Some((BRIEF, "nothing would be late")));
        }
        FaultAction::Message { how: MessageFault::DuplicateLate(by), .. } => {
            add(
                "action.message.how.duplicate-late",
                *by,
                Some((BRIEF, "leave `by` out: it comes right behind the first")),
            );
        }
        FaultAction::SlowReceiver { heal_after, .. } => end("action.slow-receiver.heal_after", *heal_after, OVER),
        FaultAction::Store { how, heal_after, .. } => {
            end("action.store.heal_after", *heal_after, OVER);
            match how {
                StoreFault::Slow(by) => add("action.store.how.slow", *by, Some((BRIEF, "nothing would be slower"))),
                StoreFault::StaleRead(age) => {
                    add("action.store.how.stale-read", *age, Some((BRIEF, "what is seen would be new")));
                }
                StoreFault::LaggingList(age) => {
                    add("action.store.how.lagging-list", *age, Some((BRIEF, "what is seen would be new")));
                }
                _ => {}
            }
        }
        FaultAction::Clock { how, heal_after, .. } => {
            end("action.clock.heal_after", *heal_after, OVER);
            match how {
                ClockFault::Forward(by) => add("action.clock.how.forward", *by, Some((BRIEF, "no clock would jump"))),
                ClockFault::Back(by) => add("action.clock.how.back", *by, Some((BRIEF, "no clock would jump"))),
                ClockFault::Drift(_) => {}
            }
        }
        FaultAction::UserCode { .. }
        | FaultAction::Poison { .. }
        | FaultAction::Reset { .. }
        | FaultAction::HalfOpen { .. }
        | FaultAction::Message { .. }
        | FaultAction::Damage { .. }
        | FaultAction::DamageLocal { .. } => {}
    }
    found
}

impl Rules<'_> {
    /// No duration is too short to mean anything; that none is too long is judged with those of the rest of the plan.
    pub(super) fn lengths(&mut self) {
        for length in lengths(self.fault) {
            let Some((least, meaning)) = length.least.filter(|(least, _)| length.duration < *least) else { continue };
            let field = match length.path.rsplit('.').next().unwrap_or_default() {
                "period" => "every",
                "delay" | "slow" | "forward" | "back" => "by",
                "stale-read" | "lagging-list" => "age",
                field => field,
            };
            let what = if length.duration.is_zero() { "zero" } else { "too short" };
            let message = format!("`{field}` is {what}: {meaning}");
            let help = match least {
                LIFE_MIN => "write 1ms or more",
                _ => "write a duration above zero, such as \"3s\"",
            };
            let path = format!("{}.{}", self.path, length.path);
            self.push(Finding::new("no-time", message, help).at(path, "too short"));
        }
    }
}
