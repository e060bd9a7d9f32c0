//! Folders on a node's own disk that are removed when they are no longer used.
//!
//! Local state is never reused: an attempt begins in a new [`LocalFolder`], with state from a checkpoint. The folder
//! is removed when the attempt ends in good order, otherwise by the next life of the node that finds it. Start at
//! [`Env::fresh_folder`].

use std::io;
use std::path::{Path, PathBuf};

use super::Env;

/// A folder that is removed when this value is dropped. The disk of a node that was struck stays as it was at its
/// death: its tasks are dropped from outside, so these drops must not change anything.
#[derive(Debug)]
pub struct LocalFolder {
    path: PathBuf,
    owner: Option<Env>,
}

impl LocalFolder {
    /// A folder that belongs to no node, for tools.
    pub fn unowned(path: PathBuf) -> Self {
        Self { path, owner: None }
    }

    /// The path. The folder of [`Env::fresh_folder`] exists already; a [`child`](Self::child) is created by its user.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs short work on the contents of this folder under the real clock.
    ///
    /// RocksDB compares its caller's clock with the clock of its own threads when a database is opened. A virtual
    /// clock lies years behind, and opening would fail now and then.
    pub fn on_real_clock<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match &self.owner {
            Some(env) => env.on_real_clock(work),
            None => work(),
        }
    }

    /// A folder inside this one, which may be removed earlier.
    pub fn child(&self, name: &str) -> Self {
        Self { path: self.path.join(name), owner: self.owner.clone() }
    }
}

impl Drop for LocalFolder {
    fn drop(&mut self) {
        if self.owner.as_ref().is_some_and(Env::was_struck) {
            return;
        }
        match std::fs::remove_dir_all(&self.path) {
            Ok(()) => {}
            // The folder was never created, or was removed together with its parent.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!("{} stays behind: {error}", self.path.display()),
        }
    }
}

impl Env {
    /// Creates an empty folder on this node's own disk; a `name` may be used once in a life. Removes what former lives
    /// left there.
    pub fn fresh_folder(&self, name: &str) -> io::Result<LocalFolder> {
        let root = self.local_folder()?;
        let mine = format!("life-{}", self.incarnation());
        for entry in std::fs::read_dir(&root)? {
            let entry = entry?;
            let life = entry.file_name();
            if life != *mine && life.to_string_lossy().starts_with("life-") {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        let path = root.join(mine).join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(&root))?;
        // Not `create_dir_all`, which would silently share a folder that is in use.
        std::fs::create_dir(&path)?;
        Ok(LocalFolder { path, owner: Some(self.clone()) })
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::super::sim::SimConfig;
    use super::super::sim::tests::{Idle, config, ms, pause, simulate};
    use crate::fault::Death;

    #[test]
    fn a_folder_goes_with_its_owner_but_a_killed_process_leaves_it_to_the_next_life() {
        let root = tempfile::tempdir().unwrap();
        let config = SimConfig { local_root: root.path().to_owned(), ..config() };
        simulate(1, config, |world| async move {
            let node = Idle::add(&world, "a");
            let first = node.env();
            let folder = first.fresh_folder("1-1").unwrap();
            assert!(first.fresh_folder("1-1").is_err(), "it is in use");
            let ended = first.fresh_folder("1-2").unwrap();
            let gone = ended.path().to_owned();
            drop(ended);
            assert!(folder.path().is_dir() && !gone.exists());
            std::fs::write(folder.path().join("CURRENT"), "state").unwrap();
            let left = folder.path().to_owned();

            world.kill("a", Death::Crash);
            drop(folder);
            assert!(left.join("CURRENT").exists(), "V1: destructors of the dead included");
            pause(ms(1)).await;
            world.restart_with_disk("a");
            assert_eq!(node.env().local_folder().unwrap(), first.local_folder().unwrap());
            assert!(left.join("CURRENT").exists(), "the disk is kept, contents and all");
            let fresh = node.env().fresh_folder("1-1").unwrap();
            assert!(fresh.path().read_dir().unwrap().next().is_none(), "nothing of it is used");
            assert!(!left.exists(), "and it does not stay for ever");

            world.kill("a", Death::Crash);
            pause(ms(1)).await;
            world.restart("a");
            let wiped = node.env().local_folder().unwrap();
            assert!(wiped != first.local_folder().unwrap() && wiped.read_dir().unwrap().next().is_none());
            world.kill("a", Death::MachineLoss);
            pause(ms(1)).await;
            world.restart_with_disk("a");
            assert_eq!(node.env().local_folder().unwrap(), wiped, "the disk of the life before");
        });
    }
}
