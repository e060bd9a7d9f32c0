//! The JobManager: runs one job from submission to its end. [`job_master`] decides (pure); this module carries the
//! decisions out.
//!
//! Start at [`run`]. A JobManager stands by (`standby`) until the leadership log lets it open a term ([`crate::ha`]).
//! Then it leads (`lead`): a fact arrives (a message, a store's answer, the passing of time),
//! [`job_master::JobMaster::step`] answers with commands, and the `shell` carries them out in order. A leader that is
//! superseded stands by again.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender, channel, unbounded_channel};
use tokio::sync::oneshot;

use crate::checkpoint::manifest::{Damaged, DecodeError, Manifest, OtherVersion, claims_other_version, path};
use crate::codec::encoded;
use crate::config::{CheckpointConfig, JobConfig};
use crate::connectors::file_sink::{abort_above, committed_above};
use crate::env::{
    Address, Connection, Env, First, GaveUp, InputError, Listener, Patience, Put, Receiver, Sender, Store, StoreError,
    StoreKind, TaskHandle, Trouble, Work, draw, first_of_2, put_durably,
};
use crate::event::Event;
use crate::graph::{JobBuilder, JobError, JobGraph, JobSpec};
use crate::ha::entry::{Change, HaEntry, HaState};
use crate::ha::log::{Appended, append_behind};
use crate::ids::{Attempt, CheckpointId, NodeName, Term};
use crate::taskmanager::ACCEPT_RETRY;
use crate::time::Time;
use crate::wire::{PeerError, ToJobManager, ToTaskManager};

pub mod job_master;
#[cfg(feature = "mutations")]
pub(crate) mod planted;
pub mod restart;
mod shell;
pub(crate) mod standby;
mod sweep;

use job_master::{Command, CommittedBeyond, Fact, JobMaster, LoadError};
use restart::{RestartBackoff, RestartDecision};
use shell::Shell;
use standby::{Followed, follow};
use sweep::{TRIM_PERIOD, delete_checkpoint, sweep, trim};

/// Time after which a JobManager without enough slots reports again that it waits.
pub(crate) const SLOT_REMINDER: Duration = Duration::from_secs(10);
/// First pause before a failed request to a store is repeated.
const STORE_RETRY: Duration = Duration::from_millis(50);
/// First pause before an input file that could not be read is read again.
const INPUT_RETRY: Duration = Duration::from_millis(500);
/// Name of the trouble when the leadership log cannot be read.
const LEADERSHIP_LOG: &str = "reading the leadership log";

/// Longest registration message, in bytes.
const REGISTRATION_BYTES_MAX: u32 = 4 << 10;

/// The stream of draws that gives each term the seed of its JobMaster.
const JOB_MASTER: &str = "job master";

/// The time from the moment that all tasks of an attempt run to the trigger of its first checkpoint, in a cluster
/// whose nodes were made with `seed`.
pub fn first_trigger_delay(seed: u64, term: Term, attempt: Attempt, config: &CheckpointConfig) -> Duration {
    job_master::first_delay(draw(seed, JOB_MASTER, term.0, 0), attempt, config)
}

/// The delay after the first failover of a term, in which attempt `attempt` fails, in a cluster whose nodes were made
/// with `seed`. `None` if the restart strategy allows no restart.
pub fn first_restart_delay(seed: u64, term: Term, attempt: Attempt, config: &JobConfig) -> Option<Duration> {
    let jitter = restart::jitter(draw(seed, JOB_MASTER, term.0, 0), attempt);
    match RestartBackoff::new(config).on_failure(Time::ZERO, jitter) {
        RestartDecision::Restart { after } => Some(after),
        RestartDecision::GiveUp(_) => None,
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobResult {
    /// All input was processed and all output is committed.
    Finished,
    /// The job was given up, for this reason.
    Failed(String),
}

/// Why a JobManager ends before its job does.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The program, its parameters or its input are wrong. No other JobManager can help: it would fail in the same
    /// way.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The environment of this process failed for too long. The job is not over: another JobManager, or the next life
    /// of this one, may continue it.
    #[error(transparent)]
    Environment(#[from] GaveUp),
    /// The checkpoint store holds the checkpoints of another job.
    #[error("the checkpoint store belongs to the job `{found}`, not to `{wanted}`")]
    OtherJob {
        /// The job to be started.
        wanted: String,
        /// The job that the store belongs to.
        found: String,
    },
    /// Another release of the engine wrote the files in the store; nothing was changed.
    #[error(transparent)]
    OtherVersion(#[from] OtherVersion),
}

/// How a leadership ended.
enum Led {
    /// The job is over.
    ToEnd(JobResult),
    /// Another JobManager leads, or may lead.
    Lost,
    /// Another release of the engine wrote the state to be restored.
    Refused(OtherVersion),
    /// This process cannot lead any longer.
    GaveUp(GaveUp),
}

/// Runs a job to its end, leading or standing by. If the log names completed checkpoints, the job continues from the
/// newest usable one. `listening` is called with the control address whenever this node begins to lead. If another
/// release of the engine wrote the stores, the job fails (`job-failed`), and the stores stay as they are.
pub async fn run(
    env: Env,
    spec: JobSpec,
    jobs: JobBuilder,
    mut listening: impl FnMut(&Address),
) -> Result<JobResult, RunError> {
    spec.config.validate().map_err(JobError::from)?;
    let graph = build(&env, &spec, &jobs).await?;
    loop {
        let followed = match follow(&env, &spec).await {
            Ok(followed) => followed,
            Err(error) => {
                if let RunError::OtherVersion(other) = &error {
                    // Only the other release can read the job's current attempt.
                    env.emit(Event::JobFailed { attempt: Attempt(0), cause: other.to_string() }).await;
                }
                return Err(error);
            }
        };
        match followed {
            Followed::Ended(attempt, result) => {
                // The leader that ended the job may have died before it could emit this event.
                env.emit(match &result {
                    JobResult::Finished => Event::JobFinished { attempt },
                    JobResult::Failed(cause) => Event::JobFailed { attempt, cause: cause.clone() },
                })
                .await;
                return Ok(result);
            }
            Followed::Opened(entry, asked_at, listener) => {
                listening(&entry.address);
                match lead(&env, &spec, &graph, listener, *entry, asked_at).await {
                    Led::ToEnd(result) => return Ok(result),
                    Led::Refused(other) => return Err(other.into()),
                    Led::GaveUp(error) => return Err(error.into()),
                    Led::Lost => {}
                }
            }
        }
    }
}

/// Builds the job's graph. An input file that cannot be read is tried again: it was there when the job was submitted,
/// so it may come back.
async fn build(env: &Env, spec: &JobSpec, jobs: &JobBuilder) -> Result<JobGraph, RunError> {
    let mut trouble = Trouble::new("reading the input", INPUT_RETRY);
    loop {
        match jobs(spec, env.inputs()) {
            Err(JobError::Input(error @ InputError::Unreadable { .. })) => trouble.wait(env, error).await?,
            built => {
                trouble.over(env);
                return Ok(built?);
            }
        }
    }
}

/// Leads until the job is over or another JobManager leads. Returns only after the control port is closed, because the
/// next term of this node has to open it again.
async fn lead(env: &Env, spec: &JobSpec, graph: &JobGraph, listener: Listener, entry: HaEntry, asked_at: Time) -> Led {
    let term = entry.term;
    env.emit(Event::LeadershipGranted { term }).await;
    let (facts, incoming) = unbounded_channel();
    let (closing, closed) = oneshot::channel();
    let accepting =
        env.spawn(accept(env.clone(), Door { listener, _closing: closing }, spec.config.clone(), facts.clone()));
    let ended = while_accepting(env, spec, graph, entry, asked_at, (facts, incoming)).await;
    // Dropping the handle only asks the task to end. The task has released the port once its end of `closed` is gone,
    // too (see [`Door`]).
    drop(accepting);
    if matches!(ended, Led::Lost) {
        let _ = closed.await;
    }
    ended
}

/// The loop of a leader while its control port is open.
async fn while_accepting(
    env: &Env,
    spec: &JobSpec,
    graph: &JobGraph,
    entry: HaEntry,
    asked_at: Time,
    (facts, mut incoming): (UnboundedSender<Arrived>, UnboundedReceiver<Arrived>),
) -> Led {
    let term = entry.term;
    let (log, entries) = unbounded_channel();
    let _writing = env.spawn(write_log(env.clone(), entry.clone(), entries, facts.clone()));

    let seed = env.draw(JOB_MASTER, term.0, 0);
    let (decided, state) = (spec.clone(), entry.state.clone());
    #[cfg(feature = "mutations")]
    let (decided, state) = planted::beginning(env, decided, state);
    let master = JobMaster::new(decided, graph, seed, term, state, asked_at);
    #[cfg(feature = "mutations")]
    let master = planted::Leader::around(env, spec.config.rpc_timeout, master);
    let mut master = master;
    let mut shell = Shell {
        env: env.clone(),
        store: env.store(StoreKind::Checkpoints),
        spec: spec.clone(),
        start: entry.state.start,
        term,
        log,
        facts,
        peers: BTreeMap::new(),
        deleting: channel(1),
    };
    let beyond = match output_beyond(env, &entry.state).await {
        Ok(beyond) => beyond,
        Err(error) => return Led::GaveUp(error),
    };
    let mut timer = env.timer();
    let mut commands = master.begin(env.now(), beyond);
    loop {
        for command in commands {
            match shell.obey(command).await {
                Some(Led::ToEnd(result)) => {
                    shell.deletions_done().await;
                    return Led::ToEnd(result);
                }
                Some(other) => return other,
                None => {}
            }
        }
        timer.set(Some(master.wake_at()).filter(|at| *at != Time::NEVER));
        let fact = match first_of_2(incoming.recv(), timer.wait()).await {
            First::A(Some(Arrived::Connected { node, connection, sender, receiver, register })) => {
                shell.connect(node, connection, sender, receiver);
                register
            }
            First::A(Some(Arrived::Fact(fact))) => fact,
            First::A(Some(Arrived::GaveUp(error))) => return Led::GaveUp(error),
            First::A(None) => unreachable!("the shell holds a sender of its own"),
            _ => Fact::Time,
        };
        commands = master.step(env.now(), fact);
    }
}

/// Finds committed output of an epoch above every checkpoint that the log names. If there is such output, the store
/// has lost log entries, and the output cannot be taken back.
async fn output_beyond(env: &Env, state: &HaState) -> Result<Option<CommittedBeyond>, GaveUp> {
    let newest = state.completed.last().copied().max(state.undecided).unwrap_or_default();
    let output = env.store(StoreKind::Output);
    let mut trouble = Trouble::new("reading commit decisions", STORE_RETRY);
    loop {
        match committed_above(&output, newest).await {
            Ok(found) => {
                trouble.over(env);
                return Ok(found.map(|decision| CommittedBeyond { decision, newest }));
            }
            Err(error) => trouble.wait(env, error).await?,
        }
    }
}

/// Writes this leader's log entries, one after the other.
async fn write_log(
    env: Env,
    mut last: HaEntry,
    mut entries: UnboundedReceiver<(Change, HaState)>,
    facts: UnboundedSender<Arrived>,
) {
    let store = env.store(StoreKind::Checkpoints);
    trim(&env, &last);
    while let Some((change, state)) = entries.recv().await {
        let entry = HaEntry { change: change.clone(), state, ..last.clone() };
        let fact = match append_behind(&env, &store, &last, entry.clone()).await {
            Ok(Appended::Written(position)) => {
                last = HaEntry { position, ..entry };
                if position.number.is_multiple_of(TRIM_PERIOD) {
                    trim(&env, &last);
                }
                Fact::Appended(change)
            }
            Ok(Appended::Fenced) => {
                let _ = facts.send(Arrived::Fact(Fact::Superseded));
                return;
            }
            Err(error) => {
                let _ = facts.send(Arrived::GaveUp(error));
                return;
            }
        };
        // If this fails, the leader's loop has ended, and nothing needs the fact any more.
        let _ = facts.send(Arrived::Fact(fact));
    }
}

enum Arrived {
    Connected {
        node: NodeName,
        connection: u64,
        sender: Sender,
        receiver: Receiver,
        register: Fact,
    },
    Fact(Fact),
    /// This process cannot go on.
    GaveUp(GaveUp),
}

/// The open control port. Fields are dropped in this order, so whoever sees that `_closing` is gone finds the port
/// closed.
struct Door {
    listener: Listener,
    _closing: oneshot::Sender<()>,
}

/// Accepts connections for as long as this node leads.
async fn accept(env: Env, mut door: Door, config: JobConfig, facts: UnboundedSender<Arrived>) {
    let mut number = 0;
    let mut trouble = Trouble::new("accepting control connections", ACCEPT_RETRY);
    loop {
        match door.listener.accept().await {
            Ok(connection) => {
                trouble.over(&env);
                number += 1;
                env.spawn(greet(env.clone(), connection, number, config.clone(), facts.clone())).detach();
            }
            // Either one connection failed, or the process has no file descriptor left. In both cases the port stays
            // open.
            Err(error) => {
                if let Err(error) = trouble.wait(&env, error).await {
                    let _ = facts.send(Arrived::GaveUp(error));
                    return;
                }
            }
        }
    }
}

/// Reads the first message of a connection, which must be a registration within `connect_timeout`.
async fn greet(env: Env, connection: Connection, number: u64, config: JobConfig, facts: UnboundedSender<Arrived>) {
    let Connection { sender, mut receiver } = connection;
    receiver.limit(REGISTRATION_BYTES_MAX);
    let Ok(frame) = receiver.greeting(config.connect_timeout).await else { return };
    let Ok(ToJobManager::Register { node, incarnation, slots, data }) = ToJobManager::decode(&frame.body) else {
        env.warn(format_args!("connection {number} did not begin with a registration"));
        return;
    };
    receiver.limit(config.report_bytes_max());
    let register = Fact::Registered { node: node.clone(), connection: number, incarnation, slots, data };
    let _ = facts.send(Arrived::Connected { node, connection: number, sender, receiver, register });
}

#[cfg(all(test, feature = "sim"))]
mod tests;
