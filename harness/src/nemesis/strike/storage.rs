//! Strikes at the durable stores; damage to files stands in `damage`.

use flowquake_engine::env::StoreKind;
use flowquake_engine::fault::{StoreFault, StoreRule};

use super::{Blow, Struck};
use crate::faults::{CHECKPOINT_STORE, Kind, LEADER, OUTPUT_STORE};
use crate::nemesis::effect::Effect;
use crate::nemesis::watch::{Armed, Watched};
use crate::nemesis::{Cluster, Nemesis};
use crate::plan::{FaultAction, StoreName};

impl Nemesis {
    /// Both stores get a rule of their own, if none is named, so that it can be told which of them was hurt.
    pub(super) fn store(&mut self, world: &dyn Cluster, blow: &Blow, action: &FaultAction) -> Struck {
        let FaultAction::Store { store, node, how, count, heal_after } = action else {
            return Err("not a fault of a store".into());
        };
        let node = node.as_ref().map(|node| self.node(world, blow, node)).transpose()?;
        let stores = store.map_or(vec![StoreName::Checkpoints, StoreName::Output], |store| vec![store]);
        for store in stores {
            let (name, role, kind) = match store {
                StoreName::Checkpoints => ("checkpoint store", CHECKPOINT_STORE, StoreKind::Checkpoints),
                StoreName::Output => ("output store", OUTPUT_STORE, StoreKind::Output),
            };
            let role = if Kind::of(action) == Kind::LoseLeadership { LEADER } else { role };
            let target = node.as_ref().map_or(name.to_owned(), |node| format!("{name} of {node}"));
            let rule = StoreRule { store: Some(kind), node: node.clone(), fault: *how, count: *count };
            let rule = world.add_store_rule(rule);
            // What was acknowledged and is not there goes missing only at the end.
            let limit = count.filter(|_| !matches!(how, StoreFault::LostWrite));
            let watched = Watched::new(blow, Armed::Requests(rule), role, target, describe(how));
            self.watch(watched.at_most(limit));
            self.lasts(world, blow, Vec::new(), vec![Effect::StoreRule(rule)], *heal_after);
        }
        Ok(())
    }
}

/// What a store does, as what was done to a request.
fn describe(fault: &StoreFault) -> String {
    let time = humantime::format_duration;
    match fault {
        StoreFault::Unavailable => "requests were not answered".into(),
        StoreFault::FailedWrite => "a write failed".into(),
        StoreFault::AmbiguousWrite => "a write took effect and was answered with an error".into(),
        StoreFault::TornWrite => "half of a write was acknowledged as the whole".into(),
        StoreFault::LostWrite => "a write was acknowledged and not made durable".into(),
        StoreFault::NoSpace => "a write failed for lack of space".into(),
        StoreFault::Slow(by) => format!("a request took {} longer", time(*by)),
        StoreFault::Throttled(rate) => format!("a request was throttled to {rate} bytes/s"),
        StoreFault::StaleRead(age) => format!("a read saw the store as it was {} before", time(*age)),
        StoreFault::LaggingList(age) => format!("a listing saw the store as it was {} before", time(*age)),
    }
}
