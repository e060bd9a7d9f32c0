//! What the processes of a run ask before they go on, where something may be in the way: user code before each record, and whoever
//! stands between the engine and its durable stores before each request.
//!
//! ```text
//! a process ── looks at the flag (two bytes of a file): nothing stands ──► goes on
//!           └─ something stands: asks here (one line of JSON each way) ──► fails, waits, goes on as it is told
//! ```
//! Start at [`Hooks`], the end of whoever makes the run; `client` is the end of a process of this engine, and the twins for Flink ask
//! through `harness/java/flowquake/Hook.java`. The engine knows nothing of this: a job's source asks ([`UserCode`]), and the stores that a
//! process hands to the engine do. The synchronous part of a snapshot hangs where its beginning is told and not answered ([`Held`]).
//!
//! Invariant: (HOOKS-1) what is ordered stands before the strike that orders it returns, so whoever waits for the answer to an event
//! meets it at the next record or request.
#![allow(clippy::disallowed_methods, reason = "a shell around real processes, in real time")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flowquake_engine::env::{StoreKind, Work};
use flowquake_engine::fault::{SlowWork, StoreRule};
use flowquake_engine::time::{Time, nanos};

use self::rules::Rules;
use self::words::{Answer, Question};
use crate::jobs::{AtRecord, UserCode, UserCodeHit};
use crate::nemesis::{Hurt, Receipt, Speeds};
use crate::plan::RunPlan;

mod client;
mod held;
mod rules;
mod words;

pub(crate) use client::Overseen;
pub(crate) use held::Held;
pub(crate) use words::{Access, Spoilt};

/// A client gives up a request that is not answered for this long.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that a record of the price of a slow operator counts for.
const RECORD_BYTES: u64 = 100;

/// Where the processes of a run ask. Listens until it is dropped.
pub(crate) struct Hooks {
    folder: PathBuf,
    desk: Arc<Desk>,
}

/// What is answered, shared by the threads that answer.
struct Desk {
    user_code: UserCode,
    /// Of one record.
    price: Duration,
    /// The first instant of the run.
    clock: Mutex<Instant>,
    /// Byte 0: something is ordered of user code; byte 1: something else stands.
    flag: File,
    standing: Mutex<Standing>,
    changed: Condvar,
}

#[derive(Default)]
struct Standing {
    /// How many times as long each record takes, by node.
    slow: BTreeMap<String, u32>,
    /// Nodes whose snapshots hang.
    hung: BTreeSet<String>,
    /// Records and snapshots that took longer.
    slowed: BTreeMap<(String, SlowWork), u64>,
    rules: Rules,
    /// Damaged files of the checkpoint store, and how often each was asked for.
    damaged: BTreeMap<String, u64>,
    over: bool,
}

impl Hooks {
    /// Listens in this folder, where nothing is yet. Orders to user code are those of the director; times count from `clock`.
    pub(crate) fn listen(folder: &Path, plan: &RunPlan, user_code: &UserCode, clock: Instant) -> io::Result<Self> {
        std::fs::create_dir(folder)?;
        let flag = File::options().write(true).create_new(true).open(flag(folder))?;
        flag.write_all_at(&[0, 0], 0)?;
        let state = Some(plan.job.config.backend);
        let price = plan.cluster.rates.price(Work::Records { records: 1, bytes: RECORD_BYTES, state });
        let (user_code, standing, changed) = (user_code.clone(), Mutex::default(), Condvar::new());
        let desk = Arc::new(Desk { user_code, price, clock: Mutex::new(clock), flag, standing, changed });
        let (told, listener) = (desk.clone(), UnixListener::bind(socket(folder))?);
        desk.user_code.announce(move |armed| told.raise(0, armed));
        let answers = desk.clone();
        std::thread::Builder::new().name("hooks".into()).spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if answers.standing().over {
                    return;
                }
                let desk = answers.clone();
                // Ends with its process.
                std::thread::spawn(move || desk.serve(connection));
            }
        })?;
        Ok(Self { folder: folder.to_owned(), desk })
    }

    /// Times count from this instant on.
    pub(crate) fn begin(&self, clock: Instant) {
        *self.desk.clock.lock().expect("nothing panics under this lock") = clock;
    }

    /// Where processes find it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that says whether something stands.
    pub(crate) fn flag(&self) -> PathBuf {
        flag(&self.folder)
    }

    /// What shows that user code failed because it was told to.
    pub(crate) fn user_code_shown(&self, hit: &UserCodeHit) -> String {
        format!("{} asked before record {} of split {}, and was told to fail", hit.node, hit.position, hit.split)
    }

    /// What user code is told before this record.
    pub(crate) fn at_record(&self, node: &str, split: u32, position: u64) -> AtRecord {
        self.desk.at_record(node, split, position)
    }

    /// Whether snapshots of a node hang now; one that does is counted.
    pub(crate) fn hangs(&self, node: &str) -> bool {
        self.desk.standing().hung.contains(node)
    }

    /// A snapshot hangs.
    pub(crate) fn note_hung(&self, node: &str) {
        self.desk.standing().slowed_once(node, SlowWork::Snapshot);
    }

    /// Pieces of work that took longer, or hung.
    pub(crate) fn slowed(&self, node: &str, work: SlowWork) -> u64 {
        self.desk.standing().slowed.get(&(node.to_owned(), work)).copied().unwrap_or(0)
    }

    pub(crate) fn add_store_rule(&self, rule: StoreRule) -> usize {
        let number = self.desk.standing().rules.add(rule);
        self.desk.refresh();
        number
    }

    pub(crate) fn end_store_rule(&self, rule: usize) {
        self.desk.standing().rules.end(rule);
        self.desk.refresh();
    }

    pub(crate) fn store_rule_hits(&self, rule: usize) -> Hurt {
        self.desk.standing().rules.hits(rule)
    }

    /// What shows that a rule about stores was applied.
    pub(crate) fn store_rule_shown(&self, rule: usize) -> String {
        self.desk.standing().rules.shown(rule)
    }

    /// Damages a file of the checkpoint store, there called `path`: in place, so that it is the same file for whoever looks at what was
    /// done to the store.
    pub(crate) fn damage(&self, file: &Path, path: &str, contents: Option<&Bytes>) -> Receipt {
        self.note_damaged(path);
        let done = match contents {
            Some(bytes) => std::fs::write(file, bytes),
            None => std::fs::remove_file(file),
        };
        match done.map(|()| std::fs::read(file).ok().map(Bytes::from).as_ref() == contents) {
            Ok(true) => Receipt::Proved(match contents {
                Some(bytes) => format!("the file was read back, {} bytes", bytes.len()),
                None => "the file is gone".into(),
            }),
            Ok(false) => Receipt::Unproved(format!("{path} is not what it was made")),
            Err(error) => Receipt::Unproved(format!("{path} could not be damaged: {error}")),
        }
    }

    /// A file of the checkpoint store is damaged from now on.
    fn note_damaged(&self, path: &str) {
        self.desk.standing().damaged.entry(path.to_owned()).or_default();
        self.desk.refresh();
    }

    /// How often a damaged file was asked for; `None`: it is not damaged.
    pub(crate) fn asked_for_damaged(&self, path: &str) -> Option<u64> {
        self.desk.standing().damaged.get(path).copied()
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.desk.standing().over = true;
        self.desk.changed.notify_all();
        // Whoever accepts waits for a connection.
        let _ = UnixStream::connect(socket(&self.folder));
    }
}

impl Speeds for Hooks {
    /// Records wait for the rest of their price before the source is asked for them; the synchronous part of a snapshot hangs where it
    /// begins.
    fn slow(&self, node: &str, work: SlowWork, factor: Option<u32>) -> Receipt {
        let ends = factor == Some(1);
        {
            let mut standing = self.desk.standing();
            match (work, factor) {
                (SlowWork::Snapshot, Some(1)) => drop(standing.hung.remove(node)),
                (SlowWork::Snapshot, _) => drop(standing.hung.insert(node.to_owned())),
                (_, Some(1)) => drop(standing.slow.remove(node)),
                (_, factor) => drop(standing.slow.insert(node.to_owned(), factor.unwrap_or(u32::MAX))),
            }
        }
        self.desk.refresh();
        let count = self.slowed(node, work);
        let what = if work == SlowWork::Snapshot { "snapshots hung" } else { "records waited" };
        Receipt::Proved(match ends {
            true => format!("{node} is as fast as before; {count} {what}"),
            false => format!("ordered of {node}; {count} {what} before"),
        })
    }
}

impl Standing {
    fn slowed_once(&mut self, node: &str, work: SlowWork) {
        *self.slowed.entry((node.to_owned(), work)).or_default() += 1;
    }
}

impl Desk {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().expect("nothing panics under this lock")
    }

    fn now(&self) -> Time {
        let clock = *self.clock.lock().expect("nothing panics under this lock");
        Time(nanos(Instant::now().saturating_duration_since(clock)))
    }

    /// Says whether something stands.
    fn raise(&self, byte: u64, stands: bool) {
        // Processes that cannot be told would go on as if nothing stood: the fault has struck nothing then, and is vacuous.
        if let Err(error) = self.flag.write_all_at(&[stands.into()], byte) {
            tracing::warn!("the flag of the hooks cannot be written: {error}");
        }
    }

    fn refresh(&self) {
        let stands = {
            let standing = self.standing();
            !standing.slow.is_empty() || standing.rules.stand() || !standing.damaged.is_empty()
        };
        self.raise(1, stands);
        self.changed.notify_all();
    }

    fn at_record(&self, node: &str, split: u32, position: u64) -> AtRecord {
        let told = self.user_code.at_record(node, split, position);
        if told != AtRecord::Go {
            return told;
        }
        let mut standing = self.standing();
        match standing.slow.get(node).copied() {
            Some(factor) => {
                standing.slowed_once(node, SlowWork::Records);
                AtRecord::Wait(self.price.saturating_mul(factor.saturating_sub(1)))
            }
            None => AtRecord::Go,
        }
    }

    fn at_request(&self, node: &str, store: StoreKind, access: Access, path: &str, bytes: u64) -> Answer {
        let mut standing = self.standing();
        if store == StoreKind::Checkpoints && access != Access::List {
            standing.damaged.get_mut(path).into_iter().for_each(|count| *count += 1);
        }
        let treatment = standing.rules.treat(store, node, access, path, bytes, self.now());
        if let Some(outage) = treatment.outage {
            let ended = |standing: &mut Standing| !standing.over && !standing.rules.has_ended(outage);
            drop(self.changed.wait_timeout_while(standing, CLIENT_TIMEOUT, ended));
        }
        Answer::Request(treatment.wait, treatment.spoilt)
    }

    /// Answers until the process is gone.
    fn serve(&self, connection: UnixStream) {
        let Ok(mut answers) = connection.try_clone() else { return };
        for line in BufReader::new(connection).lines().map_while(Result::ok) {
            let answer = match serde_json::from_str(&line) {
                Ok(Question::Record { node, split, position }) => {
                    Answer::Record(self.at_record(&node, split, position))
                }
                Ok(Question::Request { node, store, access, path, bytes }) => {
                    self.at_request(&node, store, access, &path, bytes)
                }
                Err(error) => {
                    tracing::warn!("a process asks what nobody understands: {error}");
                    return;
                }
            };
            let mut line = serde_json::to_vec(&answer).expect("plain data");
            line.push(b'\n');
            if answers.write_all(&line).is_err() {
                return;
            }
        }
    }
}

/// The file that says whether something stands.
fn flag(folder: &Path) -> PathBuf {
    folder.join("flag")
}

/// Where questions are answered.
fn socket(folder: &Path) -> PathBuf {
    folder.join("ask")
}

#[cfg(test)]
mod tests {
    use flowquake_engine::fault::StoreFault;

    use super::*;
    use crate::fixtures;
    use crate::jobs::Overseer;
    use crate::plan::UserFailure;

    fn hooks(folder: &Path) -> (Hooks, UserCode, Overseen) {
        let user_code = UserCode::default();
        let folder = folder.join("hooks");
        let hooks = Hooks::listen(&folder, &fixtures::plan(), &user_code, Instant::now()).unwrap();
        let overseen = Overseen::by(&folder, "tm-1").unwrap();
        (hooks, user_code, overseen)
    }

    #[test]
    fn what_is_ordered_stands_at_once_and_costs_nothing_when_it_is_over() {
        let root = tempfile::tempdir().unwrap();
        let (hooks, user_code, overseen) = hooks(root.path());
        assert_eq!(overseen.at_record(0, 7), AtRecord::Go);
        user_code.poison(1, 7, Some(1));
        assert_eq!(overseen.at_record(0, 7), AtRecord::Go);
        let told = overseen.at_record(1, 7);
        assert!(matches!(told, AtRecord::Fail { how: UserFailure::Error, .. }), "HOOKS-1: {told:?}");
        assert_eq!(overseen.at_record(1, 7), AtRecord::Go, "once");
        user_code.arm("tm-1", UserFailure::Panic);
        user_code.arm("tm-2", UserFailure::Panic);
        assert!(matches!(overseen.at_record(0, 8), AtRecord::Fail { how: UserFailure::Panic, .. }), "HOOKS-1");
        assert_eq!(overseen.at_record(0, 9), AtRecord::Go, "that is for tm-2");
        assert!(hooks.user_code_shown(&user_code.hits()[1]).starts_with("tm-1 asked before record 8"));
        assert!(matches!(hooks.slow("tm-1", SlowWork::Records, Some(11)), Receipt::Proved(_)));
        assert!(matches!(overseen.at_record(0, 9), AtRecord::Wait(_)));
        assert_eq!((hooks.slowed("tm-1", SlowWork::Records), hooks.slowed("tm-2", SlowWork::Records)), (1, 0));
        assert_eq!(
            hooks.slow("tm-1", SlowWork::Records, Some(1)),
            Receipt::Proved("tm-1 is as fast as before; 1 records waited".into())
        );
    }

    #[test]
    fn requests_ask_while_a_rule_stands_and_wait_for_the_end_of_an_outage() {
        let root = tempfile::tempdir().unwrap();
        let (hooks, _, overseen) = hooks(root.path());
        let kind = StoreKind::Checkpoints;
        assert!(!overseen.requests_ask());
        let rule = |fault| StoreRule { store: Some(kind), node: None, fault, count: None };
        let torn = hooks.add_store_rule(rule(StoreFault::TornWrite));
        assert!(overseen.requests_ask(), "HOOKS-1");
        assert_eq!(overseen.at_request(kind, Access::Put, "chk-1/a", 5).1, Some(Spoilt::Torn));
        hooks.end_store_rule(torn);
        assert!(!overseen.requests_ask());
        let outage = hooks.add_store_rule(rule(StoreFault::Unavailable));
        let asks = std::thread::spawn(move || overseen.at_request(kind, Access::Read, "chk-1/a", 5).1);
        while hooks.store_rule_hits(outage).0 == 0 {
            std::thread::yield_now();
        }
        assert!(!asks.is_finished(), "nobody answers");
        hooks.end_store_rule(outage);
        assert_eq!(asks.join().unwrap(), Some(Spoilt::Unavailable));
        hooks.note_damaged("chk-1/a");
        assert_eq!(hooks.asked_for_damaged("chk-1/a"), Some(0));
        assert_eq!(hooks.asked_for_damaged("chk-1/b"), None);
    }
}
