//! Writes and reads that do not take the store's first word for it.
//!
//! An answer may be wrong in three ways: an error although the write took effect, a success although the bytes are torn, and
//! a read that lags behind. What helps against all of them is that objects are written once: reading one back tells what
//! stands there, and writing again, which is never judged on old contents, tells whether anything does. Start at
//! [`put_durably`]; [`upload`] is for objects whose name does not matter, [`read_verified`] for what was written before. What
//! to do after an answer is decided by [`next`] (pure).
//!
//! Invariants: (D1) nothing counts as written before its very bytes were read back (with `verify`); (D2) nothing is removed
//! or replaced because of an answer that leaves its fate open; (D3) every loop ends after [`Patience`] many tries.
//!
//! Limit: a store that acknowledges a write, gives it back when read, and forgets it later (a missing fsync) is found out
//! only by whoever reads the object next.

use std::time::Duration;

use bytes::Bytes;

use super::{Checksum, Env, Store, StoreError};

#[cfg(feature = "mutations")]
mod planted;

/// How often something is tried, and with which pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Tries altogether, at least 1.
    pub tries: u32,
    /// Pause before the second try; doubles.
    pub pause: Duration,
}

impl Patience {
    /// For writes, about three seconds: a store that hiccups has recovered by then, and a checkpoint that waits longer is
    /// better declined.
    pub const WRITE: Patience = Patience { tries: 6, pause: Duration::from_millis(100) };
    /// Before bytes are declared damaged: long enough for a bad answer to be a bad answer and no more, short enough to put a
    /// recovery off by little.
    pub const READ: Patience = Patience { tries: 3, pause: Duration::from_millis(200) };
    /// Before anything is declared lost, about six seconds: that may end the job for good, and a store that lags behind by
    /// more is not one to run jobs on.
    pub const LOSS: Patience = Patience { tries: 6, pause: Duration::from_millis(200) };

    /// The pause after try number `tried` (from 1); `None` if that was the last.
    pub fn pause_after(self, tried: u32) -> Option<Duration> {
        (tried < self.tries).then(|| self.pause.saturating_mul(1 << tried.saturating_sub(1).min(16)))
    }
}

/// What stands at a path after a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// The bytes to be written, whoever wrote them.
    Written,
    /// Others: somebody else's, or one's own, torn.
    Differs(Bytes),
}

/// What the store said.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// The object is new.
    Created,
    /// Something stands there.
    Taken,
    /// The write failed, or so it says.
    WriteFailed(StoreError),
    /// What stands there are the bytes to be written.
    Same,
    /// What stands there are others.
    Different(Bytes),
    /// Nothing stands there.
    Missing(StoreError),
    /// The read failed.
    ReadFailed(StoreError),
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    ReadBack,
    /// After a pause; the error is the last word if there is none.
    ReadAgain(StoreError),
    /// After a pause; the error is the last word if there is none.
    WriteAgain(StoreError),
    Done(Put),
}

/// `refused`: the error of the last write, if it had one.
fn next(answer: Answer, refused: Option<&StoreError>, verify: bool) -> Next {
    match answer {
        Answer::Created if !verify => Next::Done(Put::Written),
        // Taken by an earlier try whose answer went wrong, or by somebody else; after an error it may have taken effect.
        Answer::Created | Answer::Taken | Answer::WriteFailed(_) => Next::ReadBack,
        Answer::Same => Next::Done(Put::Written),
        Answer::Different(found) => Next::Done(Put::Differs(found)),
        // It took no effect, the read lags behind, or the object is gone: writing again makes up for all of them.
        Answer::Missing(error) => Next::WriteAgain(refused.cloned().unwrap_or(error)),
        Answer::ReadFailed(error) => Next::ReadAgain(error),
    }
}

/// Writes an object that must not exist yet, and makes sure of it (`verify`: by reading it back even if nothing was odd).
///
/// Errors: the store's last word, after all tries; whether anything was written is unknown then.
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

/// Names under which one object is uploaded before it is given up.
const NAMES: u32 = 3;

/// Writes an object whose name only has to be new: where `path` holds torn bytes it gets another name, derived from it.
/// `path` must be this caller's alone. Returns the name.
pub async fn upload(env: &Env, store: &Store, path: &str, bytes: Bytes, verify: bool) -> Result<String, StoreError> {
    let mut torn: Vec<String> = Vec::new();
    for number in 1..=NAMES {
        let name = if number == 1 { path.to_owned() } else { format!("{path}.{number}") };
        match put_durably(env, store, &name, bytes.clone(), verify).await? {
            Put::Written => {
                // Their fate is known (D2): they were read, they are not what was to be written, and nobody else writes here.
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
    /// It is not there.
    Missing,
    /// It has other contents.
    Differs(Checksum),
    /// The store did not answer as it should.
    Store(StoreError),
}

/// Reads an object whose checksum is known, once.
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

/// Reads an object whose checksum is known, more than once before it says anything bad about it.
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
        // Bytes that are wrong twice stay wrong; a store that lags behind takes its time.
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
            // What is taken may be somebody else's: that is read whether verified or not.
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
