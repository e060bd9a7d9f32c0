//! A world for model checking: its store answers by a script, and waiting takes no time. Exists only in tests of this
//! crate.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;

use super::tokio::TokioWorld;
use super::{Env, Inner, Secret, World};
use crate::ids::NodeName;
use crate::mutation::Mutation;

/// What a scripted world adds to a real one.
pub(super) struct Scripted {
    #[cfg_attr(not(feature = "mutations"), expect(dead_code, reason = "only planted bugs ask"))]
    planted: Vec<Mutation>,
}

impl Env {
    /// The world of one life of a node, with one store for both purposes and with these bugs planted.
    pub(crate) fn scripted(
        node: NodeName,
        incarnation: u32,
        store: Arc<dyn ObjectStore>,
        planted: Vec<Mutation>,
    ) -> Self {
        let nowhere = ([127, 0, 0, 1], 0).into();
        let world = TokioWorld::new(nowhere, Secret::of([0; 32]), store.clone(), store, PathBuf::new(), |_| {});
        let scripted = Some(Scripted { planted });
        Self(Arc::new(Inner { node, incarnation, seed: 0, world: World::Tokio(world), scripted }))
    }

    pub(super) fn is_scripted(&self) -> bool {
        self.0.scripted.is_some()
    }

    #[cfg(feature = "mutations")]
    pub(super) fn scripted_bugs(&self) -> &[Mutation] {
        self.0.scripted.as_ref().map_or(&[], |scripted| &scripted.planted)
    }
}
