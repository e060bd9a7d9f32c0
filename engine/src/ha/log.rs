//! Reads and appends to the log, over a store that may fail, tear a write, report an error for a write that took
//! effect, or show an older state.
//!
//! One rule covers all of that: *create, then look*. Whatever the store answered to the creation, the object that
//! stands at the place afterwards decides. It is this writer's entry, another writer's entry, or the unreadable rest
//! of a torn write, behind which the log continues. Nobody ever acted upon an unreadable entry, because its writer
//! looked, too (H1). A whole entry of another format version counts as another writer's entry: its writer acts upon
//! it, so nobody here may continue behind it.

use std::time::Duration;

use bytes::Bytes;

use super::entry::{Change, HaEntry};
use super::position::{FOLDER, Position, between_ends};
use crate::checkpoint::manifest::{DecodeError, OtherVersion};
use crate::env::{Env, GaveUp, Store, StoreError, Trouble};

#[cfg(feature = "mutations")]
mod planted;

/// First pause before the store is asked again.
const RETRY: Duration = Duration::from_millis(20);
/// Longest pause between two requests.
const RETRY_MAX: Duration = Duration::from_millis(500);
/// After this many failed reads in a row of an object that a listing names, the error goes to the caller.
const READ_TRIES: u32 = 5;

/// The result of appending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// The entry stands in the log, at this position.
    Written(Position),
    /// Another writer's entry stands in its place, so this writer does not lead.
    Fenced,
}

/// Why the log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The store failed, but may answer later: ask again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another release of the engine leads this job, or led it last; this release must not continue it.
    #[error(transparent)]
    OtherVersion(#[from] OtherVersion),
}

/// Decodes an entry; `None` for a torn write.
fn whole(bytes: &[u8], path: &str) -> Result<Option<HaEntry>, OtherVersion> {
    match HaEntry::decode(bytes, path) {
        Ok(entry) => Ok(Some(entry)),
        Err(DecodeError::Damaged(_)) => Ok(None),
        Err(DecodeError::OtherVersion(other)) => Err(other),
    }
}

/// The object at a position after an attempt to create it.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Mine,
    Others,
    /// A torn write, which nobody acted upon.
    Unreadable,
    /// No object, or none that can be seen yet: try again.
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

/// Appends `entry` at its position, or behind torn writes there. Returns when the result is certain. Gives up when the
/// store has failed for too long; then it is open whether the entry will ever stand there.
pub async fn append(env: &Env, store: &Store, mut entry: HaEntry) -> Result<Appended, GaveUp> {
    let mut trouble = Trouble::new("writing the leadership log", RETRY);
    loop {
        let (path, mine) = (entry.position.path(), entry.encode());
        let created = store.create(&path, mine.clone()).await;
        let found = look(&mine, store.get(&path).await, &path);
        #[cfg(feature = "mutations")]
        let found = planted::found(env, found);
        match found {
            Found::Mine => {
                trouble.over(env);
                return Ok(Appended::Written(entry.position));
            }
            Found::Others => return Ok(Appended::Fenced),
            Found::Unreadable => {
                env.warn(format_args!("{path} is unreadable; the log goes on behind it"));
                entry.position = entry.position.behind_torn();
            }
            Found::Nothing => {
                let cause = created.err().map_or("it cannot be read back".to_owned(), |error| error.to_string());
                trouble.wait(env, cause).await?;
            }
        }
    }
}

/// Appends `entry` after `last`, the writer's own last entry; closes the segment first if it is long enough.
pub async fn append_behind(env: &Env, store: &Store, last: &HaEntry, entry: HaEntry) -> Result<Appended, GaveUp> {
    let mut position = last.next_position();
    if last.position.is_long_enough() {
        let closing = HaEntry { position, change: Change::Closed, ..last.clone() };
        match append(env, store, closing).await? {
            Appended::Written(closed) => position = closed.next_segment(),
            Appended::Fenced => return Ok(Appended::Fenced),
        }
    }
    append(env, store, HaEntry { position, ..entry }).await
}

/// Removes the entries between both ends of each segment before `leading` (H3). Several leaders may do so at once.
pub async fn remove_segments_before(store: &Store, leading: u64) -> Result<(), LogError> {
    let listed = store.list(FOLDER).await?;
    let listed = listed.iter().filter_map(|(path, _)| Position::at(path));
    for mut between in between_ends(listed, leading) {
        // Torn writes may belong to the end of the segment. Entries that are gone were removed by another leader.
        while let Some(last) = between.last().copied() {
            let is_entry = match get(store, last).await? {
                Some((position, bytes)) => whole(&bytes, &position.path())?.is_some(),
                None => false,
            };
            if is_entry {
                break;
            }
            between.pop();
        }
        for position in between {
            store.delete(&position.path()).await?;
        }
    }
    Ok(())
}

/// The log as far as this reader knows it.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// The last position that was seen, readable or not.
    pub tail: Option<Position>,
    /// The newest readable entry.
    pub newest: Option<HaEntry>,
    /// Whether the last look found nothing new.
    silent: bool,
}

impl Log {
    /// Finds the end of the log. Listings may lag; then [`append`] finds out.
    pub async fn find(env: &Env, store: &Store) -> Result<Self, LogError> {
        let listed = store.list(FOLDER).await?;
        let mut positions = Vec::new();
        for (path, _) in &listed {
            match Position::at(path) {
                Some(position) => positions.push(position),
                // Former releases named their entries differently.
                None => drop(read_listed(env, store, path).await?),
            }
        }
        positions.sort_unstable();
        // A listing may lag, so the first look is as thorough as one after silence.
        let mut log = Self { tail: positions.last().copied(), newest: None, silent: true };
        for position in positions.into_iter().rev() {
            if let Some(entry) = read_listed(env, store, &position.path()).await? {
                log.newest = Some(entry);
                break;
            }
        }
        log.advance(store).await?;
        Ok(log)
    }

    /// Where the next entry would stand.
    pub fn end(&self) -> Position {
        match (self.tail, &self.newest) {
            (None, _) => Position::FIRST,
            (Some(tail), Some(newest)) if newest.position == tail => newest.next_position(),
            (Some(tail), _) => tail.behind_torn(),
        }
    }

    /// Reads on from the last known position; returns whether there was anything.
    ///
    /// In a segment that is over, the next entry may have been removed, but the first entry of the next segment stays.
    /// This concerns only a reader that is a whole segment behind. So the next segment is looked at only after a look
    /// has found nothing.
    pub async fn advance(&mut self, store: &Store) -> Result<bool, LogError> {
        let (before, thorough) = (self.tail, self.silent && self.tail.is_some());
        loop {
            let end = self.end();
            let next = match get(store, end).await? {
                None if thorough => get(store, end.next_segment()).await?,
                found => found,
            };
            let Some((position, bytes)) = next else {
                self.silent = self.tail == before;
                return Ok(!self.silent);
            };
            let entry = whole(&bytes, &position.path())?;
            self.tail = Some(position);
            if entry.is_some() {
                self.newest = entry;
            }
        }
    }

    /// Whether an entry beyond `position` is listed. An entry written at `position` would then stand in a hole and not
    /// count.
    pub async fn has_beyond(store: &Store, position: Position) -> Result<bool, StoreError> {
        let listed = store.list(FOLDER).await?;
        Ok(listed.iter().filter_map(|(path, _)| Position::at(path)).any(|other| other > position))
    }
}

/// The object at a position, if there is one.
async fn get(store: &Store, position: Position) -> Result<Option<(Position, Bytes)>, StoreError> {
    match store.get(&position.path()).await {
        Ok(bytes) => Ok(Some((position, bytes))),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads an entry that a listing names; `None` if it is a torn write. If an entry that cannot be seen *yet* counted as
/// missing, a completed checkpoint could be forgotten.
async fn read_listed(env: &Env, store: &Store, path: &str) -> Result<Option<HaEntry>, LogError> {
    let mut pause = RETRY;
    let mut unreadable = false;
    for tries in 1.. {
        match store.get(path).await {
            Ok(bytes) => match whole(&bytes, path)? {
                Some(entry) => return Ok(Some(entry)),
                // Two reads gave the same answer, so the file itself is torn.
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
        let missing = || Err(StoreError::NotFound { path: entry(3).position.path() });
        assert_eq!(look(&mine, Ok(mine.clone()), "p"), Found::Mine, "H1");
        let others = HaEntry { term: Term(9), ..entry(3) }.encode();
        assert_eq!(look(&mine, Ok(others), "p"), Found::Others);
        assert_eq!(look(&mine, Ok(entry(3).encode_as_next_version()), "p"), Found::Others);
        assert_eq!(look(&mine, Ok(mine.slice(..mine.len() / 2)), "p"), Found::Unreadable);
        assert_eq!(look(&mine, missing(), "p"), Found::Nothing, "H1: what cannot be read back does not count");
    }
}

#[cfg(all(test, feature = "sim"))]
mod on_a_store {
    use super::*;
    use crate::env::StoreKind;
    use crate::env::sim::testing::on_one_node;
    use crate::ha::entry::tests::entry;
    use crate::ids::Term;

    fn at(segment: u64, number: u64) -> Position {
        Position { segment, number }
    }

    /// Writes so many entries after `last`, each with its own attempt number.
    async fn write(env: &Env, store: &Store, mut last: HaEntry, entries: u32) -> HaEntry {
        for _ in 0..entries {
            let mut next = HaEntry { change: Change::Renewed, ..last.clone() };
            next.state.attempt = next.state.attempt.next();
            match append_behind(env, store, &last, next.clone()).await {
                Ok(Appended::Written(position)) => last = HaEntry { position, ..next },
                other => panic!("{other:?}"),
            }
        }
        last
    }

    async fn left(store: &Store) -> Vec<Position> {
        store.list(FOLDER).await.unwrap().iter().filter_map(|(path, _)| Position::at(path)).collect()
    }

    #[test]
    fn of_segments_that_are_over_both_ends_are_left_and_readers_of_long_ago_arrive_at_the_end() {
        on_one_node(|_, env| async move {
            let store = env.store(StoreKind::Checkpoints);
            let first = HaEntry { position: Position::FIRST, ..entry(0) };
            assert_eq!(append(&env, &store, first.clone()).await, Ok(Appended::Written(Position::FIRST)));
            let early = Log::find(&env, &store).await.unwrap();
            let middle = write(&env, &store, first, 8).await;
            let later = Log::find(&env, &store).await.unwrap();
            let newest = write(&env, &store, middle.clone(), 42).await;
            // Segments of 16 and 32 entries, and the entries that close them.
            assert_eq!(newest.position, at(3, 2));
            remove_segments_before(&store, 3).await.unwrap();
            let ends = [at(1, 0), at(1, 16), at(2, 0), at(2, 32), at(3, 0), at(3, 1), at(3, 2)];
            assert_eq!(left(&store).await, ends);
            for mut log in [Log::default(), early.clone(), later] {
                // A first look may find nothing in a segment that is over; the second look in a row also tries the
                // next segment.
                let mut in_vain = 0;
                while in_vain < 2 {
                    in_vain = if log.advance(&store).await.unwrap() { 0 } else { in_vain + 1 };
                }
                assert_eq!((log.newest.as_ref(), log.end()), (Some(&newest), at(3, 3)));
            }
            // A leader of long ago is fenced; a process that closes that segment finds the next one begun.
            let term = Term(2);
            let leader = HaEntry { position: at(1, 16), ..middle };
            assert_eq!(append(&env, &store, leader.clone()).await, Ok(Appended::Fenced));
            let closing = HaEntry { position: early.end(), change: Change::Closed, term, ..leader.clone() };
            assert_eq!(
                append(&env, &store, closing).await,
                Ok(Appended::Written(at(1, 1))),
                "in a segment that is over"
            );
            let opening = HaEntry { position: at(2, 0), change: Change::Opened, term, ..leader };
            assert_eq!(append(&env, &store, opening).await, Ok(Appended::Fenced));
            assert_eq!(Log::find(&env, &store).await.unwrap().newest, Some(newest));
            remove_segments_before(&store, 3).await.unwrap();
            assert_eq!(left(&store).await, ends);
        });
    }

    #[test]
    fn torn_writes_before_the_end_of_a_segment_stay_and_a_torn_first_entry_makes_it_none() {
        on_one_node(|_, env| async move {
            let store = env.store(StoreKind::Checkpoints);
            let first = HaEntry { position: Position::FIRST, ..entry(0) };
            append(&env, &store, first.clone()).await.unwrap();
            let torn = |position: Position| store.create_at(position);
            let last = write(&env, &store, first, 2).await;
            assert!(torn(at(1, 3)).await && torn(at(2, 0)).await);
            let closing = HaEntry { position: at(1, 3), change: Change::Closed, ..last.clone() };
            assert_eq!(append(&env, &store, closing).await, Ok(Appended::Written(at(1, 4))));
            let opening = HaEntry { position: at(2, 0), change: Change::Opened, ..last.clone() };
            assert_eq!(append(&env, &store, opening).await, Ok(Appended::Written(at(3, 0))));
            assert_eq!(Log::find(&env, &store).await.unwrap().end(), at(3, 1));
            remove_segments_before(&store, 3).await.unwrap();
            assert_eq!(left(&store).await, [at(1, 0), at(1, 3), at(1, 4), at(2, 0), at(3, 0)]);
            // The place of the former leader's next entry is torn, so the leader finds the end behind it.
            assert_eq!(append_behind(&env, &store, &last, last.clone()).await, Ok(Appended::Fenced));
        });
    }

    /// A standby whose clock runs ahead tries to lead while the leader lives; both write at once.
    #[test]
    fn whoever_creates_the_next_entry_leads_whatever_the_clocks_say() {
        on_one_node(|_, env| async move {
            let store = env.store(StoreKind::Checkpoints);
            let first = HaEntry { position: Position::FIRST, ..entry(0) };
            append(&env, &store, first.clone()).await.unwrap();
            let position = first.next_position();
            let renewing = HaEntry { position, change: Change::Renewed, ..first.clone() };
            let closing = HaEntry { position, change: Change::Closed, leader: "early".into(), ..first };
            let both = [append(&env, &store, closing), append(&env, &store, renewing.clone())];
            let lead: Vec<bool> = futures::future::join_all(both)
                .await
                .into_iter()
                .map(|appended| matches!(appended, Ok(Appended::Written(_))))
                .collect();
            assert_eq!(lead.iter().filter(|leads| **leads).count(), 1, "H2: {lead:?}");
            let newest = Log::find(&env, &store).await.unwrap().newest.unwrap();
            assert_eq!(lead[1], newest.leader == renewing.leader, "H2: the log says who");
        });
    }

    impl Store {
        /// Leaves a torn write; returns whether the place was free.
        async fn create_at(&self, position: Position) -> bool {
            self.create(&position.path(), entry(0).encode().slice(..20)).await.unwrap()
        }
    }
}
