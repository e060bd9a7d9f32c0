//! Faults of clocks, and of leadership, which hangs on clocks and on the store.

use super::{Keys, Kind, value};
use crate::plan::{ClockFault, FaultAction, NodeTarget, StoreFault, StoreName};

pub(super) fn action(keys: &mut Keys, kind: Kind) -> Option<FaultAction> {
    const BY_HELP: &str = "say how far the clock jumps: by = \"10s\"";
    let (target, how) = match kind {
        Kind::LoseLeadership => {
            let help =
                "say for how long the leader is cut off from the store, longer than the lease: heal_after = \"10s\"";
            return Some(FaultAction::Store {
                store: Some(StoreName::Checkpoints),
                node: Some(NodeTarget::Leader),
                how: StoreFault::Unavailable,
                count: None,
                heal_after: Some(keys.must("heal_after", "store.heal_after", help, value::duration)?),
            });
        }
        Kind::RivalLeader => {
            let by = keys.must("by", "clock.how.forward", BY_HELP, value::duration);
            (Some(NodeTarget::Standby), by.map(ClockFault::Forward))
        }
        Kind::ClockDrift => {
            let target = keys.target("clock.target");
            let help = "say how much it gains (loses, with a minus) in a second: rate = \"50ms/s\"";
            (target, keys.must("rate", "clock.how.drift", help, value::drift).map(ClockFault::Drift))
        }
        Kind::ClockBack => {
            let target = keys.target("clock.target");
            (target, keys.must("by", "clock.how.back", BY_HELP, value::duration).map(ClockFault::Back))
        }
        _ => {
            let target = keys.target("clock.target");
            (target, keys.must("by", "clock.how.forward", BY_HELP, value::duration).map(ClockFault::Forward))
        }
    };
    let heal_after = keys.may("heal_after", "clock.heal_after", value::duration).filter(|_| kind == Kind::ClockDrift);
    Some(FaultAction::Clock { target: target?, how: how?, heal_after })
}
