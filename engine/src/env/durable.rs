//! Writes and reads that check the store's answers.
//!
//! An answer may be wrong in three ways: an error although the write took effect, a success although the bytes are
//! torn, or a read that shows an older state. Against all three it helps that objects are written once. Reading an
//! object back shows what is stored; writing it again, which does not depend on older contents, shows whether anything
//! is. Start at [`put_durably`]. [`upload`] is for objects whose name does not matter, [`read_verified`] for objects
//! that were written earlier. [`next`] (pure) decides what follows from an answer.
//!
//! Invariants: (D1) nothing counts as written before its very bytes were read back (with `verify`); (D2) nothing is
//! removed or replaced because of an answer that leaves its fate open; (D3) every loop ends after [`Patience`] many
//! tries.
//!
//! Limit: a store that acknowledges a write, returns it when read, and forgets it later (a missing fsync) is noticed
//! only by the next reader of the object.

use std::time::Duration;

use bytes::Bytes;

use super::{Checksum, Env, Store, StoreError};

#[cfg(feature = "mutations")]
mod planted;

/// How often something is tried, and how long the pauses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Number of tries, at least 1.
    pub tries: u32,
    /// Pause before the second try; every further pause is twice as long.
    pub pause: Duration,
}

impl Patience {
    /// For writes, about three seconds: a store with a short outage has recovered by then, and if a checkpoint has to
    /// wait longer, declining it is better.
    pub const WRITE: Patience = Patience { tries: 6, pause: Duration::from_millis(100) };
    /// Before bytes are declared damaged: long enough to rule out a single bad answer, and short enough to delay a
    /// recovery only a little.
    pub const READ: Patience = Patience { tries: 3, pause: Duration::from_millis(200) };
    /// Before anything is declared lost, about six seconds. Declaring a loss may end the job for good, and a store
    /// whose reads lag by more than that is not fit to run jobs on.
    pub const LOSS: Patience = Patience { tries: 6, pause: Duration::from_millis(200) };

    /// The pause after try `tried` (from 1); `None` if that was the last one.
    pub fn pause_after(self, tried: u32) -> Option<Duration> {
        (tried < self.tries).then(|| self.pause.saturating_mul(1 << tried.saturating_sub(1).min(16)))
    }
}

/// The object at a path after a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It has the bytes that were to be written, whoever wrote them.
    Written,
    /// It has other bytes: another writer's, or torn ones of this writer.
    Differs(Bytes),
}

/// The store's answer to a write or a read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// The write created the object.
    Created,
    /// The write found an object at this path.
    Taken,
    /// The write failed, according to the store.
    WriteFailed(StoreError),
    /// The read returned the bytes that were to be written.
    Same,
    /// The read returned other bytes.
    Different(Bytes),
    /// The read found no object.
    Missing(StoreError),
    /// The read failed.
    ReadFailed(StoreError),
}

/// What follows from an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    ReadBack,
    /// Read again after a pause; return the error if there are no tries left.
    ReadAgain(StoreError),
    /// Write again after a pause; return the error if there are no tries left.
    WriteAgain(StoreError),
    Done(Put),
}

/// `refused` is the error of the last write, if that failed.
fn next(answer: Answer, refused: Option<&StoreError>, verify: bool) -> Next {
    match answer {
        Answer::Created if !verify => Next::Done(Put::Written),
        // The object may be from an earlier try whose answer was wrong, or from another writer; a write that failed
        // may have taken effect.
        Answer::Created | Answer::Taken | Answer::WriteFailed(_) => Next::ReadBack,
        Answer::Same => Next::Done(Put::Written),
        Answer::Different(found) => Next::Done(Put::Differs(found)),
        // The write took no effect, or the read lags behind, or the object is gone. Writing again is right in all
        // three cases.
        Answer::Missing(error) => Next::WriteAgain(refused.cloned().unwrap_or(error)),
        Answer::ReadFailed(error) => Next::ReadAgain(error),
    }
}

/// Writes an object that must not exist yet, and makes sure that it is stored. With `verify` the object is always read
/// back, otherwise only after an unexpected answer.
///
/// Errors: the last error of the store, after all tries. It is then unknown whether anything was written.
pub async fn put_durably(env: &Env, store: &Store, path: &str, bytes: Bytes, verify: bool) -> Result<Put, StoreError> {
    #[cfg(feature = "mutations")]
    let verify = planted::verifies(env, verify);
    let (mut tried, mut writing, mut refused) = (0, true, None);
    loop {
        let answer = match writing {
            true => match store.create(path, bytes.clone()).await {
                Ok(true) => Answer::Created,
                Ok(false) => Answer::Taken,
                Err(error) => Answer::WriteFailed(error),
            },
            false => match store.get(path).await {
                Ok(found) if found == bytes => Answer::Same,
                Ok(found) => Answer::Different(found),
                Err(error @ StoreError::NotFound { .. }) => Answer::Missing(error),
                Err(error) => Answer::ReadFailed(error),
            },
        };
        #[cfg(feature = "mutations")]
        if let Some(error) = planted::believed(env, &answer) {
            return Err(error);
        }
        if writing {
            refused = match &answer {
                Answer::WriteFailed(error) => Some(error.clone()),
                _ => None,
            };
        }
        let error = match next(answer, refused.as_ref(), verify) {
            Next::Done(put) => return Ok(put),
            Next::ReadBack => {
                writing = false;
                continue;
            }
            Next::WriteAgain(error) => {
                writing = true;
                error
            }
            Next::ReadAgain(error) => error,
        };
        tried += 1;
        match Patience::WRITE.pause_after(tried) {
            Some(pause) => env.sleep(pause).await,
            None => return Err(error),
        }
    }
}

/// Number of names under which an upload is tried.
const NAMES: u32 = 3;

/// Writes an object whose name only has to be new. If `path` then holds torn bytes, the object gets another name,
/// derived from `path`. No one else may write to `path`. Returns the name.
pub async fn upload(env: &Env, store: &Store, path: &str, bytes: Bytes, verify: bool) -> Result<String, StoreError> {
    let mut torn: Vec<String> = Vec::new();
    for number in 1..=NAMES {
        let name = if number == 1 { path.to_owned() } else { format!("{path}.{number}") };
        match put_durably(env, store, &name, bytes.clone(), verify).await? {
            Put::Written => {
                // These may be deleted (D2): they were read, they hold other bytes, and no one else writes under these
                // names.
                for name in torn {
                    if let Err(error) = store.delete(&name).await {
                        env.warn(format_args!("a damaged upload stays behind: {error}"));
                    }
                }
                return Ok(name);
            }
            Put::Differs(found) => {
                let (expected, found) = (Checksum::of(&bytes), Checksum::of(&found));
                env.warn(format_args!("{name} was uploaded as {expected}, and holds {found}: it gets another name"));
                torn.push(name);
            }
        }
    }
    Err(StoreError::Failed { path: path.into(), cause: format!("{NAMES} uploads of it arrived damaged") })
}

/// Why an object cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadFault {
    /// The object does not exist.
    Missing,
    /// The object has other contents.
    Differs(Checksum),
    /// The store did not answer as it should.
    Store(StoreError),
}

/// Reads an object once and compares it with its checksum.
pub async fn look(store: &Store, path: &str, expected: Checksum) -> Result<Bytes, ReadFault> {
    match store.get(path).await {
        Ok(bytes) => match Checksum::of(&bytes) {
            found if found == expected => Ok(bytes),
            found => Err(ReadFault::Differs(found)),
        },
        Err(StoreError::NotFound { .. }) => Err(ReadFault::Missing),
        Err(error) => Err(ReadFault::Store(error)),
    }
}

/// Reads an object and compares it with its checksum; tries several times before it reports a fault.
pub async fn read_verified(env: &Env, store: &Store, path: &str, expected: Checksum) -> Result<Bytes, ReadFault> {
    #[cfg(feature = "mutations")]
    let expected = super::planted::expected(env, store, path, expected).await;
    let mut tried = 0;
    loop {
        let fault = match look(store, path, expected).await {
            Ok(bytes) => return Ok(bytes),
            Err(fault) => fault,
        };
        tried += 1;
        // Wrong bytes rarely become right, but a missing object may only lag behind, so it gets more time.
        let patience = if fault == ReadFault::Missing { Patience::LOSS } else { Patience::READ };
        match patience.pause_after(tried) {
            Some(pause) => env.sleep(pause).await,
            None => return Err(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end() {
        let pauses: Vec<_> = (1..=3).map(|tried| Patience::READ.pause_after(tried)).collect();
        assert_eq!(pauses, [Some(Duration::from_millis(200)), Some(Duration::from_millis(400)), None]);
        let longest: Duration = (1..).map_while(|tried| Patience::LOSS.pause_after(tried)).sum();
        assert_eq!(longest, Duration::from_millis(6200));
        assert!(Patience { tries: u32::MAX, pause: Duration::MAX }.pause_after(u32::MAX - 1).is_some(), "no overflow");
    }

    #[test]
    fn only_what_was_read_back_is_written() {
        use Answer::*;
        let error = StoreError::Failed { path: "x".into(), cause: "of a test".into() };
        let silent = StoreError::NotFound { path: "x".into() };
        let other = Different(Bytes::from_static(b"other"));
        for answer in [Created, Taken, WriteFailed(error.clone()), Same, other, Missing(silent), ReadFailed(error)] {
            let written = |verify| next(answer.clone(), None, verify) == Next::Done(Put::Written);
            assert_eq!(written(true), answer == Same, "D1: {answer:?}");
            // A path that is taken may hold another writer's bytes, so it is read whether or not `verify` is set.
            assert_eq!(written(false), matches!(answer, Same | Created), "{answer:?}");
        }
    }

    #[cfg(feature = "sim")]
    mod against_a_faulty_store {
        use super::*;
        use crate::env::StoreKind;
        use crate::env::sim::testing::{hurting, on_one_node};
        use crate::fault::StoreFault;

        const BEHIND: StoreFault = StoreFault::StaleRead(Duration::from_secs(9));
        const MINE: Bytes = Bytes::from_static(b"mine");

        fn put(fault: Option<(u32, StoreFault)>, before: Option<&'static [u8]>) -> Result<Put, StoreError> {
            on_one_node(move |world, env| async move {
                let store = env.store(StoreKind::Output);
                if let Some(before) = before {
                    store.create("x", Bytes::from_static(before)).await.unwrap();
                }
                if let Some((count, fault)) = fault {
                    world.add_store_rule(hurting(count, fault));
                }
                put_durably(&env, &store, "x", MINE, true).await
            })
        }

        #[test]
        fn an_answer_that_is_wrong_is_found_out() {
            assert_eq!(put(None, None), Ok(Put::Written));
            assert_eq!(put(Some((4, StoreFault::FailedWrite)), None), Ok(Put::Written));
            assert_eq!(
                put(Some((2, StoreFault::AmbiguousWrite)), None),
                Ok(Put::Written),
                "the second try says that it is there"
            );
            assert_eq!(put(Some((1, BEHIND)), None), Ok(Put::Written));
            assert_eq!(put(Some((1, StoreFault::TornWrite)), None), Ok(Put::Differs(Bytes::from_static(b"mi"))));
            assert_eq!(put(None, Some(b"mine")), Ok(Put::Written), "by an earlier life");
            assert_eq!(put(None, Some(b"other")), Ok(Put::Differs(Bytes::from_static(b"other"))));
            assert_eq!(
                put(Some((1, StoreFault::AmbiguousWrite)), Some(b"other")),
                Ok(Put::Differs(Bytes::from_static(b"other")))
            );
            let failed = put(Some((99, StoreFault::NoSpace)), None);
            assert!(
                matches!(&failed, Err(StoreError::Failed { cause, .. }) if cause.contains("no space")),
                "{failed:?}"
            );
            let behind = put(Some((99, BEHIND)), None);
            assert!(matches!(behind, Err(StoreError::NotFound { .. })), "D1, D3: {behind:?}");
        }

        #[test]
        fn torn_uploads_get_another_name_and_do_not_stay_behind() {
            on_one_node(|world, env| async move {
                let store = env.store(StoreKind::Output);
                world.add_store_rule(hurting(2, StoreFault::TornWrite));
                assert_eq!(upload(&env, &store, "x", MINE, true).await, Ok("x.3".to_owned()));
                assert_eq!(store.list("").await, Ok(vec![("x.3".into(), 4)]));
                world.add_store_rule(hurting(1, StoreFault::TornWrite));
                assert_eq!(upload(&env, &store, "y", MINE, false).await, Ok("y".to_owned()), "nobody looked");
                world.add_store_rule(hurting(3, StoreFault::TornWrite));
                assert!(upload(&env, &store, "z", MINE, true).await.is_err());
            });
        }

        #[test]
        fn one_bad_read_condemns_nothing() {
            on_one_node(|world, env| async move {
                let store = env.store(StoreKind::Output);
                let read = async || read_verified(&env, &store, "x", Checksum::of(b"mine")).await;
                store.create("x", MINE).await.unwrap();
                world.add_store_rule(hurting(2, BEHIND));
                assert_eq!(read().await, Ok(MINE));
                world.add_store_rule(hurting(6, BEHIND));
                assert_eq!(read().await, Err(ReadFault::Missing), "D3");
                let other = Bytes::from_static(b"rot");
                world.stores().damage(StoreKind::Output, "x", Some(other.clone()));
                assert_eq!(read().await, Err(ReadFault::Differs(Checksum::of(&other))));
            });
        }

        #[test]
        fn folders_go_when_they_are_dropped_but_not_those_of_the_dead() {
            on_one_node(|world, env| async move {
                let (kept, gone) = (env.fresh_folder("kept").unwrap(), env.fresh_folder("gone").unwrap());
                let inner = gone.child("inner");
                std::fs::create_dir_all(inner.path()).unwrap();
                std::fs::create_dir_all(kept.path()).unwrap();
                let (gone_path, kept_path) = (gone.path().to_owned(), kept.path().to_owned());
                drop(gone);
                assert!(!gone_path.exists());
                drop(inner);
                world.kill("a", crate::fault::Death::Crash);
                drop(kept);
                assert!(kept_path.exists(), "V1");
                assert_eq!(world.late_effects(), 0, "it was not tried");
            });
        }
    }
}
