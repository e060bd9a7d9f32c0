//! User code that fails on demand: what a fault has armed, kept until a record meets it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::plan::UserFailure;

/// What is armed in one run; clones share it.
#[derive(Debug, Clone, Default)]
pub struct UserCode(Arc<Mutex<Orders>>);

#[derive(Debug, Default)]
struct Orders {
    nodes: BTreeMap<String, UserFailure>,
    poison: BTreeMap<(u32, u64), Option<u32>>,
    hits: Vec<UserCodeHit>,
}

/// User code failed because it was told to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCodeHit {
    /// On which node.
    pub node: String,
    /// Split of the record that it was given.
    pub split: u32,
    /// Position of the record in the split, from 0.
    pub position: u64,
    /// How it failed.
    pub how: UserFailure,
    /// Because of the record ([`UserCode::poison`]), not of the node.
    pub poisoned: bool,
}

impl UserCode {
    /// User code on `node` fails once, at the next record.
    pub fn arm(&self, node: &str, how: UserFailure) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).nodes.insert(node.into(), how);
    }

    /// User code fails at this record, `times` times (`None`: always).
    pub fn poison(&self, split: u32, position: u64, times: Option<u32>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).poison.insert((split, position), times);
    }

    /// Takes every order back.
    pub fn disarm_all(&self) {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        orders.nodes.clear();
        orders.poison.clear();
    }

    /// Every failure so far, in order.
    pub fn hits(&self) -> Vec<UserCodeHit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).hits.clone()
    }
}
