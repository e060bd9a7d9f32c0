//! Every duration of a fault, and which of them must not be zero.

use crate::checker::{Finding, LIFE_MIN, Length, Rules};
use crate::faults;
use crate::plan::{FaultPlan, Trigger};

/// All durations of a fault.
pub(in crate::scenario::rules) fn lengths(fault: &FaultPlan) -> Vec<Length> {
    let mut found = vec![Length::new("delay", fault.delay).key("by")];
    match fault.trigger {
        Trigger::At(at) => found.push(Length::new("trigger.at", at)),
        Trigger::Every { first, period } => {
            found.push(Length::new("trigger.every.first", first));
            let meaning = "it would strike again before anything came of it, without end";
            found.push(Length::new("trigger.every.period", period).key("every").at_least(LIFE_MIN, meaning));
        }
        Trigger::On(_) | Trigger::Each(_) => {}
    }
    found.extend(faults::lengths(&fault.action));
    found
}

impl Rules<'_> {
    /// No duration is too short to have an effect. Whether one is too long is judged with the other durations of the
    /// plan.
    pub(super) fn lengths(&mut self) {
        for length in lengths(self.fault) {
            let Some((least, meaning)) = length.least.filter(|(least, _)| length.duration < *least) else { continue };
            let field = length.key;
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
