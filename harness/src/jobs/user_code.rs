//! User code that fails on demand: what a fault has armed, kept until a record meets it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::plan::UserFailure;

/// What is armed in one run; clones share it.
#[derive(Debug, Clone, Default)]
pub struct UserCode(Arc<Mutex<Armed>>);

#[derive(Debug, Default)]
struct Armed {
    nodes: BTreeMap<String, UserFailure>,
    poison: BTreeMap<(u32, u64), Option<u32>>,
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
}
