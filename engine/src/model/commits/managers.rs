//! JobManagers of the model of commits: what a [`JobMaster`] is told, and what happens to its commands.

use super::*;

impl Commits {
    /// A JobManager opens the next term.
    pub(super) fn takes_over(&self, mut state: State) -> Result<State, Broken> {
        let term = Term(state.log.0.0 + 1);
        state.log = (term, opened(state.log.1.clone()));
        state.begun.insert(state.log.1.attempt);
        let ha = state.log.1.clone();
        let newest = ha.completed.last().copied().max(ha.undecided).unwrap_or_default();
        let output = self.scripted.store();
        let beyond = self.scripted.run_quietly(&mut state.store, || committed_above(&output, newest));
        let beyond = beyond.map_err(|error| error.to_string())?.map(|decision| CommittedBeyond { decision, newest });
        let mut master = JobMaster::new(self.spec.clone(), &self.graph, 7, term, ha, Time::ZERO);
        let commands = master.begin(Time::ZERO, beyond);
        let manager = Manager {
            term,
            master,
            shown: 0,
            now: Time::ZERO,
            connection: 0,
            appends: VecDeque::new(),
            written: false,
            decides: None,
            forgets: None,
            ended: false,
        };
        state.managers.push(Arc::new(manager));
        let index = state.managers.len() - 1;
        self.obeys(&mut state, index, commands)?;
        self.registers(&mut state, index)?;
        Ok(state)
    }

    /// A new TaskManager offers its slots.
    pub(super) fn registers(&self, state: &mut State, index: usize) -> Result<(), Broken> {
        let manager = Arc::make_mut(&mut state.managers[index]);
        manager.connection += 1;
        let connection = manager.connection;
        let node = format!("tm-{connection}").into();
        let data = Address("data".into());
        self.told(state, index, Fact::Registered { node, connection, incarnation: 1, slots: 2, data })
    }

    /// Tells a JobMaster a fact and carries out everything that follows at once.
    pub(super) fn told(&self, state: &mut State, index: usize, fact: Fact) -> Result<(), Broken> {
        let manager = Arc::make_mut(&mut state.managers[index]);
        let commands = manager.master.step(manager.now, fact);
        self.obeys(state, index, commands)
    }

    pub(super) fn message(manager: &Manager, attempt: Attempt, report: TaskReport) -> Fact {
        let (node, connection) = (format!("tm-{}", manager.connection).into(), manager.connection);
        Fact::Message { node, connection, message: ToJobManager::Task(attempt, report) }
    }

    pub(super) fn obeys(&self, state: &mut State, index: usize, commands: Vec<Command>) -> Result<(), Broken> {
        let term = state.managers[index].term;
        for command in commands {
            match command {
                Command::Send(_, Order::Deploy(deployment)) => {
                    let by = Execution { term, attempt: deployment.attempt };
                    if !state.begun.contains(&by.attempt) {
                        return Err(format!("J4: {} is deployed, and the log does not name it", by.attempt));
                    }
                    let restored = deployment.checkpoint;
                    let position = restored.map_or(0, |id| state.positions[&id]);
                    for (subtask, SubtaskState { transactions, .. }) in &deployment.subtasks {
                        let output = self.scripted.store();
                        let removed = self.scripted.run_quietly(&mut state.store, || {
                            remove_leftovers(&self.env, &output, *subtask, by, transactions)
                        });
                        removed.map_err(|error| error.to_string())?;
                        state.sinks.push(Arc::new(Sink {
                            by,
                            index: usize::from(subtask.index),
                            position,
                            epochs: 0,
                            pending: transactions.clone(),
                            told: CheckpointId(0),
                            commits: None,
                            stopped: false,
                        }));
                    }
                    for subtask in deployment.subtasks.keys() {
                        let running = Self::message(&state.managers[index], by.attempt, TaskReport::Running(*subtask));
                        self.told(state, index, running)?;
                    }
                }
                Command::Send(_, Order::Completed(attempt, id)) => {
                    if !state.completed.contains(&id) {
                        return Err(format!("C2: sinks are told of checkpoint {id}, and the log does not name it"));
                    }
                    state.sent.insert((Execution { term, attempt }, id));
                }
                Command::Load(id) => {
                    let path = format!("chk-{id}/_metadata");
                    let damaged = || Damaged { path, expected: "the manifest".into(), found: "rot".into() };
                    let loaded = match state.manifests.get(&id) {
                        _ if state.damaged.contains(&id) => Err(LoadError::Damaged(damaged())),
                        Some(manifest) => Ok(Box::new(Manifest::clone(manifest))),
                        None => return Err(format!("C3: checkpoint {id} is to be restored, and was removed")),
                    };
                    self.told(state, index, Fact::Loaded(id, loaded))?;
                }
                Command::Seal { id, attempt, triggered_at, states } => {
                    let (job, start) = (self.spec.clone(), Time::ZERO);
                    let manifest =
                        Manifest { checkpoint: id, attempt, term, job, start, triggered_at, subtasks: states };
                    state.manifests.insert(id, Arc::new(manifest));
                    self.told(state, index, Fact::Sealed(id, true))?;
                }
                Command::AbortAbove { restored, highest, .. } => {
                    self.goes_on(state, index, Does::AbortsAbove { restored, highest }, Vec::new())?;
                }
                Command::Delete(id) => drop(state.manifests.remove(&id)),
                Command::Append(change, ha) => {
                    Arc::make_mut(&mut state.managers[index]).appends.push_back((change, ha));
                }
                Command::Sweep { last, .. } => self.told(state, index, Fact::Swept { last })?,
                Command::End(JobResult::Failed(cause)) => {
                    if state.damaged.is_empty() || !cause.contains("falling back is not possible") {
                        return Err(format!("the job failed: {cause}"));
                    }
                    state.failed = true;
                    Arc::make_mut(&mut state.managers[index]).ended = true;
                }
                Command::StepDown => Arc::make_mut(&mut state.managers[index]).ended = true,
                Command::Emit(Event::FellBack { from, to }) => self.fell_back(state, from, to)?,
                Command::End(JobResult::Finished) | Command::Refuse(_) => {
                    return Err(format!("out of nowhere: {command:?}"));
                }
                Command::Send(..) | Command::Emit(_) | Command::Disconnect(..) => {}
            }
        }
        let manager = Arc::make_mut(&mut state.managers[index]);
        manager.shown = xxh3_64(manager.master.shown().as_bytes());
        Ok(())
    }

    pub(super) fn fell_back(&self, state: &State, from: CheckpointId, to: Option<CheckpointId>) -> Result<(), Broken> {
        for subtask in SINKS {
            for epoch in to.unwrap_or_default().0 + 1..=from.0 {
                let path = decision_path(subtask, CheckpointId(epoch));
                // A torn decision is readable, too.
                if state.store.get(&path).is_none_or(|bytes| is_commit(bytes)) {
                    return Err(format!("J3: the job fell back, and {path} is not `abort`"));
                }
            }
        }
        Ok(())
    }

    /// A procedure of a JobManager runs to its next request or to its end.
    pub(super) fn goes_on(
        &self,
        state: &mut State,
        index: usize,
        does: Does,
        answers: Vec<Answer>,
    ) -> Result<(), Broken> {
        let output = self.scripted.store();
        let next: Next<Option<Aborts>> = match &does {
            Does::AbortsAbove { restored, highest } => {
                self.scripted.run(&answers, async { Some(abort_above(&output, &SINKS, *restored, *highest).await) })
            }
            Does::Forgets(oldest) => self.scripted.run(&answers, async {
                // After an error the removal is left to the next time.
                let _ = forget_commits(&output, *oldest).await;
                #[cfg(feature = "mutations")]
                let _ = crate::jobmanager::planted::trim(&self.env, None, Some(*oldest)).await;
                None
            }),
        };
        let manager = Arc::make_mut(&mut state.managers[index]);
        let decides = matches!(does, Does::AbortsAbove { .. });
        let slot = if decides { &mut manager.decides } else { &mut manager.forgets };
        match next {
            Next::Asks(asks) => *slot = Some(Task { does, answers, asks }),
            Next::Ends(decided) => {
                *slot = None;
                if let Some(decided) = decided {
                    self.told(state, index, Fact::AbortsDecided(decided))?;
                }
            }
        }
        Ok(())
    }

    /// Adds the steps of JobManager `index`: what it may begin, and what it may learn about its log.
    pub(super) fn leads(&self, state: &State, index: usize, steps: &mut Steps) {
        let manager = &state.managers[index];
        let who = format!("the leader of term {}", manager.term.0);
        for task in manager.decides.iter().chain(&manager.forgets) {
            self.answers(state, &who, task, steps, |next, answers| {
                self.goes_on(next, index, task.does.clone(), answers)
            });
        }
        if manager.ended {
            return;
        }
        let mut step = |said: String, act: &dyn Fn(&mut State) -> Result<(), Broken>| {
            let mut next = state.clone();
            steps.push((said, act(&mut next).map(|()| next)));
        };
        if let Some((change, ha)) = manager.appends.front() {
            if manager.written {
                step(format!("{who} hears that its entry stands: {change:?}"), &|next| {
                    let manager = Arc::make_mut(&mut next.managers[index]);
                    manager.written = false;
                    let (change, _) = manager.appends.pop_front().expect("it stands at the front");
                    self.told(next, index, Fact::Appended(change))
                });
            } else if manager.term < state.log.0 {
                step(format!("{who} finds out that another leads"), &|next| self.told(next, index, Fact::Superseded));
            } else {
                step(format!("{who} writes {change:?}"), &|next| {
                    Arc::make_mut(&mut next.managers[index]).written = true;
                    next.log.1 = ha.clone();
                    next.completed.extend(ha.completed.last());
                    next.begun.insert(ha.attempt);
                    Ok(())
                });
            }
        }
        if let Some(attempt) = manager.master.running() {
            let at_rest = manager.appends.is_empty();
            if at_rest && state.left.checkpoints > 0 {
                for declined in [false, true].into_iter().take(1 + usize::from(state.left.declines > 0)) {
                    let how = if declined { "is declined by subtask 0#1" } else { "is taken" };
                    step(format!("a checkpoint of term {}, {attempt} {how}", manager.term.0), &|next| {
                        next.left.checkpoints -= 1;
                        next.left.declines -= u8::from(declined);
                        *next = self.checkpoint(next.clone(), index, attempt, declined)?;
                        Ok(())
                    });
                }
            }
            if state.left.failures > 0 {
                step(
                    format!(
                        "the TaskManager of term {}, {attempt} is cut off, and there is another one",
                        manager.term.0
                    ),
                    &|next| {
                        next.left.failures -= 1;
                        let connection = next.managers[index].connection;
                        let (node, cause) = (format!("tm-{connection}").into(), NetError::Reset.into());
                        self.told(next, index, Fact::Disconnected { node, connection, cause })?;
                        self.registers(next, index)
                    },
                );
            }
        }
        if state.left.removals > 0
            && manager.forgets.is_none()
            && let Some(oldest) = state.log.1.completed.first().filter(|_| manager.term == state.log.0)
        {
            step(format!("{who} removes decisions below {oldest}"), &|next| {
                next.left.removals -= 1;
                self.goes_on(next, index, Does::Forgets(*oldest), Vec::new())
            });
        }
    }
}
