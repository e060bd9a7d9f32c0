//! The planted bugs of a simulated world. Exists only under the feature `mutations`.

use std::sync::Mutex;

use super::{SimNode, SimWorld};
use crate::mutation::Mutation;

/// Those that are switched on.
pub(super) type Planted = Mutex<Vec<Mutation>>;

impl SimWorld {
    /// Switches bugs on, in every node.
    pub fn plant(&self, bugs: &[Mutation]) {
        self.planted.lock().expect("no panic inside").extend(bugs);
    }
}

impl SimNode {
    pub(in crate::env) fn mutated(&self, mutation: Mutation) -> bool {
        self.world.planted.lock().expect("no panic inside").contains(&mutation)
    }
}
