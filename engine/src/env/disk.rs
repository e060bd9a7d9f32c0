//! Folders on a node's own disk.
//!
//! State on a local disk is never used again: an attempt begins in a [`LocalFolder`] of its own, from a checkpoint, and what
//! it leaves is removed, by itself if it ends in good order, else by the next life that finds it there. Start at
//! [`Env::fresh_folder`].

use std::io;
use std::path::{Path, PathBuf};

use super::Env;

/// A folder that goes with its owner.
pub struct LocalFolder {
    path: PathBuf,
    /// `None`: somebody else removes it.
    owner: Option<Env>,
}

impl LocalFolder {
    /// A folder that somebody else made, and will remove.
    pub fn borrowed(path: PathBuf) -> Self {
        Self { path, owner: None }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LocalFolder {
    fn drop(&mut self) {
        // A killed process cleans nothing up.
        let Some(env) = self.owner.as_ref().filter(|env| !env.was_struck()) else { return };
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            env.warn(format_args!("local state in {} stays behind: {error}", self.path.display()));
        }
    }
}

impl Env {
    /// An empty folder on this node's own disk; `name` is used once in a life. What former lives left there is removed.
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
        // Not `create_dir_all`: a folder in use would be shared silently.
        std::fs::create_dir(&path)?;
        Ok(LocalFolder { path, owner: Some(self.clone()) })
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::super::sim::tests::{Idle, config, ms, pause, simulate};
    use super::super::sim::{Death, SimConfig};

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
