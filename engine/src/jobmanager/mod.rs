//! The JobManager: one job, from submission to its end. Decisions are in [`job_master`] (pure); here they are carried out.
//!
//! Start at [`run`]. A fact arrives (a message, a store's answer, time), [`job_master::JobMaster::step`] answers with
//! commands, and they are obeyed in order. Durable facts of a job, in the checkpoint store beside its checkpoints:
//! `job` (the submission and the arrival of the first record) and `terms/N` (one object per JobManager that ever led it).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{self, UnboundedSender, channel, unbounded_channel};

use crate::checkpoint::manifest::{Damaged, Manifest, checkpoint_of_folder, folder, path};
use crate::connectors::file_sink::{DECISIONS, abort_above, is_aborted};
use crate::env::{
    Connection, Env, First, NetError, Port, Receiver, Sender, Store, StoreError, StoreKind, TaskHandle, first_of_2,
};
use crate::event::Event;
use crate::graph::element::{decode, encoded};
use crate::graph::{JobBuilder, JobError, JobSpec};
use crate::ids::{CheckpointId, NodeName, Term};
use crate::mutation::Mutation;
use crate::taskmanager::ACCEPT_RETRY;
use crate::time::Time;
use crate::wire::{ToJobManager, ToTaskManager};

pub mod job_master;

use job_master::{Command, Fact, JobMaster, LoadError};

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobResult {
    /// All input processed, all output committed.
    Finished,
    /// Given up, for this reason.
    Failed(String),
}

/// Why a job could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program, its parameters or its input.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The store.
    #[error("checkpoint store: {0}")]
    Store(#[from] StoreError),
    /// The control port.
    #[error("control port: {0}")]
    Network(#[from] NetError),
    /// Another job's checkpoints.
    #[error("the checkpoint store belongs to the job `{found}`, not to `{wanted}`")]
    OtherJob {
        /// The job to be started.
        wanted: String,
        /// The job found.
        found: String,
    },
    /// A file that cannot be read.
    #[error("{0}")]
    Damaged(#[from] Damaged),
}

/// What a job's store says about it beside its checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct JobFacts {
    program: String,
    start: Time,
}

/// What a JobManager finds in the store of its job.
struct Recovered {
    term: Term,
    start: Time,
    completed: Vec<CheckpointId>,
    /// Folders without a manifest: checkpoints that nobody will complete.
    unfinished: Vec<CheckpointId>,
    next_id: CheckpointId,
}

/// Runs a job to its end. A job whose store holds completed checkpoints goes on from the newest usable one.
pub async fn run(
    env: Env,
    spec: JobSpec,
    jobs: JobBuilder,
    listening: impl FnOnce(&crate::env::Address),
) -> Result<JobResult, StartError> {
    spec.config.validate().map_err(JobError::from)?;
    let graph = jobs(&spec, env.inputs())?;
    let mut listener = env.listen(Port::Control).await?;
    listening(&listener.address());
    let store = env.store(StoreKind::Checkpoints);
    let recovered = recover(&env, &store, &spec).await?;
    env.emit(Event::LeadershipGranted { term: recovered.term }).await;
    for id in &recovered.unfinished {
        if let Err(error) = delete_checkpoint(&store, *id).await {
            env.warn(format_args!("files of the unfinished checkpoint {id} stay behind: {error}"));
        }
    }

    let (facts, mut incoming) = unbounded_channel();
    let accepting = (env.clone(), facts.clone());
    let _accepting = env.spawn(async move {
        let (env, facts) = accepting;
        let mut number = 0;
        loop {
            match listener.accept().await {
                Ok(connection) => {
                    number += 1;
                    env.spawn(greet(env.clone(), connection, number, facts.clone())).detach();
                }
                Err(error) => {
                    // One connection failed, or the process has no descriptor left: the port stays open.
                    env.warn(format_args!("control port: {error}"));
                    env.sleep(ACCEPT_RETRY).await;
                }
            }
        }
    });

    let start = recovered.start;
    let term = recovered.term;
    let seed = env.draw("job master", term.0, 0);
    let mut master = JobMaster::new(spec.clone(), &graph, start, seed, recovered.completed, recovered.next_id);
    if env.mutated(Mutation::SkipFencing) {
        master.skip_fencing();
    }
    let mut shell =
        Shell { env: env.clone(), store, spec, start, term, facts, peers: BTreeMap::new(), deleting: channel(1) };
    let mut timer = env.timer();
    let mut commands = master.step(env.now(), Fact::Time);
    loop {
        for command in commands {
            if let Some(result) = shell.obey(command).await {
                shell.deletions_done().await;
                return Ok(result);
            }
        }
        timer.set(Some(master.wake_at()).filter(|at| *at != Time::NEVER));
        let fact = match first_of_2(incoming.recv(), timer.wait()).await {
            First::A(Some(Arrived::Connected { node, connection, sender, receiver, register })) => {
                shell.connect(node, connection, sender, receiver);
                register
            }
            First::A(Some(Arrived::Fact(fact))) => fact,
            First::A(None) => unreachable!("the shell holds a sender of its own"),
            _ => Fact::Time,
        };
        commands = master.step(env.now(), fact);
    }
}

enum Arrived {
    Connected { node: NodeName, connection: u64, sender: Sender, receiver: Receiver, register: Fact },
    Fact(Fact),
}

/// Reads a connection's first message.
async fn greet(env: Env, connection: Connection, number: u64, facts: UnboundedSender<Arrived>) {
    let Connection { sender, mut receiver } = connection;
    let Ok(frame) = receiver.receive().await else { return };
    let Ok(ToJobManager::Register { node, incarnation, slots, data }) = decode(&mut &frame.body[..]) else {
        env.warn(format_args!("connection {number} did not begin with a registration"));
        return;
    };
    let register = Fact::Registered { node: node.clone(), connection: number, incarnation, slots, data };
    let _ = facts.send(Arrived::Connected { node, connection: number, sender, receiver, register });
}

struct Peer {
    connection: u64,
    outbox: UnboundedSender<ToTaskManager>,
    _tasks: [TaskHandle; 2],
}

struct Shell {
    env: Env,
    store: Store,
    spec: JobSpec,
    start: Time,
    term: Term,
    facts: UnboundedSender<Arrived>,
    peers: BTreeMap<NodeName, Peer>,
    /// Every deletion under way holds a clone of the sender; nothing is ever sent.
    deleting: (mpsc::Sender<()>, mpsc::Receiver<()>),
}

impl Shell {
    fn connect(&mut self, node: NodeName, connection: u64, mut sender: Sender, mut receiver: Receiver) {
        let (outbox, mut orders) = unbounded_channel::<ToTaskManager>();
        let writing = self.env.spawn(async move {
            while let Some(message) = orders.recv().await {
                if sender.send(encoded(&message).into()).await.is_err() {
                    // The reading side sees the same and says so.
                    return;
                }
            }
        });
        let (facts, name) = (self.facts.clone(), node.clone());
        let reading = self.env.spawn(async move {
            loop {
                let message = match receiver.receive().await {
                    Ok(frame) => decode(&mut &frame.body[..]).map_err(|error| NetError::Other(error.to_string())),
                    Err(error) => Err(error),
                };
                let (fact, ended) = match message {
                    Ok(message) => (Fact::Message { node: name.clone(), connection, message }, false),
                    Err(error) => {
                        (Fact::Disconnected { node: name.clone(), connection, cause: error.to_string() }, true)
                    }
                };
                if facts.send(Arrived::Fact(fact)).is_err() || ended {
                    return;
                }
            }
        });
        self.peers.insert(node, Peer { connection, outbox, _tasks: [writing, reading] });
    }

    /// Carries out one command; the job's result if that ends it.
    async fn obey(&mut self, command: Command) -> Option<JobResult> {
        match command {
            Command::Send(node, order) => {
                if let Some(peer) = self.peers.get(&node) {
                    let _ = peer.outbox.send(ToTaskManager { term: self.term, order });
                }
            }
            Command::Emit(event) => self.env.emit(event).await,
            Command::Disconnect(node, connection) => {
                if self.peers.get(&node).is_some_and(|peer| peer.connection == connection) {
                    self.peers.remove(&node);
                }
            }
            Command::Load(id) => {
                let store = self.store.clone();
                self.background(async move { Fact::Loaded(id, load(&store, id).await.map(Box::new)) });
            }
            Command::Seal { id, attempt, triggered_at, states } => {
                let manifest = Manifest {
                    checkpoint: id,
                    attempt,
                    term: self.term,
                    job: self.spec.clone(),
                    start: self.start,
                    triggered_at,
                    subtasks: states,
                };
                let (env, store) = (self.env.clone(), self.store.clone());
                self.background(async move {
                    let written = store.create(&path(id), manifest.encode()).await;
                    if let Err(error) = &written {
                        env.warn(format_args!("manifest of checkpoint {id}: {error}"));
                    }
                    Fact::Sealed(id, matches!(written, Ok(true)))
                });
            }
            Command::AbortAbove { restored, highest, sinks } => {
                let output = self.env.store(StoreKind::Output);
                self.background(
                    async move { Fact::AbortsDecided(abort_above(&output, &sinks, restored, highest).await) },
                );
            }
            Command::Delete(id) => {
                let (env, store, deleting) = (self.env.clone(), self.store.clone(), self.deleting.0.clone());
                let task = self.env.spawn(async move {
                    if let Err(error) = delete_checkpoint(&store, id).await {
                        env.warn(format_args!("files of checkpoint {id} stay behind: {error}"));
                    }
                    drop(deleting);
                });
                task.detach();
            }
            Command::End(result) => return Some(result),
        }
        None
    }

    /// Returns when no deletion is under way: after the end nobody would finish it.
    async fn deletions_done(self) {
        let (mine, mut others) = self.deleting;
        drop(mine);
        others.recv().await;
    }

    fn background(&self, work: impl Future<Output = Fact> + Send + 'static) {
        let facts = self.facts.clone();
        let task = self.env.spawn(async move {
            // The loop that reads facts outlives every task but itself.
            let _ = facts.send(Arrived::Fact(work.await));
        });
        task.detach();
    }
}

async fn load(store: &Store, id: CheckpointId) -> Result<Manifest, LoadError> {
    let path = path(id);
    match store.get(&path).await {
        Ok(bytes) => Manifest::decode(&bytes, &path).map_err(LoadError::Damaged),
        Err(StoreError::NotFound { path }) => {
            Err(LoadError::Damaged(Damaged { path, expected: "the manifest".into(), found: "no such file".into() }))
        }
        Err(error) => Err(LoadError::Store(error.to_string())),
    }
}

async fn delete_checkpoint(store: &Store, id: CheckpointId) -> Result<(), StoreError> {
    let mut files = store.list(&folder(id)).await?;
    // The manifest goes first: what is half deleted must not look complete.
    files.sort_by_key(|(name, _)| !name.ends_with("/_metadata"));
    for (file, _) in files {
        store.delete(&file).await?;
    }
    Ok(())
}

async fn recover(env: &Env, store: &Store, spec: &JobSpec) -> Result<Recovered, StartError> {
    let facts = JobFacts { program: spec.program.clone(), start: env.input_now() };
    let mine = serde_json::to_vec(&facts).expect("plain data");
    let facts = match store.create("job", Bytes::from(mine)).await? {
        true => facts,
        false => {
            let bytes = store.get("job").await?;
            let damaged = |error: serde_json::Error| Damaged {
                path: "job".into(),
                expected: "the job's durable facts".into(),
                found: error.to_string(),
            };
            serde_json::from_slice::<JobFacts>(&bytes).map_err(damaged)?
        }
    };
    if facts.program != spec.program {
        return Err(StartError::OtherJob { wanted: spec.program.clone(), found: facts.program });
    }
    let mut term = 1 + store.list("terms").await?.len() as u64;
    while !store.create(&format!("terms/{term:08}"), Bytes::from(env.node().to_string())).await? {
        term += 1;
    }
    let mut seen: BTreeMap<CheckpointId, bool> = BTreeMap::new();
    for (file, _) in store.list("").await? {
        if let Some((folder, name)) = file.split_once('/')
            && let Some(id) = checkpoint_of_folder(folder)
        {
            *seen.entry(id).or_default() |= name == "_metadata";
        }
    }
    // A checkpoint that the job fell back behind has no files any more, but its epoch was decided, and is spent (C1).
    let output = env.store(StoreKind::Output);
    let mut highest = seen.keys().last().copied();
    for (path, _) in output.list(DECISIONS).await? {
        let Some(epoch) = path.rsplit('/').next().and_then(|name| name.parse().ok()).map(CheckpointId) else {
            continue;
        };
        highest = highest.max(Some(epoch));
        // A checkpoint that the job fell back behind, and whose files were not deleted before the JobManager died: its
        // output can never be committed, so it cannot be restored.
        if seen.get(&epoch) == Some(&true) && is_aborted(&output, &path).await? {
            seen.insert(epoch, false);
        }
    }
    let next_id = highest.map_or(CheckpointId(1), CheckpointId::next);
    let ids = |complete: bool| seen.iter().filter(move |(_, is)| **is == complete).map(|(id, _)| *id).collect();
    Ok(Recovered { term: Term(term), start: facts.start, completed: ids(true), unfinished: ids(false), next_id })
}

/// Pause after which a JobManager without TaskManagers says again that it waits.
pub(crate) const SLOT_REMINDER: Duration = Duration::from_secs(10);
