//! Commit decisions with two JobManagers and two sinks: a fallback behind a damaged checkpoint, a takeover in the
//! middle of it, and sinks of former attempts that live on, cut off, and act on what they were told.
//!
//! The model runs the product's own [`JobMaster`] with its coordinator, and [`commit`], [`abort_above`],
//! [`forget_commits`] and [`remove_leftovers`] over a store that may fail, request by request. The leadership log is
//! assumed to behave as its own model shows: the JobManager of the highest term writes the next entry, and the others
//! learn of it. TaskManagers are not modelled. A sink that was cut off never hears of a cancellation, and every
//! notification that was sent may reach the sinks of its attempt at any time, or never. So losses, delays and
//! duplicates need no steps of their own, and neither do deaths of sinks and JobManagers.
//!
//! `managers` holds the steps of JobManagers, `sinks` those of sinks. Each sink reads one record per epoch, and its
//! output is the number of that record.
//!
//! Always: exactly once (the output of no record is visible twice); K1; K3 (nothing visible is removed); K5; C2, C3,
//! J3, J4; output that a sink needs is not removed (K4). Always possible: the output of the newest checkpoint is
//! visible without a gap while some attempt runs, or the job has failed because it could not fall back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::explorer::{Broken, Model};
use super::replay::{Answer, Next, Request, Scripted};
use super::store::{Faults, ModelStore};
use crate::checkpoint::manifest::{Chunk, Damaged, Manifest, SubtaskState, Transaction};
use crate::config::JobConfig;
use crate::connectors::file_sink::{
    CommitError, DECISIONS, OpenTransaction, abort_above, commit, committed_above, decision_at, decision_path,
    forget_commits, is_commit, parse_part_name, remove_leftovers,
};
use crate::env::{Address, Checksum, Env, NetError};
use crate::event::{AbortReason, Event};
use crate::graph::{InputKind, InputSpec, JobGraph, JobSpec, Vertex};
use crate::ha::entry::{Change, HaState};
use crate::ids::{Attempt, CheckpointId, Execution, SubtaskId, Term, VertexId};
use crate::jobmanager::JobResult;
use crate::jobmanager::job_master::{Aborts, Command, CommittedBeyond, Fact, JobMaster, LoadError, opened};
use crate::mutation::Mutation;
use crate::paths::PendingPath;
use crate::time::Time;
use crate::wire::{Order, TaskReport, ToJobManager};

mod managers;
mod sinks;

const SINKS: [SubtaskId; 2] =
    [SubtaskId { vertex: VertexId(0), index: 0 }, SubtaskId { vertex: VertexId(0), index: 1 }];
/// Longer than any run of the model.
const NEVER: Duration = Duration::from_secs(1 << 30);

/// How many events of each kind may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Left {
    checkpoints: u8,
    /// Checkpoints that one sink may decline.
    declines: u8,
    /// Times that the newest complete checkpoint may be damaged.
    damages: u8,
    /// Attempts whose TaskManager may be cut off.
    failures: u8,
    takeovers: u8,
    /// Times that a leader may remove decisions that are no longer needed.
    removals: u8,
}

/// A procedure of the product.
#[derive(Debug, Clone, PartialEq, Hash)]
enum Does {
    AbortsAbove { restored: CheckpointId, highest: CheckpointId },
    Forgets(CheckpointId),
}

/// A running procedure: the answers that it got, and its next request.
#[derive(Debug, Clone, PartialEq, Hash)]
struct Task<D> {
    does: D,
    answers: Vec<Answer>,
    asks: Request,
}

#[derive(Clone)]
struct Manager {
    term: Term,
    master: JobMaster,
    /// Hash of the JobMaster's state.
    shown: u64,
    now: Time,
    connection: u64,
    /// Entries that were asked for; `written` says whether the first one stands in the log.
    appends: VecDeque<(Change, HaState)>,
    written: bool,
    decides: Option<Task<Does>>,
    forgets: Option<Task<Does>>,
    /// Whether it does not lead any more.
    ended: bool,
}

#[derive(Debug, Clone)]
struct Sink {
    by: Execution,
    index: usize,
    /// Number of records read.
    position: u64,
    /// Number of epochs of this execution.
    epochs: u64,
    pending: Vec<Transaction>,
    told: CheckpointId,
    /// The running commit of the first pending transaction.
    commits: Option<Task<()>>,
    stopped: bool,
}

#[derive(Clone)]
struct State {
    store: ModelStore,
    log: (Term, HaState),
    /// Checkpoints and attempts that the log has ever named.
    completed: BTreeSet<CheckpointId>,
    begun: BTreeSet<Attempt>,
    managers: Vec<Arc<Manager>>,
    sinks: Vec<Arc<Sink>>,
    /// Notifications that were sent.
    sent: BTreeSet<(Execution, CheckpointId)>,
    manifests: BTreeMap<CheckpointId, Arc<Manifest>>,
    /// Number of records read before each checkpoint.
    positions: BTreeMap<CheckpointId, u64>,
    damaged: BTreeSet<CheckpointId>,
    failed: bool,
    left: Left,
}

/// Settings of the search.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    retained: u32,
    /// Checkpoints that are complete and committed when the search begins.
    settled: u8,
    /// How many sinks, counted from the first, hear of completed checkpoints; with fewer, other things can be explored
    /// more widely.
    hearing: usize,
}

struct Commits {
    scripted: Scripted,
    env: Env,
    graph: JobGraph,
    spec: JobSpec,
    bounds: Bounds,
    left: Left,
    faults: Faults,
    /// Whether K5 is asserted; if not, the search finds the consequences of a lost decision.
    decisions_stay: bool,
}

type Steps = Vec<(String, Result<State, Broken>)>;

fn hash_shown(shown: &impl std::fmt::Debug) -> u64 {
    xxh3_64(format!("{shown:?}").as_bytes())
}

impl Commits {
    fn new(bounds: Bounds, left: Left, faults: Faults, planted: &[Mutation]) -> Self {
        let scripted = Scripted::default();
        let env = scripted.env("a", 1, planted);
        let vertex = Vertex {
            name: "numbers".into(),
            build: Arc::new(|_| unreachable!("no task runs here")),
            is_source: true,
            has_sink: true,
            is_keyed: false,
        };
        let graph = JobGraph { vertices: vec![vertex], edges: vec![] };
        let mut config = JobConfig {
            parallelism: 2,
            heartbeat_interval: NEVER,
            heartbeat_timeout: NEVER,
            restart_delay: Duration::ZERO,
            slot_stabilization: Duration::ZERO,
            notify_retry: NEVER,
            lease: NEVER,
            rpc_timeout: NEVER,
            ..JobConfig::default()
        };
        config.checkpoints.retained = bounds.retained;
        config.checkpoints.timeout = NEVER;
        config.checkpoints.tolerable_failed = u32::MAX;
        let kind = InputKind::Generator { name: "numbers".into(), records: 1, seed: 1 };
        let input = InputSpec { kind, splits: 2, period_fs: 0 };
        let spec = JobSpec { program: "p".into(), params: BTreeMap::new(), input, config };
        Self { scripted, env, graph, spec, bounds, left, faults, decisions_stay: planted.is_empty() }
    }

    /// Adds a step for every answer to a request.
    fn answers<D>(
        &self,
        state: &State,
        who: &str,
        task: &Task<D>,
        steps: &mut Steps,
        goes_on: impl Fn(&mut State, Vec<Answer>) -> Result<(), Broken>,
    ) {
        let said = format!("{who} {}", task.asks);
        if let Err(broken) = self.allowed(state, &task.asks) {
            steps.push((said, Err(broken)));
            return;
        }
        for (odd, answer, store) in state.store.ways(&task.asks) {
            let said = if odd.is_empty() { said.clone() } else { format!("{said}: {odd}") };
            let answers = [&task.answers[..], &[answer]].concat();
            let mut next = State { store, ..state.clone() };
            steps.push((said, goes_on(&mut next, answers).map(|()| next)));
        }
    }

    /// Checks that a request is allowed.
    fn allowed(&self, state: &State, request: &Request) -> Result<(), Broken> {
        match request {
            Request::Publish { to, .. } => {
                let (subtask, epoch, _) = parse_part_name(to).ok_or("what is published is output")?;
                match state.store.get(&decision_path(subtask, epoch)) {
                    Some(decision) if is_commit(decision) => Ok(()),
                    _ if !self.decisions_stay => Ok(()),
                    _ => Err(format!("K1: {to} is published without the decision `commit`")),
                }
            }
            Request::Delete(path) if parse_part_name(path).is_some() => Err(format!("K3: {path} is removed")),
            Request::Delete(path) if path.starts_with(DECISIONS) && self.decisions_stay => {
                let (subtask, epoch) = decision_at(path).ok_or("a decision has a name")?;
                let commits = |(path, bytes): (&str, &Bytes)| {
                    is_commit(bytes) && decision_at(path).is_some_and(|(of, later)| of == subtask && later > epoch)
                };
                let oldest = state.log.1.completed.first().copied().unwrap_or_default();
                let is_commit = state.store.get(path).is_none_or(|bytes| is_commit(bytes));
                let later = state.store.below(DECISIONS).any(commits);
                if is_commit && epoch < oldest && later { Ok(()) } else { Err(format!("K5: {path} is removed")) }
            }
            _ => Ok(()),
        }
    }
}

impl Model for Commits {
    type State = State;

    fn first(&self) -> State {
        let ha = HaState {
            program: "p".into(),
            start: Time::ZERO,
            attempt: Attempt(0),
            completed: vec![],
            undecided: None,
            reserved: CheckpointId(0),
            ended: None,
        };
        let state = State {
            store: ModelStore::new(self.faults),
            log: (Term(0), ha),
            completed: BTreeSet::new(),
            begun: BTreeSet::new(),
            managers: vec![],
            sinks: vec![],
            sent: BTreeSet::new(),
            manifests: BTreeMap::new(),
            positions: BTreeMap::new(),
            damaged: BTreeSet::new(),
            failed: false,
            left: self.left,
        };
        let mut state = self.takes_over(state).unwrap_or_else(|broken| panic!("{broken}"));
        for _ in 0..self.bounds.settled {
            state.left.checkpoints = 1;
            // Takes the first step whose description begins so, for each description in turn, until no such step is
            // left.
            for words in ["a checkpoint", "the leader of term 1 writes", "the leader of term 1 hears", "subtask"] {
                while let Some((_, next)) = self.steps(&state).into_iter().find(|(said, _)| said.starts_with(words)) {
                    state = next.unwrap_or_else(|broken| panic!("{broken}"));
                }
            }
        }
        state.left = self.left;
        state.store.begin();
        state
    }

    fn steps(&self, state: &State) -> Steps {
        let mut steps = Vec::new();
        for index in 0..state.managers.len() {
            self.leads(state, index, &mut steps);
        }
        for (at, sink) in state.sinks.iter().enumerate().filter(|(_, sink)| !sink.stopped) {
            let who = format!("subtask {} of term {}, {}", SINKS[sink.index], sink.by.term.0, sink.by.attempt);
            if let Some(task) = &sink.commits {
                self.answers(state, &who, task, &mut steps, |next, answers| self.commit_goes_on(next, at, answers));
            }
            let hears = sink.index < self.bounds.hearing;
            for (_, id) in state.sent.iter().filter(|(by, id)| hears && *by == sink.by && *id > sink.told) {
                let mut next = state.clone();
                let idle = sink.commits.is_none();
                Arc::make_mut(&mut next.sinks[at]).told = *id;
                let begun = if idle { self.commits_next(&mut next, at) } else { Ok(()) };
                steps.push((format!("{who} is told of checkpoint {id}"), begun.map(|()| next)));
            }
        }
        let newest = state.log.1.completed.last();
        if let Some(newest) = newest.filter(|id| state.left.damages > 0 && !state.damaged.contains(id)) {
            let mut next = state.clone();
            next.left.damages -= 1;
            next.damaged.insert(*newest);
            steps.push((format!("the files of checkpoint {newest} rot"), Ok(next)));
        }
        if state.left.takeovers > 0 && !state.failed {
            let mut next = state.clone();
            next.left.takeovers -= 1;
            steps.push((format!("another JobManager opens term {}", state.log.0.0 + 1), self.takes_over(next)));
        }
        steps
    }

    fn fingerprint(&self, state: &State) -> u128 {
        let mut hash = Xxh3::new();
        (&state.store, hash_shown(&state.log), &state.completed, &state.begun, &state.sent).hash(&mut hash);
        for manager in &state.managers {
            (manager.term, manager.shown, manager.now.0, manager.connection, manager.written, manager.ended)
                .hash(&mut hash);
            (hash_shown(&manager.appends), &manager.decides, &manager.forgets).hash(&mut hash);
        }
        for sink in &state.sinks {
            (sink.by, sink.index, sink.position, sink.epochs, hash_shown(&sink.pending)).hash(&mut hash);
            (sink.told, &sink.commits, sink.stopped).hash(&mut hash);
        }
        state.manifests.keys().for_each(|id| id.hash(&mut hash));
        (&state.positions, &state.damaged, state.failed, state.left).hash(&mut hash);
        hash.digest128()
    }

    fn is_good(&self, state: &State) -> bool {
        let newest = state.log.1.completed.last().and_then(|id| state.positions.get(id)).copied().unwrap_or(0);
        let runs = |manager: &Arc<Manager>| manager.term == state.log.0 && manager.master.running().is_some();
        let whole = |index| {
            let mut visible: Vec<u64> =
                Self::visible(state, index).filter_map(|bytes| std::str::from_utf8(bytes).ok()?.parse().ok()).collect();
            visible.sort_unstable();
            visible == (1..=newest).collect::<Vec<_>>()
        };
        state.failed || state.managers.iter().any(runs) && (0..self.bounds.hearing).all(whole)
    }
}

#[cfg(test)]
mod tests;
