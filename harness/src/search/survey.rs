//! What happened in a run that others will be aimed at: its events, and the messages and writes that rules can hurt one by one.
//!
//! Made in the worker, where the outcome is; positions are made of it ([`super::position`]).

use std::collections::BTreeSet;

use flowquake_engine::env::sim::Traffic;
use flowquake_engine::event::{Event, EventRecord};
use serde::{Deserialize, Serialize};

/// Everything that a search aims at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// Every event, in order.
    pub events: Vec<EventRecord>,
    /// Every control message and every write.
    pub traffic: Traffic,
}

impl Survey {
    /// Of a run that noted its traffic; one that did not has none.
    pub fn of(events: Vec<EventRecord>, traffic: Option<Traffic>) -> Self {
        Self { events, traffic: traffic.unwrap_or_default() }
    }

    /// Nodes on which subtasks were deployed.
    pub fn busy(&self) -> BTreeSet<String> {
        let ran = self.events.iter().filter(|record| matches!(record.event, Event::RestoreBegun { .. }));
        ran.map(|record| record.node.to_string()).collect()
    }
}
