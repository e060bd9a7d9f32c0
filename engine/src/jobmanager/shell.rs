//! Carries out what the job master decides: orders to TaskManagers, reads and writes of the stores, events.

use super::*;

pub(super) struct Peer {
    connection: u64,
    outbox: UnboundedSender<ToTaskManager>,
    _tasks: [TaskHandle; 2],
}

pub(super) struct Shell {
    pub(super) env: Env,
    pub(super) store: Store,
    pub(super) spec: JobSpec,
    pub(super) start: Time,
    pub(super) term: Term,
    pub(super) log: UnboundedSender<(Change, HaState)>,
    pub(super) facts: UnboundedSender<Arrived>,
    pub(super) peers: BTreeMap<NodeName, Peer>,
    /// Every running deletion holds a clone of the sender, so the channel closes when all have ended. Nothing is ever
    /// sent.
    pub(super) deleting: (mpsc::Sender<()>, mpsc::Receiver<()>),
}

impl Shell {
    pub(super) fn connect(&mut self, node: NodeName, connection: u64, mut sender: Sender, mut receiver: Receiver) {
        let (outbox, mut orders) = unbounded_channel::<ToTaskManager>();
        let writing = self.env.spawn(async move {
            while let Some(message) = orders.recv().await {
                if sender.send(encoded(&message).into()).await.is_err() {
                    // The reading side sees the same error and reports it.
                    return;
                }
            }
        });
        let (facts, name) = (self.facts.clone(), node.clone());
        let reading = self.env.spawn(async move {
            loop {
                let message = match receiver.receive().await {
                    Ok(frame) => ToJobManager::decode(&frame.body).map_err(PeerError::from),
                    Err(error) => Err(error.into()),
                };
                let (fact, ended) = match message {
                    Ok(message) => (Fact::Message { node: name.clone(), connection, message }, false),
                    Err(error) => (Fact::Disconnected { node: name.clone(), connection, cause: error }, true),
                };
                if facts.send(Arrived::Fact(fact)).is_err() || ended {
                    return;
                }
            }
        });
        self.peers.insert(node, Peer { connection, outbox, _tasks: [writing, reading] });
    }

    /// Carries out one command. Returns how this leadership ended if the command ends it.
    pub(super) async fn obey(&mut self, command: Command) -> Option<Led> {
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
                let (env, store) = (self.env.clone(), self.store.clone());
                self.background(async move { Fact::Loaded(id, load(&env, &store, id).await.map(Box::new)) });
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
                    // The state was decoded from messages and is encoded into the manifest, so its bytes are charged
                    // twice.
                    inline_state(&env, 2 * manifest.inline_bytes()).await;
                    Fact::Sealed(id, seal(&env, &store, id, manifest.encode()).await)
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
            Command::Append(change, state) => {
                // This fails only if the writer has ended, and the writer has then reported why.
                let _ = self.log.send((change, state));
            }
            Command::Sweep { keep, up_to, last } => {
                let (env, term, deleting) = (self.env.clone(), self.term, self.deleting.0.clone());
                self.background(async move {
                    match sweep(&env, &keep, up_to, last).await {
                        Ok(removed) => env.emit(Event::SweepEnded { term, removed }).await,
                        Err(error) => env.warn(format_args!("files that belong to no checkpoint stay behind: {error}")),
                    }
                    drop(deleting);
                    Fact::Swept { last }
                });
            }
            Command::End(result) => return Some(Led::ToEnd(result)),
            Command::StepDown => return Some(Led::Lost),
            Command::Refuse(other) => return Some(Led::Refused(other)),
        }
        None
    }

    /// Waits until no deletion is running, because after the end of the job nobody would finish it.
    pub(super) async fn deletions_done(self) {
        let (mine, mut others) = self.deleting;
        drop(mine);
        others.recv().await;
    }

    fn background(&self, work: impl Future<Output = Fact> + Send + 'static) {
        let facts = self.facts.clone();
        let task = self.env.spawn(async move {
            // If this fails, the leader's loop has ended, and nothing needs the fact any more.
            let _ = facts.send(Arrived::Fact(work.await));
        });
        task.detach();
    }
}

/// Charges the work of encoding or decoding so many bytes of state.
async fn inline_state(env: &Env, bytes: u64) {
    if bytes > 0 {
        env.charge(Work::Inline { bytes }).await;
    }
}

/// Writes a manifest and reads it back: what was read back decides, whatever the store answered to the write. Returns
/// true once the manifest is durable, false if it could not be made durable. An unfinished manifest does no harm,
/// because the log does not name it yet.
async fn seal(env: &Env, store: &Store, id: CheckpointId, manifest: Bytes) -> bool {
    let path = path(id);
    match put_durably(env, store, &path, manifest, true).await {
        Ok(Put::Written) => return true,
        // A torn object cannot be replaced, so this checkpoint fails. The next one has another name.
        Ok(Put::Differs(_)) => env.warn(format_args!("{path} is not what was written")),
        Err(error) => env.warn(format_args!("{path}: {error}")),
    }
    false
}

/// Finds the first of these checkpoints whose manifest another release of the engine wrote. A manifest that cannot be
/// read is left to the restore: only a manifest that is whole proves its version.
pub(super) async fn of_other_version(env: &Env, store: &Store, ids: &[CheckpointId]) -> Option<OtherVersion> {
    for path in ids.iter().map(|id| path(*id)) {
        let mut tried = 0;
        loop {
            let error = match store.head(&path).await {
                Ok(Some(head)) if claims_other_version(&head) => match store.get(&path).await {
                    Ok(bytes) => match Manifest::decode(&bytes, &path) {
                        Err(DecodeError::OtherVersion(other)) => return Some(other),
                        Ok(_) | Err(DecodeError::Damaged(_)) => break,
                    },
                    Err(error) => error,
                },
                Ok(_) | Err(StoreError::NotFound { .. }) => break,
                Err(error) => error,
            };
            tried += 1;
            match Patience::READ.pause_after(tried) {
                Some(pause) => env.sleep(pause).await,
                None => {
                    env.warn(format_args!("format version of a manifest: {error}"));
                    break;
                }
            }
        }
    }
    None
}

async fn load(env: &Env, store: &Store, id: CheckpointId) -> Result<Manifest, LoadError> {
    let path = path(id);
    let mut tried = 0;
    loop {
        let (error, patience) = match store.get(&path).await {
            Ok(bytes) => match Manifest::decode(&bytes, &path) {
                Ok(manifest) if manifest.checkpoint == id => {
                    // The state was decoded from the manifest and is encoded into orders to deploy, so its bytes are
                    // charged twice.
                    inline_state(env, 2 * manifest.inline_bytes()).await;
                    return Ok(manifest);
                }
                // The manifest is whole, but of another checkpoint: somebody moved files.
                Ok(manifest) => {
                    let expected = format!("the manifest of checkpoint {id}");
                    let found = format!("that of checkpoint {}", manifest.checkpoint);
                    (LoadError::Damaged(Damaged { path: path.clone(), expected, found }), Patience::READ)
                }
                Err(DecodeError::Damaged(damaged)) => (LoadError::Damaged(damaged), Patience::READ),
                // The manifest is whole, so reading it again cannot give another answer.
                Err(DecodeError::OtherVersion(other)) => return Err(LoadError::OtherVersion(other)),
            },
            Err(StoreError::NotFound { path }) => {
                let (expected, found) = ("the manifest".into(), "no such file".into());
                (LoadError::Damaged(Damaged { path, expected, found }), Patience::LOSS)
            }
            Err(error) => (LoadError::Store(error), Patience::READ),
        };
        tried += 1;
        // A store may answer with an older state for a while, so one failed read does not condemn a checkpoint.
        match patience.pause_after(tried) {
            Some(pause) => env.sleep(pause).await,
            None => return Err(error),
        }
    }
}
