//! The planted bugs of a simulated world. Compiled only under the feature `mutations`.

use std::sync::{Arc, Mutex};

use super::{SimNode, SimWorld};
use crate::mutation::{Asked, Mutation};

/// The bugs that are switched on, and the record of the bugs that were consulted.
pub(super) type Planted = Mutex<(Vec<Mutation>, Arc<Asked>)>;

impl SimWorld {
    /// Switches bugs on in every node. `asked` records every question about any bug, switched on or not.
    pub fn plant(&self, bugs: &[Mutation], asked: &Arc<Asked>) {
        let mut planted = self.planted.lock().expect("no panic inside");
        planted.0.extend(bugs);
        planted.1 = asked.clone();
    }
}

impl SimNode {
    /// Whether a bug is switched on. `mistake` says that a yes leads to the mistake.
    pub(in crate::env) fn is_planted(&self, mutation: Mutation, mistake: bool) -> bool {
        let planted = self.world.planted.lock().expect("no panic inside");
        let is_on = planted.0.contains(&mutation);
        planted.1.about(mutation, is_on && mistake);
        is_on
    }
}
