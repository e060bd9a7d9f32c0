//! User code that fails on order, by which a nemesis hurts the program itself.
//!
//! A job wraps its source ([`JobContext::source`]). Whenever a subtask reads a record through it, the nemesis' orders
//! are checked: [`UserCode::arm`] makes user code fail at the next record on a node, and [`UserCode::poison`] makes it
//! fail at one record, wherever it is read. So user code fails in the first function of a job, which makes the record
//! at a position, because later functions do not know a record's position. An error is handled like any error of a
//! program; a panic unwinds like any other, but prints nothing.
//!
//! While there is no order, a record costs one relaxed load.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use flowquake_engine::env::InputFiles;
use flowquake_engine::graph::JobSpec;
use flowquake_engine::graph::chain::ChainError;
use flowquake_engine::graph::source::Source;
use serde::{Deserialize, Serialize};

use crate::plan::UserFailure;

/// The orders of one run, shared by all its nodes. Cheap to clone; by default nothing ever fails.
#[derive(Debug, Clone, Default)]
pub struct UserCode(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Whether there is any order; if not, the orders need not be looked at.
    armed: AtomicBool,
    orders: Mutex<Orders>,
    /// Is told whether some order stands.
    announced: OnceLock<Box<dyn Fn(bool) + Send + Sync>>,
    /// The orders are given elsewhere.
    overseer: Option<Arc<dyn Overseer>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.orders.fmt(f)
    }
}

/// Who says what user code does, where the orders stand in another process.
pub trait Overseer: fmt::Debug + Send + Sync {
    /// User code of this process is given a record.
    fn at_record(&self, split: u32, position: u64) -> AtRecord;
}

/// What user code does before it takes a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AtRecord {
    /// Nothing else.
    Go,
    /// It fails.
    Fail {
        /// How.
        how: UserFailure,
        /// With these words.
        what: String,
    },
    /// It takes so much longer.
    Wait(Duration),
}

#[derive(Debug, Default)]
struct Orders {
    /// For each node, the failures that are still to come.
    nodes: BTreeMap<String, Vec<UserFailure>>,
    /// For each record, by split and position: how often it still fails; `None`: always.
    poisoned: BTreeMap<(u32, u64), Option<u32>>,
    hits: Vec<UserCodeHit>,
}

/// A failure of user code that was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCodeHit {
    /// The node on which it failed.
    pub node: String,
    /// Split of the record that it was given.
    pub split: u32,
    /// Position of the record in the split, from 0.
    pub position: u64,
    /// How it failed.
    pub how: UserFailure,
    /// Whether the record was poisoned ([`UserCode::poison`]); otherwise the order was for the node.
    pub poisoned: bool,
}

impl UserCode {
    /// Of a process that is told what to do.
    pub fn overseen(overseer: Arc<impl Overseer + 'static>) -> Self {
        Self(Arc::new(Shared { overseer: Some(overseer), ..Shared::default() }))
    }

    /// `announced` is told from now on whether some order stands, before whoever gives or obeys one goes on.
    ///
    /// # Panics
    /// If somebody is told already.
    pub fn announce(&self, announced: impl Fn(bool) + Send + Sync + 'static) {
        assert!(self.0.announced.set(Box::new(announced)).is_ok(), "orders of one run are announced to one place");
    }

    fn set_armed(&self, armed: bool) {
        self.0.armed.store(armed, Ordering::Relaxed);
        self.0.announced.get().into_iter().for_each(|announced| announced(armed));
    }

    /// User code on `node` fails once, at the next record that it is given. Orders for one node are obeyed one after another.
    pub fn arm(&self, node: &str, how: UserFailure) {
        let mut orders = self.orders();
        orders.nodes.entry(node.into()).or_default().push(how);
        self.set_armed(true);
    }

    /// Makes user code fail with an error whenever it reads this record, on any node: `times` more times, or always.
    pub fn poison(&self, split: u32, position: u64, times: Option<u32>) {
        let mut orders = self.orders();
        let left = orders.poisoned.entry((split, position)).or_insert(Some(0));
        *left = left.zip(times).map(|(left, times)| left.saturating_add(times));
        self.set_armed(true);
    }

    /// Takes back all orders.
    pub fn disarm_all(&self) {
        let mut orders = self.orders();
        orders.nodes.clear();
        orders.poisoned.clear();
        self.set_armed(false);
    }

    /// Every failure so far, in order.
    pub fn hits(&self) -> Vec<UserCodeHit> {
        self.orders().hits.clone()
    }

    /// What `node`'s user code does before it takes this record.
    pub fn at_record(&self, node: &str, split: u32, position: u64) -> AtRecord {
        if !self.0.armed.load(Ordering::Relaxed) {
            return AtRecord::Go;
        }
        self.obey(node, split, position).map_or(AtRecord::Go, |(how, what)| AtRecord::Fail { how, what })
    }

    /// `node`'s user code is given a record. Fails, or panics, if that was ordered.
    fn check(&self, node: &str, split: u32, position: u64) -> Result<(), ChainError> {
        let told = match &self.0.overseer {
            None => self.at_record(node, split, position),
            Some(overseer) => overseer.at_record(split, position),
        };
        match told {
            AtRecord::Go => Ok(()),
            AtRecord::Fail { how: UserFailure::Error, what } => Err(ChainError::user(what)),
            // Not `panic!`: that would run the panic hook, which prints.
            AtRecord::Fail { how: UserFailure::Panic, what } => std::panic::resume_unwind(Box::new(what)),
            AtRecord::Wait(more) => {
                take_longer(more);
                Ok(())
            }
        }
    }

    /// How and why to fail at this record, if an order says so. The failure is recorded.
    fn obey(&self, node: &str, split: u32, position: u64) -> Option<(UserFailure, String)> {
        let mut orders = self.orders();
        let (how, poisoned) = match orders.poisoned.get_mut(&(split, position)) {
            Some(left) if *left != Some(0) => {
                *left = left.map(|left| left - 1);
                (UserFailure::Error, true)
            }
            _ => {
                let pending = orders.nodes.get_mut(node).filter(|pending| !pending.is_empty())?;
                (pending.remove(0), false)
            }
        };
        orders.hits.push(UserCodeHit { node: node.into(), split, position, how, poisoned });
        // Fulfilled orders are removed, so that a run whose faults are over is as fast as one without faults.
        orders.nodes.retain(|_, pending| !pending.is_empty());
        orders.poisoned.retain(|_, left| *left != Some(0));
        let idle = orders.nodes.is_empty() && orders.poisoned.is_empty();
        self.set_armed(!idle);
        let cause = if poisoned { "poisoned record" } else { "fault ordered on this node" };
        Some((how, format!("{cause} (split {split}, position {position})")))
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        // An ordered panic is raised after the lock is released.
        self.0.orders.lock().expect("nothing panics under this lock")
    }
}

/// User code takes its time: in processes of their own only, since in a simulation nobody orders that.
#[allow(clippy::disallowed_methods, reason = "only where an overseer of a real process orders it")]
fn take_longer(more: Duration) {
    std::thread::sleep(more);
}

/// What a job's program is built with: on which node, with which files, and who may make it fail.
pub struct JobContext<'a> {
    files: &'a InputFiles,
    node: &'a str,
    user_code: UserCode,
}

impl<'a> JobContext<'a> {
    /// For a program on `node`, which `user_code` may make fail.
    pub fn new(files: &'a InputFiles, node: &'a str, user_code: UserCode) -> Self {
        Self { files, node, user_code }
    }

    /// For a program that never fails on order, because it runs for real or is only examined.
    pub fn inert(files: &'a InputFiles) -> Self {
        Self::new(files, "", UserCode::default())
    }

    /// The input files.
    pub fn files(&self) -> &'a InputFiles {
        self.files
    }

    /// The source as user code that can be made to fail. The nemesis cannot reach a job that does not wrap its source.
    pub fn source<S: Source>(&self, spec: &JobSpec, source: S) -> Watched<S> {
        Watched {
            source,
            splits: u64::from(spec.input.splits.max(1)),
            node: self.node.into(),
            user_code: self.user_code.clone(),
        }
    }
}

/// A source that fails on order.
pub struct Watched<S> {
    source: S,
    splits: u64,
    node: String,
    user_code: UserCode,
}

impl<S: Source> Source for Watched<S> {
    type Out = S::Out;

    fn len(&self) -> u64 {
        self.source.len()
    }

    fn record(&self, index: u64) -> S::Out {
        self.source.record(index)
    }

    fn read(&self, index: u64) -> Result<S::Out, ChainError> {
        self.user_code.check(&self.node, (index % self.splits) as u32, index / self.splits)?;
        self.source.read(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(code: &UserCode, node: &str, split: u32, position: u64) -> Result<(), String> {
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| code.check(node, split, position)));
        match checked {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(panic) => Err(format!("panic: {}", panic.downcast_ref::<String>().expect("a text"))),
        }
    }

    #[test]
    fn an_armed_node_fails_once_per_order_and_no_other_does() {
        let code = UserCode::default();
        code.arm("tm-1", UserFailure::Error);
        code.arm("tm-1", UserFailure::Panic);
        assert_eq!(outcome(&code, "tm-2", 0, 0), Ok(()));
        let error = outcome(&code, "tm-1", 1, 7).unwrap_err();
        assert_eq!(error, "user function failed: fault ordered on this node (split 1, position 7)");
        assert!(outcome(&code.clone(), "tm-1", 1, 8).unwrap_err().starts_with("panic: "), "clones share their orders");
        assert_eq!(outcome(&code, "tm-1", 1, 9), Ok(()));
        let hits: Vec<_> = code.hits().into_iter().map(|hit| (hit.position, hit.how, hit.poisoned)).collect();
        assert_eq!(hits, [(7, UserFailure::Error, false), (8, UserFailure::Panic, false)]);
        assert!(!code.0.armed.load(Ordering::Relaxed), "spent orders cost nothing");
    }

    #[test]
    fn a_poisoned_record_fails_wherever_it_turns_up_as_often_as_ordered() {
        let code = UserCode::default();
        code.poison(1, 5, Some(1));
        code.poison(1, 5, Some(1));
        code.poison(0, 5, None);
        for node in ["tm-1", "tm-2"] {
            assert!(outcome(&code, node, 1, 5).is_err());
            assert_eq!(outcome(&code, node, 1, 6), Ok(()));
        }
        assert_eq!(outcome(&code, "tm-3", 1, 5), Ok(()), "twice is enough");
        for _ in 0..10 {
            assert!(outcome(&code, "tm-1", 0, 5).is_err());
        }
        code.poison(0, 5, Some(1));
        assert!(outcome(&code, "tm-1", 0, 5).is_err());
        assert!(outcome(&code, "tm-1", 0, 5).is_err(), "always stays always");
        code.disarm_all();
        assert_eq!(outcome(&code, "tm-1", 0, 5), Ok(()));
        assert_eq!(code.hits().len(), 14);
        code.poison(2, 2, Some(0));
        assert_eq!(outcome(&code, "tm-1", 2, 2), Ok(()), "no times is never");
    }
}
