//! Names of files that come from outside: from a manifest or a message. Each name leads to one place in its own store.
//!
//! A manifest with a correct hash may still have been written by somebody else. If a restore joined a name such as
//! `../../.bashrc` to a folder unchecked, it would write outside of that folder. So a name is a type of its own, and
//! the checks in this file are the only way to make one: code that holds such a name cannot forget the check.
//!
//! Invariants: (PATH-1) a [`StateFileName`] is one component of letters, digits, `.`, `_` and `-`, and does not begin
//! with `.`; (PATH-2) a [`StateFilePath`] is `chk-N/component`, a [`PendingPath`] is `.pending/v-i/component`: neither
//! leaves its store, nor the part of the store that the name is for.

use std::fmt;
use std::ops::Deref;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::env::StoreError;
use crate::ids::{CheckpointId, SubtaskId, VertexId};

/// Longest component: file systems allow 255 bytes, and a store may append a suffix while it writes.
const COMPONENT_BYTES_MAX: usize = 200;
/// Characters of a refused name that an error message shows.
const SHOWN_MAX: usize = 60;
/// Folder of everything in the output store that consumers must not read.
pub const PENDING: &str = ".pending";

/// A name that does not stay where it belongs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name {} {what}", shown(.name))]
pub struct BadName {
    name: String,
    what: &'static str,
}

/// The name in a form that is safe to print: escaped, and cut to a readable length.
fn shown(name: &str) -> String {
    match name.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{:?}… ({} bytes)", &name[..end], name.len()),
        None => format!("{name:?}"),
    }
}

/// Checks one component of a path; the error says what is wrong with it.
fn component(name: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name {
        "" => Err("is empty"),
        _ if name.len() > COMPONENT_BYTES_MAX => Err("is longer than 200 bytes"),
        _ if name.contains('/') => Err("leads into another folder"),
        _ if name.starts_with('.') => Err("begins with `.`"),
        _ if !name.chars().all(plain) => Err("holds more than letters, digits, `.`, `_` and `-`"),
        _ => Ok(()),
    }
}

/// A number as these names spell it: decimal digits only, of any width.
fn number<T: std::str::FromStr>(digits: &str) -> Option<T> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(name: String) -> Result<Self, BadName> {
                match Self::check(&name) {
                    Ok(()) => Ok(Self(name)),
                    Err(what) => Err(BadName { name, what }),
                }
            }
        }

        impl $name {
            /// Checks the name.
            pub fn new(name: impl Into<String>) -> Result<Self, BadName> {
                name.into().try_into()
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name that a backend gives to one of its files: a single component, so that it can be joined to a folder.
    StateFileName
);
name!(
    /// The path of a state file in the checkpoint store: in the folder of a checkpoint.
    StateFilePath
);
name!(
    /// The path in the output store of output that waits for its commit: in the pending folder of a subtask.
    PendingPath
);

impl From<BadName> for StoreError {
    /// A store that returned an object of such a name did not do what it was asked.
    fn from(bad: BadName) -> Self {
        Self::Failed { path: shown(&bad.name), cause: bad.what.into() }
    }
}

impl AsRef<Path> for StateFileName {
    /// A state file's name may be joined to any folder (PATH-1).
    fn as_ref(&self) -> &Path {
        self.0.as_ref()
    }
}

impl StateFileName {
    fn check(name: &str) -> Result<(), &'static str> {
        component(name)
    }
}

impl StateFilePath {
    fn check(path: &str) -> Result<(), &'static str> {
        let (folder, name) = path.split_once('/').ok_or("is in no folder of a checkpoint")?;
        checkpoint_of(folder).ok_or("is in no folder of a checkpoint")?;
        component(name)
    }

    /// The checkpoint whose folder holds the file.
    pub fn checkpoint(&self) -> CheckpointId {
        self.0.split_once('/').and_then(|(folder, _)| checkpoint_of(folder)).expect("PATH-2")
    }
}

impl PendingPath {
    fn check(path: &str) -> Result<(), &'static str> {
        let (folder, name) = path.rsplit_once('/').ok_or("is in no folder of pending output")?;
        pending_owner(folder).ok_or("is in no folder of pending output")?;
        component(name)
    }

    /// The subtask whose folder holds the file.
    pub fn owner(&self) -> SubtaskId {
        self.0.rsplit_once('/').and_then(|(folder, _)| pending_owner(folder)).expect("PATH-2")
    }
}

/// The checkpoint that the folder `chk-N` belongs to.
pub fn checkpoint_of(folder: &str) -> Option<CheckpointId> {
    folder.strip_prefix("chk-").and_then(number).map(CheckpointId).filter(|id| *id <= CheckpointId::MAX)
}

/// The subtask that the folder `.pending/v-i` belongs to.
fn pending_owner(folder: &str) -> Option<SubtaskId> {
    let (vertex, index) = folder.strip_prefix(PENDING)?.strip_prefix('/')?.split_once('-')?;
    Some(SubtaskId { vertex: VertexId(number(vertex)?), index: number(index)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ways out of a folder, and names that no writer of this engine gives.
    const HOSTILE: [&str; 17] = [
        "",
        ".",
        "..",
        "/",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a/b",
        "a\0b",
        "a\nb",
        "a\\b",
        ".hidden",
        "~",
        "C:",
        "na\u{ef}ve",
        "a#1",
        "%2e%2e",
    ];

    #[test]
    fn hostile_names_are_no_names_of_state_files() {
        for name in HOSTILE {
            assert!(StateFileName::new(name).is_err(), "PATH-1: {name:?}");
        }
        assert!(StateFileName::new("a".repeat(201)).is_err());
        for name in ["heap", "000012.sst", "MANIFEST-000005", "CURRENT", "a..b"] {
            assert_eq!(&*StateFileName::new(name).unwrap(), name);
        }
    }

    #[test]
    fn hostile_paths_do_not_leave_their_store() {
        for name in HOSTILE {
            for path in [name.to_owned(), format!("chk-1/{name}"), format!(".pending/1-0/{name}")] {
                assert!(StateFilePath::new(path.clone()).is_err(), "PATH-2: {path:?}");
                assert!(PendingPath::new(path.clone()).is_err(), "PATH-2: {path:?}");
            }
        }
        let others =
            ["chk-/x", "chk--1/x", "chk-+1/x", "chk-99999999999999999999/x", "ha/00000001", "xchk-1/x", "chk-1"];
        others.iter().for_each(|path| assert!(StateFilePath::new(*path).is_err(), "{path}"));
        let others = [".pending/x", ".pending/1/x", ".pending/1-/x", ".pending/1-0/0/x", ".pending/../1-0/x", "1-0/x"];
        others.iter().for_each(|path| assert!(PendingPath::new(*path).is_err(), "{path}"));
        let committed = "part-1-0-00000001-0000.txt";
        assert!(PendingPath::new(committed).is_err(), "committed output never gets another name");
    }

    #[test]
    fn paths_know_whose_they_are() {
        let path = StateFilePath::new("chk-00000012/1-3-2-7-heap.2").unwrap();
        assert_eq!(path.checkpoint(), CheckpointId(12));
        let path = PendingPath::new(".pending/1-3/000001-000001-00000000.2").unwrap();
        assert_eq!(path.owner(), SubtaskId { vertex: VertexId(1), index: 3 });
    }

    #[test]
    fn a_refusal_shows_the_name_so_that_it_harms_no_terminal() {
        let refused = |name: &str| StateFileName::new(name).unwrap_err().to_string();
        assert_eq!(refused("../x"), r#"the name "../x" leads into another folder"#);
        assert_eq!(refused("\u{1b}[2J"), r#"the name "\u{1b}[2J" holds more than letters, digits, `.`, `_` and `-`"#);
        assert!(refused(&"é".repeat(5_000)).len() < 300);
    }
}
