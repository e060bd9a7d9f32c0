//! Arbitrary sequences of facts: whatever TaskManagers send and stores answer, the JobMaster keeps its invariants.

use super::*;

#[derive(Debug, Clone)]
enum Input {
    /// So many milliseconds pass.
    Pass(u64),
    /// The node's clock jumps back by so many milliseconds.
    Back(u64),
    /// Time passes until something is due.
    Wake,
    Register(u32, u16),
    /// The flag says whether it is an old connection, which was given up.
    Disconnect(u32, bool),
    /// One report; the two numbers are offsets that move attempt and checkpoint away from the current ones.
    Report(u32, Report, u16, i8, i8),
    /// Every subtask sends the same report, with correct numbers.
    All(Report),
    Heartbeat(u32, bool),
    Canceled(u32, i8),
    /// Every TaskManager answers a cancellation.
    AllCanceled,
    /// The store answers its oldest open request.
    Answer(Answer),
}

#[derive(Debug, Clone, Copy)]
enum Report {
    Running,
    Failed,
    Damaged,
    EndOfInput,
    Acknowledge,
    Decline,
    Committed,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Good,
    Bad,
    Error,
}

fn report() -> impl Strategy<Value = Report> {
    use Report::*;
    prop::sample::select(vec![Running, Failed, Damaged, EndOfInput, Acknowledge, Decline, Committed])
}

fn input() -> impl Strategy<Value = Input> {
    let shift = || prop_oneof![6 => Just(0i8), 1 => -2..3i8];
    let good = prop::sample::select(vec![Report::Running, Report::Acknowledge, Report::Committed]);
    prop_oneof![
        3 => (0..400u64).prop_map(Input::Pass),
        1 => (0..2000u64).prop_map(Input::Back),
        4 => Just(Input::Wake),
        3 => (0..3u32, 0..3u16).prop_map(|(tm, slots)| Input::Register(tm, slots)),
        1 => (0..3u32, any::<bool>()).prop_map(|(tm, old)| Input::Disconnect(tm, old)),
        3 => (0..3u32, report(), 0..4u16, shift(), shift()).prop_map(|(tm, r, of, a, c)| Input::Report(tm, r, of, a, c)),
        6 => good.prop_map(Input::All),
        1 => Just(Input::All(Report::EndOfInput)),
        2 => (0..3u32, any::<bool>()).prop_map(|(tm, old)| Input::Heartbeat(tm, old)),
        1 => (0..3u32, shift()).prop_map(|(tm, shift)| Input::Canceled(tm, shift)),
        2 => Just(Input::AllCanceled),
        6 => prop_oneof![4 => Just(Answer::Good), 1 => Just(Answer::Bad), 1 => Just(Answer::Error)].prop_map(Input::Answer),
    ]
}

fn config() -> impl Strategy<Value = JobConfig> {
    let restarts = prop_oneof![3 => Just(None), 1 => (0..3u32).prop_map(Some)];
    let numbers = (0..3u32, 1..3u32, restarts);
    (numbers, any::<[bool; 4]>()).prop_map(|((tolerable, retained, restart_attempts), [pause, delay, stable, slow])| {
        let mut config = JobConfig {
            parallelism: 2,
            heartbeat_interval: ms(200),
            heartbeat_timeout: ms(1000),
            restart_delay: if delay { ms(50) } else { Duration::ZERO },
            slot_stabilization: if stable { ms(10) } else { Duration::ZERO },
            notify_retry: ms(100),
            restart_attempts,
            ..JobConfig::default()
        };
        config.checkpoints.interval = ms(if slow { 500 } else { 100 });
        config.checkpoints.timeout = ms(300);
        config.checkpoints.min_pause = if pause { ms(50) } else { Duration::ZERO };
        config.checkpoints.tolerable_failed = tolerable;
        config.checkpoints.retained = retained;
        assert_eq!(config.validate(), Ok(()));
        config
    })
}

/// A request that the store has not answered yet.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Load(CheckpointId),
    Seal(CheckpointId),
    Aborts,
    Append(usize),
    Sweep { last: bool },
}

/// The world around a JobMaster, with what the checks need to remember.
struct World {
    story: Story,
    asked: Vec<Asked>,
    /// TaskManagers that were sent tasks, by attempt, until they are lost or report that the tasks are gone.
    tasks: BTreeMap<NodeName, Attempt>,
    deployed: Attempt,
    triggered: CheckpointId,
    /// Entries asked for, in order.
    log: Vec<Change>,
    /// Entries that are durable.
    logged: usize,
    durable: BTreeSet<CheckpointId>,
    deleted: BTreeSet<CheckpointId>,
    ended: bool,
}

impl World {
    fn new(config: JobConfig, completed: &[u64]) -> Self {
        let next = completed.last().map_or(1, |newest| newest + 2);
        let story = rough(Story::recovered(completed, next, |own| *own = config));
        let durable = completed.iter().copied().map(CheckpointId).collect();
        let triggered = CheckpointId(next - 1);
        let (tasks, deleted) = (BTreeMap::new(), BTreeSet::new());
        let log = vec![Change::AttemptBegun(Attempt(1))];
        let (asked, deployed, logged) = (Vec::new(), Attempt(0), 1);
        Self { story, asked, tasks, deployed, triggered, log, logged, durable, deleted, ended: false }
    }

    fn step(&mut self, fact: Fact) {
        self.obey(fact);
        // The JobMaster must not loop: after a few rounds at the same time nothing may be due any more.
        let mut rounds = 0;
        while self.story.master.wake_at() <= self.story.now {
            let due = self.story.master.wake_at();
            let said = self.obey(Fact::Time);
            assert!(said > 0 || self.story.master.wake_at() > due, "woken for nothing at {due}");
            rounds += 1;
            assert!(rounds < 5, "busy loop at {due}");
        }
    }

    fn obey(&mut self, fact: Fact) -> usize {
        self.story.step(fact);
        let said = self.story.said.clone();
        assert!(!self.ended || said.is_empty(), "the job is over: {said:?}");
        for command in &said {
            self.check(command);
        }
        if self.ended {
            assert_eq!(self.story.master.wake_at(), Time::NEVER);
        }
        said.len()
    }

    fn check(&mut self, command: &Command) {
        match command {
            Command::Send(node, Order::Deploy(deployment)) => {
                let attempt = deployment.attempt;
                assert!(self.log[..self.logged].contains(&Change::AttemptBegun(attempt)), "J4");
                assert!(attempt >= self.deployed, "J1: attempts only grow");
                assert!(self.tasks.values().all(|other| *other == attempt), "J1: {:?} and {attempt}", self.tasks);
                assert!(attempt > self.deployed || !self.tasks.contains_key(node), "J1: deployed twice");
                assert!(deployment.checkpoint.is_none_or(|id| self.durable.contains(&id)));
                self.tasks.insert(node.clone(), attempt);
                self.deployed = attempt;
            }
            Command::Send(_, Order::Trigger(_, id)) => assert_eq!(*id, self.triggered),
            Command::Emit(Event::CheckpointTriggered { attempt, checkpoint, .. }) => {
                assert!(*checkpoint > self.triggered, "C1: ids only grow");
                assert_eq!(*attempt, self.deployed, "only a deployed attempt takes checkpoints");
                self.triggered = *checkpoint;
            }
            Command::Emit(Event::CheckpointAborted { checkpoint, .. }) => {
                assert_eq!(*checkpoint, self.triggered, "aborted before it was triggered");
            }
            Command::Send(_, Order::Completed(_, id)) => assert!(self.durable.contains(id), "C2"),
            Command::Disconnect(node, _) => drop(self.tasks.remove(node)),
            Command::Load(id) => {
                assert!(!self.deleted.contains(id), "{id} was deleted");
                self.asked.push(Asked::Load(*id));
            }
            Command::Seal { id, states, .. } => {
                assert_eq!(states.len(), 4, "a checkpoint is complete or none");
                self.asked.push(Asked::Seal(*id));
            }
            Command::AbortAbove { restored, highest, .. } => {
                assert!(restored < highest);
                self.asked.push(Asked::Aborts);
            }
            Command::Delete(id) => {
                let completed = self.log.contains(&Change::Completed(*id));
                let kept = self.story.master.ha.completed.contains(id);
                assert!(!(completed && kept), "{id} is named by the log");
                self.deleted.insert(*id);
            }
            Command::Append(change, _) => {
                self.asked.push(Asked::Append(self.log.len()));
                self.log.push(change.clone());
            }
            Command::Sweep { last, .. } => self.asked.push(Asked::Sweep { last: *last }),
            Command::End(_) => {
                assert!(self.log[..self.logged].contains(&Change::Ended), "J4");
                self.ended = true;
            }
            Command::StepDown => self.ended = true,
            _ => {}
        }
    }

    fn connection(&self, number: u32, old: bool) -> Option<u64> {
        let present = self.story.connections.get(&number)?;
        Some(if old { present - 1 } else { *present })
    }

    fn hear(&mut self, number: u32, old: bool, message: ToJobManager) {
        if let Some(connection) = self.connection(number, old) {
            self.step(Fact::Message { node: tm(number), connection, message });
        }
    }

    fn report(&mut self, number: u32, report: Report, of: SubtaskId, attempt: i8, checkpoint: i8) {
        let attempt = Attempt(self.story.master.attempt.0.saturating_add_signed(attempt.into()));
        let checkpoint = CheckpointId(self.triggered.0.saturating_add_signed(checkpoint.into()));
        let report = match report {
            Report::Running => TaskReport::Running(of),
            Report::Failed => TaskReport::Failed(of, TaskFailure::Failed("chance".into())),
            Report::Damaged => TaskReport::Failed(of, TaskFailure::Damaged(checkpoint, damaged_file("file"))),
            Report::EndOfInput => TaskReport::EndOfInput(of),
            Report::Acknowledge => TaskReport::Acknowledge { checkpoint, subtask: of, state: state(of, checkpoint.0) },
            Report::Decline => TaskReport::Decline { checkpoint, subtask: of, reason: AbortReason::Declined },
            Report::Committed => TaskReport::Committed { checkpoint, subtask: of },
        };
        self.hear(number, false, ToJobManager::Task(attempt, report));
    }

    fn canceled(&mut self, number: u32, attempt: Attempt) {
        if self.tasks.get(&tm(number)) == Some(&attempt) {
            self.tasks.remove(&tm(number));
        }
        self.hear(number, false, ToJobManager::Canceled(attempt));
    }

    fn answer(&mut self, answer: Answer) {
        if self.asked.is_empty() || self.ended {
            return;
        }
        match (self.asked.remove(0), answer) {
            (Asked::Load(id), Answer::Good) => {
                self.story.loaded(id.0);
                let said = self.story.said.clone();
                said.iter().for_each(|command| self.check(command));
                self.step(Fact::Time);
            }
            (Asked::Load(id), Answer::Bad) => {
                let damaged = Damaged { path: "m".into(), expected: "a".into(), found: "b".into() };
                self.step(Fact::Loaded(id, Err(LoadError::Damaged(damaged))));
            }
            (Asked::Load(id), Answer::Error) => self.step(Fact::Loaded(id, Err(LoadError::Store(store_failed())))),
            (Asked::Seal(id), Answer::Good) => {
                self.step(Fact::Sealed(id, true));
            }
            (Asked::Seal(id), Answer::Bad | Answer::Error) => self.step(Fact::Sealed(id, false)),
            (Asked::Append(number), Answer::Good) => {
                self.logged = number + 1;
                let change = self.log[number].clone();
                if let Change::Completed(id) = change {
                    self.durable.insert(id);
                }
                self.step(Fact::Appended(change));
            }
            (Asked::Append(_), Answer::Bad | Answer::Error) => {
                self.step(Fact::Superseded);
                assert!(self.ended);
            }
            (Asked::Sweep { last }, _) => self.step(Fact::Swept { last }),
            (Asked::Aborts, Answer::Good) => {
                self.step(Fact::AbortsDecided(Ok(Ok(vec![(subtask(1, 0), self.triggered)]))))
            }
            (Asked::Aborts, Answer::Bad) => {
                self.step(Fact::AbortsDecided(Ok(Err((subtask(1, 0), self.triggered)))));
                assert!(matches!(self.story.master.phase, Phase::Ending(JobResult::Failed(_)) | Phase::Ended), "J3");
            }
            (Asked::Aborts, Answer::Error) => {
                self.step(Fact::AbortsDecided(Err(store_failed())));
            }
        }
    }

    fn play(&mut self, input: Input) {
        match input {
            Input::Pass(millis) => {
                // `Fact::Time` comes when it is due, as from the shell.
                let until = self.story.now + ms(millis);
                while self.story.master.wake_at() <= until {
                    self.story.now = self.story.now.max(self.story.master.wake_at());
                    self.step(Fact::Time);
                }
                self.story.now = until;
            }
            Input::Back(millis) => self.story.now = Time(self.story.now.0.saturating_sub(nanos(ms(millis)))),
            Input::Wake => {
                let due = self.story.master.wake_at();
                if due != Time::NEVER {
                    self.story.now = self.story.now.max(due);
                    self.step(Fact::Time);
                }
            }
            Input::Register(number, slots) => {
                let connection = self.story.connections.values().max().unwrap_or(&0) + 2;
                self.story.connections.insert(number, connection);
                let data = Address(format!("tm-{number}:data"));
                self.step(Fact::Registered { node: tm(number), connection, incarnation: 1, slots, data });
            }
            Input::Disconnect(number, old) => {
                if let Some(connection) = self.connection(number, old) {
                    self.step(Fact::Disconnected { node: tm(number), connection, cause: NetError::Closed.into() });
                }
            }
            Input::Report(number, report, of, attempt, checkpoint) => {
                self.report(number, report, subtask(of / 2, of % 2), attempt, checkpoint);
            }
            Input::All(report) => {
                for (of, node) in self.story.placement.clone() {
                    self.report(node.as_str()[3..].parse().unwrap(), report, of, 0, 0);
                }
            }
            Input::Heartbeat(number, old) => self.hear(number, old, ToJobManager::Heartbeat(None)),
            Input::Canceled(number, shift) => {
                let attempt = self.story.master.attempt.0.saturating_add_signed(shift.into());
                self.canceled(number, Attempt(attempt));
            }
            Input::AllCanceled => {
                let attempt = self.story.master.attempt;
                (0..3).for_each(|number| self.canceled(number, attempt));
            }
            Input::Answer(answer) => self.answer(answer),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn no_sequence_of_facts_breaks_an_invariant_or_makes_it_spin(
        config in config(),
        completed in prop::sample::select(vec![vec![], vec![3], vec![1, 4], vec![1, 2, 6]]),
        inputs in prop::collection::vec(input(), 1..120),
    ) {
        let mut world = World::new(config, &completed);
        world.step(Fact::Time);
        for input in inputs {
            world.play(input);
        }
    }

    /// After any sequence of facts, correct behaviour of all others finishes the job, unless the job had already
    /// failed for good.
    #[test]
    fn once_all_behave_the_job_finishes(
        config in config(),
        completed in prop::sample::select(vec![vec![], vec![3], vec![1, 4]]),
        inputs in prop::collection::vec(input(), 1..60),
    ) {
        let mut world = World::new(config, &completed);
        world.step(Fact::Time);
        for input in inputs {
            world.play(input);
        }
        world.play(Input::Register(0, 2));
        for _ in 0..40 {
            if world.ended {
                break;
            }
            world.play(Input::Wake);
            world.play(Input::AllCanceled);
            (0..6).for_each(|_| world.play(Input::Answer(Answer::Good)));
            for report in [Report::Running, Report::EndOfInput, Report::Acknowledge] {
                world.play(Input::All(report));
            }
            (0..6).for_each(|_| world.play(Input::Answer(Answer::Good)));
            world.play(Input::All(Report::Committed));
        }
        prop_assert!(world.ended, "{:?}", world.story.master.phase);
    }
}
