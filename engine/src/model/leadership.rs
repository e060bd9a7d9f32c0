//! The leadership log with three JobManagers: real followers, real entries, real takeovers, rotation and removal of
//! segments.
//!
//! One JobManager leads, two entries before the end of the first segment; two follow. At any time, whatever the clocks
//! say, a follower reads on ([`Log::advance`]) or opens a term ([`open`]), the leader appends ([`append_behind`]) and
//! removes old entries ([`remove_segments_before`], in a task of its own that outlives the leadership), and each of
//! them may crash and find the log anew. All of this is the product's own code. Each of its requests to the store is a
//! step, and may be answered in every possible way. The end of a lease is deliberately not modelled: time decides when
//! somebody tries to lead, so here anybody may try at any time.
//!
//! An entry *counts* when its writer is told that it is written. Always: H1 (the entry then stands in the log, or did
//! so until another entry counted that was made from it); H2 (of two entries that count, one was made from the other,
//! directly or not, so nobody acts beside a leader); H3 (no end of a segment is removed). Always possible: every
//! JobManager knows the newest entry that counts.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::explorer::{Broken, Model};
use super::replay::{Answer, Next, Request, Scripted};
use super::store::{Faults, ModelStore};
use crate::config::JobConfig;
use crate::env::{Address, Env};
use crate::graph::{InputKind, InputSpec, JobSpec};
use crate::ha::entry::{Change, HaEntry, HaState};
use crate::ha::log::{Appended, Log, append_behind, remove_segments_before};
use crate::ha::position::Position;
use crate::ids::{Attempt, CheckpointId, Term};
use crate::jobmanager::standby::open;
use crate::mutation::Mutation;
use crate::time::Time;

const NODES: [&str; 3] = ["jm-1", "jm-2", "jm-3"];

/// How many events of each kind may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Left {
    /// Terms that followers may try to open.
    terms: u8,
    /// Entries that leaders may append.
    entries: u8,
    crashes: u8,
}

/// An immutable value with a hash that distinguishes it from others.
#[derive(Debug)]
struct Fixed<T> {
    value: T,
    hash: u64,
}

impl<T: std::fmt::Debug> Fixed<T> {
    fn new(value: T) -> Arc<Self> {
        let hash = xxh3_64(format!("{value:?}").as_bytes());
        Arc::new(Self { value, hash })
    }
}

impl<T> Hash for Fixed<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

/// What a JobManager knows between two procedures.
#[derive(Debug, Clone, Hash)]
enum Knows {
    Nothing,
    Follows(Arc<Fixed<Log>>),
    Leads(Arc<Fixed<HaEntry>>),
}

/// A procedure of the product.
#[derive(Debug, Clone, Hash)]
enum Does {
    Finds,
    Advances(Arc<Fixed<Log>>),
    Opens(Arc<Fixed<Log>>),
    Appends(Arc<Fixed<HaEntry>>),
    Removes(u64),
}

/// A running procedure: the answers that it got, and its next request.
#[derive(Debug, Clone, Hash)]
struct Task {
    does: Does,
    answers: Vec<Answer>,
    asks: Request,
}

#[derive(Debug, Clone, Hash)]
struct Process {
    life: usize,
    /// Whether it has done nothing yet.
    fresh: bool,
    knows: Knows,
    task: Option<Task>,
    /// The running task that removes segments.
    removal: Option<Task>,
}

#[derive(Debug, Clone)]
struct State {
    store: ModelStore,
    processes: [Process; 3],
    left: Left,
    /// The entry that each entry was made from.
    made_of: BTreeMap<Position, Position>,
    /// The entries that count.
    count: BTreeSet<Position>,
}

impl State {
    fn newest(&self) -> Position {
        self.count.last().copied().unwrap_or(Position::FIRST)
    }

    /// Whether the later entry was made from the earlier one, directly or not.
    fn comes_from(&self, later: Position, earlier: Position) -> bool {
        later == earlier || self.made_of.get(&later).is_some_and(|parent| self.comes_from(*parent, earlier))
    }
}

/// The result of a procedure.
enum Came {
    Nothing,
    Follows(Log),
    Counts(HaEntry),
}

struct Leadership {
    scripted: Scripted,
    /// Per node, per life.
    envs: [[Env; 2]; 3],
    spec: JobSpec,
    left: Left,
    faults: Faults,
    /// Whether H3 is asserted; if not, the search finds the consequences of a lost end.
    ends_stay: bool,
}

fn at(segment: u64, number: u64) -> Position {
    Position { segment, number }
}

fn position_of(request: &Request) -> Option<Position> {
    match request {
        Request::Create(path, _) => Position::at(path),
        _ => None,
    }
}

impl Does {
    /// The entry that this procedure makes others from.
    fn made_of(&self) -> Option<Position> {
        match self {
            Does::Opens(log) => log.value.newest.as_ref().map(|entry| entry.position),
            Does::Appends(last) => Some(last.value.position),
            Does::Finds | Does::Advances(_) | Does::Removes(_) => None,
        }
    }
}

impl Leadership {
    fn new(left: Left, faults: Faults, planted: &[Mutation]) -> Self {
        let scripted = Scripted::default();
        let envs = NODES.map(|node| [1, 2].map(|life| scripted.env(node, life, planted)));
        let kind = InputKind::Generator { name: "numbers".into(), records: 1, seed: 1 };
        let input = InputSpec { kind, splits: 1, period_fs: 0 };
        let spec = JobSpec { program: "p".into(), params: Default::default(), input, config: JobConfig::default() };
        Self { scripted, envs, spec, left, faults, ends_stay: planted.is_empty() }
    }

    /// The entry that a leader appends after its last one.
    fn next_entry(last: &HaEntry) -> HaEntry {
        let mut next = last.clone();
        next.change = Change::AttemptBegun(next.state.attempt.next());
        next.state.apply(&next.change.clone(), 1);
        next
    }

    /// Runs a procedure with the answers that it got so far.
    fn run(&self, process: usize, life: usize, does: &Does, answers: &[Answer]) -> Next<Result<Came, Broken>> {
        let (env, store) = (&self.envs[process][life], self.scripted.store());
        let came = |appended: Option<HaEntry>| appended.map_or(Came::Nothing, Came::Counts);
        match does {
            Does::Finds => self
                .scripted
                .run(answers, async { Ok(Log::find(env, &store).await.map_or(Came::Nothing, Came::Follows)) }),
            Does::Advances(log) => self.scripted.run(answers, async {
                let mut log = log.value.clone();
                Ok(log.advance(&store).await.map_or(Came::Nothing, |_| Came::Follows(log)))
            }),
            Does::Opens(log) => self.scripted.run(answers, async {
                let address = Address(format!("{}:control", NODES[process]));
                open(env, &store, &self.spec, &address, &log.value)
                    .await
                    .map(came)
                    .map_err(|gave_up| gave_up.to_string())
            }),
            Does::Appends(last) => self.scripted.run(answers, async {
                let entry = Self::next_entry(&last.value);
                match append_behind(env, &store, &last.value, entry.clone())
                    .await
                    .map_err(|gave_up| gave_up.to_string())?
                {
                    Appended::Written(position) => Ok(Came::Counts(HaEntry { position, ..entry })),
                    Appended::Fenced => Ok(Came::Nothing),
                }
            }),
            Does::Removes(leading) => self.scripted.run(answers, async {
                // After an error the removal is left to the next time.
                let _ = remove_segments_before(&store, *leading).await;
                #[cfg(feature = "mutations")]
                let _ = crate::jobmanager::planted::trim(env, Some(*leading), None).await;
                Ok(Came::Nothing)
            }),
        }
    }

    /// The state after a procedure has come to its next request or to its end.
    fn goes_on(&self, mut state: State, index: usize, does: Does, answers: Vec<Answer>) -> Result<State, Broken> {
        let removes = matches!(does, Does::Removes(_));
        let process = &mut state.processes[index];
        let ended = match self.run(index, process.life, &does, &answers) {
            Next::Asks(asks) => {
                let task = Some(Task { does, answers, asks });
                *(if removes { &mut process.removal } else { &mut process.task }) = task;
                return Ok(state);
            }
            Next::Ends(ended) => ended?,
        };
        if removes {
            process.removal = None;
            return Ok(state);
        }
        process.task = None;
        match ended {
            Came::Nothing => process.knows = Knows::Nothing,
            Came::Follows(log) => process.knows = Knows::Follows(Fixed::new(log)),
            Came::Counts(entry) => {
                let position = entry.position;
                let stands = state.store.get(&position.path()) == Some(&entry.encode());
                process.knows = Knows::Leads(Fixed::new(entry));
                // The entry may be removed already; then a newer entry that counts was made from it.
                if !stands && !state.comes_from(state.newest(), position) {
                    return Err(format!("H1: {}'s entry {position} counts, and is not in the log", NODES[index]));
                }
                let beside =
                    |other: &&Position| !state.comes_from(position, **other) && !state.comes_from(**other, position);
                if let Some(other) = state.count.iter().find(beside) {
                    return Err(format!("H2: {}'s entry {position} counts beside entry {other}", NODES[index]));
                }
                state.count.insert(position);
                if position.number == 0 && state.processes[index].removal.is_none() {
                    return self.goes_on(state, index, Does::Removes(position.segment), Vec::new());
                }
            }
        }
        Ok(state)
    }

    fn is_end(state: &State, path: &str) -> bool {
        let closes =
            |bytes: &bytes::Bytes| HaEntry::decode(bytes, path).is_ok_and(|entry| entry.change == Change::Closed);
        Position::at(path).is_some_and(|position| position.number == 0) || state.store.get(path).is_some_and(closes)
    }

    /// Adds a step for every answer to a request.
    fn answers(&self, state: &State, index: usize, task: &Task, steps: &mut Vec<(String, Result<State, Broken>)>) {
        let said = format!("{} {}", NODES[index], task.asks);
        if let Request::Delete(path) = &task.asks
            && self.ends_stay
            && Self::is_end(state, path)
        {
            steps.push((said, Err(format!("H3: {path} is an end of a segment"))));
            return;
        }
        for (odd, answer, store) in state.store.ways(&task.asks) {
            let said = if odd.is_empty() { said.clone() } else { format!("{said}: {odd}") };
            let answers = [&task.answers[..], &[answer]].concat();
            let mut next = State { store, ..state.clone() };
            if let (Request::Create(path, bytes), Some(position)) = (&task.asks, position_of(&task.asks))
                && state.store.get(path).is_none()
                && next.store.get(path) == Some(bytes)
            {
                next.made_of.extend(task.does.made_of().map(|parent| (position, parent)));
            }
            steps.push((said, self.goes_on(next, index, task.does.clone(), answers)));
        }
    }

    /// Adds the procedures that a JobManager may begin.
    fn begins(&self, state: &State, index: usize, steps: &mut Vec<(String, Result<State, Broken>)>) {
        let process = &state.processes[index];
        let mut begin = |said: &str, does: Does, spend: &dyn Fn(&mut Left)| {
            let mut next = state.clone();
            spend(&mut next.left);
            next.processes[index].fresh = false;
            steps.push((format!("{} {said}", NODES[index]), self.goes_on(next, index, does, Vec::new())));
        };
        // If no JobManager will write any more, all just read, and it does not matter when.
        let quiet = |process: &Process| process.task.is_none() && process.removal.is_none();
        let reads = state.left.terms > 0 || state.processes.iter().all(quiet);
        match &process.knows {
            Knows::Nothing if reads => begin("looks for the end of the log", Does::Finds, &|_| {}),
            Knows::Nothing => {}
            Knows::Follows(log) => {
                // A look begun while there is nothing new gives the same as one begun later.
                let known = log.value.tail.max(log.value.newest.as_ref().map(|entry| entry.position));
                let newest = state.store.below("ha/").filter_map(|(path, _)| Position::at(path)).max();
                if reads && newest != known {
                    begin("reads on", Does::Advances(log.clone()), &|_| {});
                }
                if state.left.terms > 0 {
                    begin("opens a term", Does::Opens(log.clone()), &|left| left.terms -= 1);
                }
            }
            Knows::Leads(last) => {
                // A former leader learns that it does not lead any more; no entry of it counts, so none is spent.
                let fenced = last.value.position < state.newest();
                if fenced || state.left.entries > 0 {
                    begin("appends", Does::Appends(last.clone()), &|left| left.entries -= u8::from(!fenced));
                }
            }
        }
    }
}

impl Model for Leadership {
    type State = State;

    fn first(&self) -> State {
        let ha = HaState {
            program: "p".into(),
            start: Time(0),
            attempt: Attempt(1),
            completed: vec![],
            undecided: None,
            reserved: CheckpointId(8),
            ended: None,
        };
        let entry = |position, change| HaEntry {
            position,
            term: Term(1),
            leader: NODES[0].into(),
            incarnation: 1,
            address: Address("jm-1:control".into()),
            change,
            state: ha.clone(),
        };
        let mut store = ModelStore::new(self.faults);
        let (opened, last) = (entry(at(1, 0), Change::Opened), entry(at(1, 14), Change::Renewed));
        for entry in [&opened, &entry(at(1, 13), Change::Renewed), &last] {
            store.put(entry.position.path(), entry.encode());
        }
        store.begin();
        let follows = Knows::Follows(Fixed::new(self.found(&store)));
        let process = |knows| Process { life: 0, fresh: true, knows, task: None, removal: None };
        let processes = [process(Knows::Leads(Fixed::new(last))), process(follows.clone()), process(follows)];
        State { store, processes, left: self.left, made_of: BTreeMap::new(), count: BTreeSet::from([at(1, 14)]) }
    }

    fn steps(&self, state: &State) -> Vec<(String, Result<State, Broken>)> {
        let mut steps = Vec::new();
        for (index, process) in state.processes.iter().enumerate() {
            for task in process.task.iter().chain(&process.removal) {
                self.answers(state, index, task, &mut steps);
            }
            // The second and the third JobManager are interchangeable: of the two, the second acts first.
            if process.task.is_none() && !(index == 2 && process.fresh && state.processes[1].fresh) {
                self.begins(state, index, &mut steps);
            }
            let alive = process.task.is_some() || process.removal.is_some() || matches!(process.knows, Knows::Leads(_));
            if alive && process.life == 0 && state.left.crashes > 0 {
                let mut next = state.clone();
                next.left.crashes -= 1;
                next.processes[index] =
                    Process { life: 1, fresh: false, knows: Knows::Nothing, task: None, removal: None };
                steps.push((format!("{} crashes", NODES[index]), Ok(next)));
            }
        }
        steps
    }

    fn fingerprint(&self, state: &State) -> u128 {
        let mut hash = Xxh3::new();
        (&state.store, &state.processes, state.left, &state.made_of, &state.count).hash(&mut hash);
        hash.digest128()
    }

    fn is_good(&self, state: &State) -> bool {
        let knows = |process: &Process| match &process.knows {
            Knows::Nothing => false,
            Knows::Follows(log) => log.value.newest.as_ref().is_some_and(|entry| entry.position >= state.newest()),
            Knows::Leads(last) => last.value.position >= state.newest(),
        };
        state.processes.iter().all(|process| process.task.is_none() && knows(process))
    }
}

impl Leadership {
    /// The log as a reader finds it if the store answers correctly.
    fn found(&self, store: &ModelStore) -> Log {
        let (env, log) = (&self.envs[1][0], self.scripted.store());
        let found = self.scripted.run_quietly(&mut store.clone(), || Log::find(env, &log));
        found.unwrap_or_else(|error| unreachable!("the store answers as it should: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::explorer::{Size, explore};
    use super::*;

    const NONE: Faults = Faults { errors: 0, torn: 0, lags: 0 };

    /// The size of the model for given events and faults.
    const SIZES: &[(Left, Faults, Size)] = &[
        // A leader rotates its segment while another JobManager takes over.
        (Left { terms: 1, entries: 2, crashes: 0 }, NONE, size(65_227, 198_669, 43)),
        (Left { terms: 1, entries: 1, crashes: 1 }, NONE, size(29_270, 65_641, 40)),
        // Two JobManagers take over at once, or one after the other.
        (Left { terms: 2, entries: 0, crashes: 0 }, NONE, size(19_566, 59_174, 44)),
        (Left { terms: 2, entries: 0, crashes: 0 }, Faults { errors: 1, ..NONE }, size(107_161, 387_168, 47)),
        (Left { terms: 1, entries: 1, crashes: 0 }, Faults { errors: 1, ..NONE }, size(12_341, 30_067, 40)),
        (Left { terms: 1, entries: 1, crashes: 0 }, Faults { torn: 1, ..NONE }, size(12_942, 27_824, 44)),
        (Left { terms: 1, entries: 1, crashes: 0 }, Faults { lags: 1, ..NONE }, size(9_369, 21_989, 39)),
    ];

    const fn size(states: usize, steps: usize, depth: usize) -> Size {
        Size { states, steps, depth }
    }

    #[test]
    fn whoever_takes_over_whenever_one_history_counts() {
        let mut other = Vec::new();
        for (left, faults, expected) in SIZES {
            let model = Leadership::new(*left, *faults, &[]);
            let size = explore(&model, 3_000_000).unwrap_or_else(|broken| panic!("{left:?}, {faults:?}: {broken}"));
            eprintln!("leadership, {left:?}, {faults:?}: {size:?}");
            if size != *expected {
                other.push((left, faults, size));
            }
        }
        assert!(other.is_empty(), "other sizes than expected: {other:#?}");
    }

    /// The planted bug `remove-segment-ends`.
    #[cfg(feature = "mutations")]
    #[test]
    fn without_the_ends_of_segments_two_lead() {
        let left = Left { terms: 1, entries: 2, crashes: 0 };
        let found = explore(&Leadership::new(left, NONE, &[Mutation::RemoveSegmentEnds]), 3_000_000).unwrap_err();
        eprintln!("{found}");
        assert!(found.broken.starts_with("H2"), "{found}");
    }
}
