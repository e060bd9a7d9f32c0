//! Folders on a node's own disk that go when they are no longer used.

use std::path::{Path, PathBuf};

use super::Env;

/// A folder that is removed when this is dropped, whatever the reason. What a dead node had on its disk stays as it was
/// when it died: dropping is what is done *to* its tasks.
#[derive(Debug)]
pub struct LocalFolder {
    path: PathBuf,
    owner: Option<Env>,
}

impl LocalFolder {
    /// A folder of nobody's, for tools.
    pub fn unowned(path: PathBuf) -> Self {
        Self { path, owner: None }
    }

    pub(super) fn new(path: PathBuf, owner: Env) -> Self {
        Self { path, owner: Some(owner) }
    }

    /// Where it is. Whoever is handed a new one makes it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in this one, which may go earlier.
    pub fn child(&self, name: &str) -> Self {
        Self { path: self.path.join(name), owner: self.owner.clone() }
    }
}

impl Drop for LocalFolder {
    fn drop(&mut self) {
        if self.owner.as_ref().is_some_and(Env::is_dead) {
            return;
        }
        match std::fs::remove_dir_all(&self.path) {
            Ok(()) => {}
            // Never made, or gone with the folder around it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!("{} stays behind: {error}", self.path.display()),
        }
    }
}
