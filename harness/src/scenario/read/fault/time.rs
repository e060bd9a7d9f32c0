//! Faults of clocks, and of leadership, which hangs on clocks and on the store.

use std::time::Duration;

use crate::plan::{ClockFault, FaultAction, NodeTarget, StoreFault, StoreName};
use crate::reader::{FaultKeys as Keys, value};

const BY_HELP: &str = "say how far the clock jumps: by = \"10s\"";

/// A jump, whose length ends up at `below`.
pub(super) fn jump(keys: &mut Keys, below: &str, how: fn(Duration) -> ClockFault) -> Option<FaultAction> {
    let target = keys.target("clock.target");
    let by = keys.must("by", below, BY_HELP, value::duration);
    Some(FaultAction::Clock { target: target?, how: how(by?), heal_after: None })
}

pub(super) fn drift(keys: &mut Keys) -> Option<FaultAction> {
    let target = keys.target("clock.target");
    let help = "say how much it gains (loses, with a minus) in a second: rate = \"50ms/s\"";
    let drift = keys.must("rate", "clock.how.drift", help, value::drift);
    let heal_after = keys.heal_after("clock.heal_after");
    Some(FaultAction::Clock { target: target?, how: ClockFault::Drift(drift?), heal_after })
}

pub(super) fn lose_leadership(keys: &mut Keys) -> Option<FaultAction> {
    let help = "say for how long the leader is cut off from the store, longer than the lease: heal_after = \"10s\"";
    let heal_after = keys.must("heal_after", "store.heal_after", help, value::duration)?;
    Some(FaultAction::Store {
        store: Some(StoreName::Checkpoints),
        node: Some(NodeTarget::Leader),
        how: StoreFault::Unavailable,
        count: None,
        heal_after: Some(heal_after),
    })
}

pub(super) fn rival_leader(keys: &mut Keys) -> Option<FaultAction> {
    let by = keys.must("by", "clock.how.forward", BY_HELP, value::duration)?;
    Some(FaultAction::Clock { target: NodeTarget::Standby, how: ClockFault::Forward(by), heal_after: None })
}
