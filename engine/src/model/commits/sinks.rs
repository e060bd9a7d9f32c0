//! Sinks of the model of commits: how they take a checkpoint, and how they commit.

use super::*;

impl Commits {
    /// All sinks of an attempt take a checkpoint, from trigger to manifest. With `declined` one of them declines it.
    pub(super) fn checkpoint(
        &self,
        mut state: State,
        index: usize,
        attempt: Attempt,
        declined: bool,
    ) -> Result<State, Broken> {
        let manager = Arc::make_mut(&mut state.managers[index]);
        manager.now = manager.now.max(manager.master.wake_at());
        let commands = manager.master.step(manager.now, Fact::Time);
        let triggered = commands.iter().find_map(|command| match command {
            Command::Send(_, Order::Trigger(_, id)) => Some(*id),
            _ => None,
        });
        let Some(id) = triggered else { return Err(format!("no checkpoint is triggered, but {commands:?}")) };
        self.obeys(&mut state, index, commands)?;
        let by = Execution { term: state.managers[index].term, attempt };
        let mut reports = Vec::new();
        for at in 0..state.sinks.len() {
            if state.sinks[at].by != by {
                continue;
            }
            let sink = Arc::make_mut(&mut state.sinks[at]);
            let subtask = SINKS[sink.index];
            sink.position += 1;
            let mut open = OpenTransaction::new(subtask, by.term, by.attempt);
            let path = (0..=sink.epochs).map(|_| open.next_path()).last().expect("one at least");
            sink.epochs += 1;
            let bytes = Bytes::from(sink.position.to_string());
            let path = PendingPath::new(path).map_err(|error| error.to_string())?;
            open.add_chunk(Chunk { path: path.clone(), checksum: Checksum::of(&bytes) }, 1);
            let closed = open.close(id).expect("it holds a chunk");
            sink.pending.push(Transaction { epoch: closed.epoch, chunks: closed.chunks, records: closed.records });
            let handed_in = SubtaskState { transactions: sink.pending.clone(), ..SubtaskState::default() };
            state.positions.insert(id, sink.position);
            state.store.put(path.to_string(), bytes);
            reports.push(if declined && sink.index == 1 {
                TaskReport::Decline { checkpoint: id, subtask, reason: AbortReason::Declined }
            } else {
                TaskReport::Acknowledge { checkpoint: id, subtask, state: handed_in }
            });
        }
        for report in reports {
            let fact = Self::message(&state.managers[index], attempt, report);
            self.told(&mut state, index, fact)?;
        }
        Ok(state)
    }

    /// Continues the commit of a sink's first transaction, or begins the next one.
    pub(super) fn commit_goes_on(&self, state: &mut State, at: usize, answers: Vec<Answer>) -> Result<(), Broken> {
        let sink = Arc::make_mut(&mut state.sinks[at]);
        let (subtask, by) = (SINKS[sink.index], sink.by);
        let output = self.scripted.store();
        let next = self.scripted.run(&answers, commit(&self.env, &output, by, subtask, &sink.pending[0]));
        let committed = match next {
            Next::Asks(asks) => {
                sink.commits = Some(Task { does: (), answers, asks });
                return Ok(());
            }
            Next::Ends(committed) => committed,
        };
        sink.commits = None;
        match committed {
            Ok(()) => {
                let epoch = sink.pending.remove(0).epoch;
                let parts = Self::visible(state, usize::from(subtask.index)).count();
                let numbers: BTreeSet<&[u8]> = Self::visible(state, usize::from(subtask.index)).collect();
                if numbers.len() < parts {
                    return Err(format!(
                        "exactly once: subtask {subtask} commits epoch {epoch}, and a record is visible twice"
                    ));
                }
                self.commits_next(state, at)
            }
            Err(error @ CommitError::Aborted { .. }) => {
                sink.stopped = true;
                let current = |manager: &Arc<Manager>| {
                    manager.term == state.log.0
                        && manager.term == by.term
                        && manager.master.running() == Some(by.attempt)
                };
                if state.managers.iter().any(current) {
                    return Err(format!("J3: a sink of the present attempt is refused: {error}"));
                }
                Ok(())
            }
            Err(CommitError::Store(_)) => {
                sink.stopped = true;
                Ok(())
            }
            Err(error @ (CommitError::Lost { .. } | CommitError::Conflict { .. })) => Err(format!("K4: {error}")),
        }
    }

    /// Begins the next commit that is due, or reports that all are done.
    pub(super) fn commits_next(&self, state: &mut State, at: usize) -> Result<(), Broken> {
        let sink = &state.sinks[at];
        let (told, by, subtask) = (sink.told, sink.by, SINKS[sink.index]);
        if sink.pending.first().is_some_and(|transaction| transaction.epoch <= told) {
            return self.commit_goes_on(state, at, Vec::new());
        }
        let Some(index) = state.managers.iter().position(|manager| manager.term == by.term) else { return Ok(()) };
        let report = TaskReport::Committed { checkpoint: told, subtask };
        let fact = Self::message(&state.managers[index], by.attempt, report);
        self.told(state, index, fact)
    }

    pub(super) fn visible<'a>(state: &'a State, index: usize) -> impl Iterator<Item = &'a [u8]> {
        let mine = move |(path, bytes): (&str, &'a Bytes)| {
            let (subtask, ..) = parse_part_name(path)?;
            (usize::from(subtask.index) == index).then_some(&bytes[..])
        };
        state.store.below("part-").filter_map(mine)
    }
}
