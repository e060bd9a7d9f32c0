//! A survey: what happened in a run that strikes will be aimed at, namely its events, and the messages and writes that
//! rules can hurt one by one.
//!
//! It is made in the worker, which has the outcome. Positions are made of it ([`super::position`]).

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
    /// The survey of a run. A run that did not note its traffic has no messages and writes here.
    pub fn of(events: Vec<EventRecord>, traffic: Option<Traffic>) -> Self {
        Self { events, traffic: traffic.unwrap_or_default() }
    }

    /// Nodes on which subtasks were deployed.
    pub fn busy(&self) -> BTreeSet<String> {
        let ran = self.events.iter().filter(|record| matches!(record.event, Event::RestoreBegun { .. }));
        ran.map(|record| record.node.to_string()).collect()
    }
}
