//! Reading and appending to the log, over a store that may fail, tear a write, answer an error for what it did, or show what it
//! held a while ago.
//!
//! One rule covers all of that: *create, then look*. Whatever the store answered to the creation, what stands at the number
//! afterwards decides: my bytes, another's entry, or an unreadable rest of a torn write, over which the log goes on at the next
//! number. An unreadable entry was never acted upon, since its writer looked, too (H1). A whole entry of another format version
//! is another's entry: its writer acts upon it, so nobody here goes on behind it.

use std::time::Duration;

use bytes::Bytes;

use super::entry::{FOLDER, HaEntry, path, sequence_at};
use crate::checkpoint::manifest::{DecodeError, OtherVersion};
use crate::env::{Env, GaveUp, Store, StoreError, Trouble};

/// First pause before the store is asked again.
const RETRY: Duration = Duration::from_millis(20);
/// Longest pause between two requests.
const RETRY_MAX: Duration = Duration::from_millis(500);
/// An object that a listing names, and that cannot be read so often in a row, is an error for the caller to handle.
const READ_TRIES: u32 = 5;

/// What came of appending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It stands in the log, under this number.
    Written(u64),
    /// Another's entry stands at its number: whoever wanted to write does not lead.
    Fenced,
}

/// Why the log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Ask again: the store may answer later.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another release of the engine leads this job, or led it last: it is not for this one to go on.
    #[error(transparent)]
    OtherVersion(#[from] OtherVersion),
}

/// The entry in these bytes; `None`: a torn write.
fn whole(bytes: &[u8], path: &str) -> Result<Option<HaEntry>, OtherVersion> {
    match HaEntry::decode(bytes, path) {
        Ok(entry) => Ok(Some(entry)),
        Err(DecodeError::Damaged(_)) => Ok(None),
        Err(DecodeError::OtherVersion(other)) => Err(other),
    }
}

/// What stands at a number after an attempt to create it.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Mine,
    Others,
    /// A torn write; nobody acted upon it.
    Unreadable,
    /// Nothing, or nothing that can be seen yet: try again.
    Nothing,
}

fn look(mine: &Bytes, found: Result<Bytes, StoreError>, path: &str) -> Found {
    match found {
        Ok(bytes) if bytes == *mine => Found::Mine,
        Ok(bytes) if whole(&bytes, path) == Ok(None) => Found::Unreadable,
        Ok(_) => Found::Others,
        Err(_) => Found::Nothing,
    }
}

/// Appends `entry` at its number, or behind torn writes. Returns when that is certain, or when the store has failed for so
/// long that whether the entry will ever stand there is left open.
pub async fn append(env: &Env, store: &Store, mut entry: HaEntry) -> Result<Appended, GaveUp> {
    let mut trouble = Trouble::new("writing the leadership log", RETRY);
    loop {
        let (path, mine) = (path(entry.sequence), entry.encode());
        let created = store.create(&path, mine.clone()).await;
        match look(&mine, store.get(&path).await, &path) {
            Found::Mine => {
                trouble.over(env);
                return Ok(Appended::Written(entry.sequence));
            }
            Found::Others => return Ok(Appended::Fenced),
            Found::Unreadable => {
                env.warn(format_args!("{path} is unreadable; the log goes on behind it"));
                entry.sequence += 1;
            }
            Found::Nothing => {
                let cause = created.err().map_or("it cannot be read back".to_owned(), |error| error.to_string());
                trouble.wait(env, cause).await?;
            }
        }
    }
}

/// The log as far as it is known.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// The highest number seen, readable or not; 0: none.
    pub tail: u64,
    /// The newest readable entry.
    pub newest: Option<HaEntry>,
}

impl Log {
    /// Looks for the end of the log. Listings may lag; whoever appends finds out ([`append`]).
    pub async fn find(env: &Env, store: &Store) -> Result<Self, LogError> {
        let listed = store.list(FOLDER).await?;
        let mut numbers: Vec<u64> = listed.iter().filter_map(|(path, _)| sequence_at(path)).collect();
        numbers.sort_unstable();
        let mut log = Self { tail: numbers.last().copied().unwrap_or(0), newest: None };
        for number in numbers.into_iter().rev() {
            if let Some(entry) = read_listed(env, store, number).await? {
                log.newest = Some(entry);
                break;
            }
        }
        log.advance(store).await?;
        Ok(log)
    }

    /// Reads on from where it stands; whether there was anything.
    pub async fn advance(&mut self, store: &Store) -> Result<bool, LogError> {
        let before = self.tail;
        loop {
            let path = path(self.tail + 1);
            let bytes = match store.get(&path).await {
                Ok(bytes) => bytes,
                Err(StoreError::NotFound { .. }) => return Ok(self.tail > before),
                Err(error) => return Err(error.into()),
            };
            let entry = whole(&bytes, &path)?;
            self.tail += 1;
            if entry.is_some() {
                self.newest = entry;
            }
        }
    }

    /// Whether an entry beyond `sequence` is listed: then one written there stands in a hole, and says nothing.
    pub async fn has_beyond(store: &Store, sequence: u64) -> Result<bool, StoreError> {
        let listed = store.list(FOLDER).await?;
        Ok(listed.iter().filter_map(|(path, _)| sequence_at(path)).any(|number| number > sequence))
    }
}

/// An entry that a listing names; `None` if it is a torn write. To take one for missing because it cannot be seen *yet* would
/// forget a completed checkpoint.
async fn read_listed(env: &Env, store: &Store, number: u64) -> Result<Option<HaEntry>, LogError> {
    let path = path(number);
    let mut pause = RETRY;
    let mut unreadable = false;
    for tries in 1.. {
        match store.get(&path).await {
            Ok(bytes) => match whole(&bytes, &path)? {
                Some(entry) => return Ok(Some(entry)),
                // Twice the same answer: it is the file, not the reading.
                None if unreadable => return Ok(None),
                None => unreadable = true,
            },
            Err(error) if tries >= READ_TRIES => return Err(error.into()),
            Err(_) => {}
        }
        env.sleep(pause).await;
        pause = (pause * 2).min(RETRY_MAX);
    }
    unreachable!("the loop has no other end")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ha::entry::tests::entry;
    use crate::ids::Term;

    #[test]
    fn what_stands_at_the_number_decides() {
        let mine = entry(3).encode();
        let missing = || Err(StoreError::NotFound { path: "ha/00000003".into() });
        assert_eq!(look(&mine, Ok(mine.clone()), "p"), Found::Mine);
        let others = HaEntry { term: Term(9), ..entry(3) }.encode();
        assert_eq!(look(&mine, Ok(others), "p"), Found::Others);
        assert_eq!(look(&mine, Ok(entry(3).encode_as_next_version()), "p"), Found::Others);
        assert_eq!(look(&mine, Ok(mine.slice(..mine.len() / 2)), "p"), Found::Unreadable);
        assert_eq!(look(&mine, missing(), "p"), Found::Nothing);
    }
}
