//! The recorder: writes down what a run does, event by event and write by write, for oracles and reports.
//!
//! Start at [`Recorder::on_event`] and [`Recorder::on_store`]. They are called before the process that acted goes on,
//! so what they note is true at that instant. Of the durable stores the recorder keeps what the *engine* wrote and
//! removed ([`Written`]), not what the stores contain. So damage by the nemesis is invisible here, and no oracle blames
//! the engine for it. Output is the exception: its content is read when it becomes visible, because silently publishing
//! wrong output is a fault of the engine whatever the cause. Nothing is judged here except by the one oracle that has
//! to look at every instant ([`RetainedFiles`]).
//!
//! Invariants: (RECORDER-R1) cost per event and per write does not grow with the run, but for logarithms; (RECORDER-R2) contents are shared,
//! not copied, and kept only as long as an oracle needs them.

use std::collections::BTreeSet;

use bytes::Bytes;
use flowquake_engine::checkpoint::manifest::{Manifest, StatePlace, checkpoint_at, state_file_at};
use flowquake_engine::config::BackendKind;
use flowquake_engine::connectors::file_sink::{PENDING, decision_at, is_commit, parse_part_name};
use flowquake_engine::env::sim::{StoreMutation, Traffic};
use flowquake_engine::env::{StoreKind, draw, draw_between};
use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::ha::entry::{Change, HaEntry};
use flowquake_engine::ha::position::Position;
use flowquake_engine::ids::{CheckpointId, Term};
use flowquake_engine::paths::StateFilePath;
use flowquake_engine::time::Time;

use self::trimmed::Trimmed;
use crate::nemesis::Strike;
use crate::outcome::{
    Claim, Decision, End, Flow, FlowLog, LogEntry, Orphan, Outcome, Part, Sealed, StoreCopy, Sweep, Written,
};
use crate::plan::RunPlan;
use crate::stage::Stage;

mod trimmed;

/// Keyed state of up to this many bytes is always read back; that takes a tenth of a millisecond.
const STATE_BYTES_SMALL: u64 = 512;
/// Larger state is read back only if at least this many records came in for each of its bytes.
const RECORDS_PER_BYTE: u64 = 8;

/// Whether a checkpoint's state is kept for O2 although a later checkpoint may follow. `records` came in since the last
/// checkpoint that was kept.
fn is_kept(manifest: &Manifest, records: u64) -> bool {
    let bytes = manifest.state_bytes();
    manifest.job.config.backend != BackendKind::RocksDb
        && (bytes <= STATE_BYTES_SMALL || bytes <= records / RECORDS_PER_BYTE)
}

/// What happens in a run, written down.
pub(crate) struct Recorder {
    /// Whether events and changes of the stores are written down.
    records: bool,
    seed: u64,
    /// How many copies of the stores are kept.
    copies_max: usize,
    /// Position of the next change of the stores in the order of all changes.
    order: u64,
    written: Written,
    outcome: Outcome,
    /// Names of all visible output.
    names: BTreeSet<String>,
    trimmed: Trimmed,
    claimed: BTreeSet<(CheckpointId, Term)>,
    /// Checkpoints that are sealed and not known to have left the retained set. Their state is in memory although
    /// nobody may need it.
    unpruned: BTreeSet<CheckpointId>,
    /// Records covered by the last checkpoint whose state is kept for O2.
    kept_at: u64,
    /// Checkpoints completed so far.
    completed: u64,
    /// The newest completed checkpoint.
    newest_completed: Option<CheckpointId>,
    /// Position of the last change of the set of retained checkpoints.
    settled: u64,
    /// How many entries of the log are known to be in force.
    deployed: usize,
    flow: FlowLog,
    /// Lines of visible output.
    committed: u64,
}

impl Recorder {
    /// Records a run of `plan` and keeps at most `copies_max` copies of the stores.
    pub(crate) fn new(plan: &RunPlan, copies_max: usize) -> Self {
        Self {
            records: true,
            seed: plan.seed,
            copies_max,
            order: 0,
            written: Written::default(),
            outcome: Outcome::nothing(),
            names: BTreeSet::new(),
            trimmed: Trimmed::default(),
            claimed: BTreeSet::new(),
            unpruned: BTreeSet::new(),
            kept_at: 0,
            completed: 0,
            newest_completed: None,
            settled: 0,
            deployed: 0,
            flow: FlowLog::default(),
            committed: 0,
        }
    }

    /// A recorder that records nothing, to measure what a run costs without recording.
    pub(crate) fn forgetful(plan: &RunPlan) -> Self {
        Self { records: false, ..Self::new(plan, 0) }
    }

    /// The stores already hold this copy when the run begins.
    pub(crate) fn begin_with(&mut self, copy: &StoreCopy) {
        self.written = copy.written.clone();
    }

    /// A node lives from now on.
    pub(crate) fn begin_life(&mut self, node: &str, now: Time) {
        self.outcome.lives.push((node.into(), now, Time::NEVER));
    }

    /// A node's life has ended, and not by a strike.
    pub(crate) fn end_life(&mut self, node: &str, now: Time) {
        let life = self.outcome.lives.iter_mut().rev().find(|(name, ..)| name == node);
        if let Some(life) = life.filter(|life| life.2 == Time::NEVER) {
            life.2 = now;
        }
    }

    /// Which nodes are alive. Taken before a strike, so that [`Recorder::note_lives`] can compare with it afterwards.
    pub(crate) fn alive(&self, stage: &dyn Stage) -> Vec<(String, bool)> {
        let names: BTreeSet<&String> = self.outcome.lives.iter().map(|(name, ..)| name).collect();
        names.into_iter().map(|name| (name.clone(), stage.is_alive(name))).collect()
    }

    /// Notes which lives have ended and begun since `before`.
    pub(crate) fn note_lives(&mut self, stage: &dyn Stage, now: Time, before: Vec<(String, bool)>) {
        let lives = &mut self.outcome.lives;
        for (name, was_alive) in before {
            match (was_alive, stage.is_alive(&name)) {
                (true, false) => {
                    if let Some(life) = lives.iter_mut().rev().find(|(node, ..)| *node == name) {
                        life.2 = now;
                    }
                }
                (false, true) => lives.push((name, now, Time::NEVER)),
                _ => {}
            }
        }
    }

    /// An event was emitted.
    pub(crate) fn on_event(&mut self, stage: &dyn Stage, record: &EventRecord) {
        if self.records {
            self.outcome.trace.push(record.clone());
        }
        if self.flow.is_due(record.at) {
            self.flow.add(Flow { at: record.at, waiting: stage.unread_records(), committed: self.committed });
        }
        match &record.event {
            Event::DeploymentBegun { .. } => self.note_deployment(record),
            // A sweep by a leader that was already superseded does not count.
            Event::SweepEnded { term, .. } if self.outcome.sweep.is_none_or(|sweep| sweep.term <= *term) => {
                self.outcome.sweep = Some(Sweep { term: *term, began: self.settled });
            }
            _ => {}
        }
    }

    /// A deployment shows that the log is in force, because only the leader in force can deploy what the log says. The
    /// deployment of a superseded leader shows nothing.
    fn note_deployment(&mut self, record: &EventRecord) {
        let log = &mut self.outcome.log;
        let leads = log
            .last()
            .is_some_and(|newest| newest.entry.leader == record.node && newest.entry.incarnation == record.incarnation);
        if leads {
            log[self.deployed..].iter_mut().for_each(|entry| entry.deployed = true);
            self.deployed = log.len();
        }
    }

    /// A durable store changed at `at`. Returns the checkpoint that this change completes.
    pub(crate) fn on_store(&mut self, stage: &dyn Stage, at: Time, mutation: &StoreMutation) -> Option<CheckpointId> {
        if !self.records {
            return None;
        }
        let before = self.completed;
        self.order += 1;
        match mutation {
            StoreMutation::Put { kind: StoreKind::Checkpoints, path, bytes } => {
                self.put_checkpoint_file(at, path, bytes)
            }
            StoreMutation::Deleted { kind: StoreKind::Checkpoints, path } => self.removed_checkpoint_file(at, path),
            StoreMutation::Renamed { kind: StoreKind::Checkpoints, from, to } => {
                let bytes = self.written.get(StoreKind::Checkpoints, from).cloned();
                self.removed_checkpoint_file(at, from);
                if let Some(bytes) = bytes {
                    self.put_checkpoint_file(at, to, &bytes);
                }
            }
            StoreMutation::Put { kind: StoreKind::Output, path, bytes } => {
                self.written.put(StoreKind::Output, path, bytes.clone(), self.order);
                self.appeared(at, path, bytes);
            }
            StoreMutation::Renamed { kind: StoreKind::Output, from, to } => {
                if parse_part_name(from).is_some() {
                    self.outcome.retracted.push(format!("{at}: {from} was renamed to {to}"));
                }
                if let Some(bytes) = self.written.remove(StoreKind::Output, from) {
                    self.written.put(StoreKind::Output, to, bytes, self.order);
                }
                // For output, the content that readers find is what counts: an engine must not publish what the nemesis
                // has damaged.
                if let Some(bytes) = stage.read(StoreKind::Output, to) {
                    self.appeared(at, to, &bytes);
                }
            }
            StoreMutation::Deleted { kind: StoreKind::Output, path } => {
                self.written.remove(StoreKind::Output, path);
                if parse_part_name(path).is_some() {
                    self.outcome.retracted.push(format!("{at}: {path} was deleted"));
                }
                if let Some(what) =
                    decision_at(path).and_then(|(subtask, epoch)| self.trimmed.on_forgotten(subtask, epoch))
                {
                    self.outcome.overruled.push(format!("{at}: {path}, {what}, was deleted"));
                }
            }
        }
        self.newest_completed.filter(|_| self.completed > before)
    }

    fn put_checkpoint_file(&mut self, at: Time, path: &str, bytes: &Bytes) {
        self.outcome.trace.mix(path.as_bytes());
        self.written.put(StoreKind::Checkpoints, path, bytes.clone(), self.order);
        self.outcome.retained_files.on_put(at, path, bytes);
        if let Some(position) = Position::at(path) {
            match HaEntry::decode(bytes, path) {
                // Written by a process that saw an older, shorter log. Nobody acts upon this entry.
                Ok(entry) if entry.change == Change::Closed && self.trimmed.is_over(position) => {}
                Ok(entry) => self.logged(at, position, entry),
                // The store kept only a part of this entry. Its writer reads it back and notices, and nobody else can
                // act upon it.
                Err(_) => drop(self.outcome.torn_entries.insert(position)),
            }
        } else if let Some(id) = checkpoint_at(path) {
            if let Ok(manifest) = Manifest::decode(bytes, path) {
                self.claim(id, manifest.term, path);
                self.seal(at, id, manifest);
            }
        } else if let Some((file, _)) = state_file_at(path) {
            self.claim(file.checkpoint, file.term, path);
        }
    }

    fn removed_checkpoint_file(&mut self, at: Time, path: &str) {
        self.outcome.trace.mix(path.as_bytes());
        self.written.remove(StoreKind::Checkpoints, path);
        self.outcome.retained_files.on_removed(at, path);
        if let Some(what) = Position::at(path).and_then(|position| self.trimmed.entry_must_stay(position)) {
            self.outcome.log_offences.push(format!("{at}: {path}, {what}, was deleted"));
        }
    }

    fn claim(&mut self, checkpoint: CheckpointId, term: Term, path: &str) {
        if self.claimed.insert((checkpoint, term)) {
            self.outcome.claims.push(Claim { order: self.order, checkpoint, term, path: path.into() });
        }
    }

    fn seal(&mut self, at: Time, id: CheckpointId, manifest: Manifest) {
        let stored = manifest.subtasks.values().flat_map(|state| &state.files);
        let paths = stored.filter_map(|file| match &file.place {
            StatePlace::Stored(path) => Some(path),
            StatePlace::Inline(_) => None,
        });
        let read =
            |path: &StateFilePath| Some((path.to_string(), self.written.get(StoreKind::Checkpoints, path)?.clone()));
        let files = paths.filter_map(read).collect();
        let mut sealed = Sealed { at, manifest, files, keeps_state: false };
        let records = sealed.records();
        if is_kept(&sealed.manifest, records.saturating_sub(self.kept_at)) {
            (sealed.keeps_state, self.kept_at) = (true, records);
        }
        self.outcome.sealed.insert(id, sealed);
        self.unpruned.insert(id);
    }

    /// The store accepted an entry of the leadership log.
    pub(crate) fn logged(&mut self, at: Time, position: Position, entry: HaEntry) {
        self.trimmed.on_entry(position, &entry);
        let completed = match entry.change {
            Change::Completed(id) => Some(id),
            _ => None,
        };
        if matches!(entry.change, Change::Opened | Change::Completed(_) | Change::FallingBack(_)) {
            self.settled = self.order;
            self.outcome.retained_files.on_retained(at, &entry.state.completed, &self.outcome.sealed, &self.written);
            self.prune(&entry.state.completed);
        }
        let events = self.outcome.trace.events.len();
        self.outcome.log.push(LogEntry { at, order: self.order, events, position, entry, deployed: false });
        if let Some(id) = completed {
            self.newest_completed = Some(id);
            self.keep_copy(at, id);
        }
    }

    /// Drops the state of checkpoints that no oracle needs any more (RECORDER-R2).
    fn prune(&mut self, retained: &[CheckpointId]) {
        let Some(newest) = retained.last() else { return };
        let gone: Vec<_> = self.unpruned.range(..newest).filter(|id| !retained.contains(id)).copied().collect();
        for id in gone {
            self.unpruned.remove(&id);
            let Some(sealed) = self.outcome.sealed.get_mut(&id).filter(|sealed| !sealed.keeps_state) else { continue };
            sealed.files.clear();
            for file in sealed.manifest.subtasks.values_mut().flat_map(|state| &mut state.files) {
                if let StatePlace::Inline(bytes) = &mut file.place {
                    *bytes = Bytes::new();
                }
            }
        }
    }

    /// Keeps a copy of the stores as they are now. Each completed checkpoint has the same probability to be kept
    /// (reservoir sampling).
    fn keep_copy(&mut self, at: Time, checkpoint: CheckpointId) {
        self.completed += 1;
        let drawn = draw_between(draw(self.seed, "store copy", 0, self.completed), 0, self.completed - 1) as usize;
        if self.outcome.copies.len() >= self.copies_max && drawn >= self.copies_max {
            return;
        }
        let outcome = &self.outcome;
        let (events, log, visible) = (outcome.trace.events.len(), outcome.log.len(), outcome.visible.len());
        let copy = StoreCopy { at, checkpoint, written: self.written.clone(), events, log, visible };
        let copies = &mut self.outcome.copies;
        if copies.len() < self.copies_max {
            copies.push(copy);
        } else {
            copies[drawn] = copy;
        }
    }

    fn appeared(&mut self, at: Time, name: &str, bytes: &Bytes) {
        let trace = &mut self.outcome.trace;
        trace.mix(name.as_bytes());
        trace.mix(bytes);
        let order = self.order;
        if let Some((subtask, epoch, _)) = parse_part_name(name) {
            if !self.names.insert(name.into()) {
                self.outcome.retracted.push(format!("{at}: {name} was written over"));
            }
            self.committed += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            self.outcome.visible.push(Part { at, order, name: name.into(), subtask, epoch, bytes: bytes.clone() });
        } else if let Some((subtask, epoch)) = decision_at(name) {
            let commit = is_commit(bytes);
            if let Some(what) = self.trimmed.on_decision(subtask, epoch, commit) {
                self.outcome.overruled.push(format!("{at}: {name} {what}"));
            }
            self.outcome.decisions.push(Decision { at, order, subtask, epoch, commit });
        }
    }

    /// The run is over: notes what is left in the stores, and ends every life.
    pub(crate) fn close(&mut self, stage: &dyn Stage, now: Time) {
        self.outcome.network = stage.network_totals();
        self.flow.add(Flow { at: now, waiting: stage.unread_records(), committed: self.committed });
        self.outcome.flow = self.flow.take();
        self.outcome.lives.iter_mut().filter(|life| life.2 == Time::NEVER).for_each(|life| life.2 = now);
        self.note_left(stage);
    }

    /// Looks for files that no retained checkpoint names. The stores themselves are asked, because files that the
    /// nemesis has removed are not left over.
    fn note_left(&mut self, stage: &dyn Stage) {
        let outcome = &mut self.outcome;
        let named = outcome.retained_files.chunks(&outcome.sealed);
        for (kind, folder) in [(StoreKind::Checkpoints, ""), (StoreKind::Output, PENDING)] {
            for path in stage.list(kind, folder) {
                let kept = match kind {
                    StoreKind::Checkpoints => !path.starts_with("chk-") || outcome.retained_files.names(&path),
                    StoreKind::Output => named.contains(path.as_str()),
                };
                outcome.files_left += 1;
                if let (false, Some(put)) = (kept, self.written.order(kind, &path)) {
                    outcome.orphans.push(Orphan { path, put });
                }
            }
        }
    }

    /// Notes a reason, other than a strike, that makes the run uncertain.
    pub(crate) fn note_doubt(&mut self, what: String) {
        self.outcome.doubts.push(what);
    }

    /// How many calls of dead incarnations had no effect. Known once all nodes are dead.
    pub(crate) fn note_late_effects(&mut self, late_effects: u64) {
        self.outcome.late_effects = late_effects;
    }

    /// Which messages were sent and which writes were made.
    pub(crate) fn note_traffic(&mut self, traffic: Traffic) {
        self.outcome.traffic = Some(traffic);
    }

    /// Everything that was recorded, with how the run ended and what became of its faults. The recorder is empty
    /// afterwards. A run without an end of its own counts as ended at the time limit, with its last event.
    pub(crate) fn take_outcome(&mut self, end: Option<(End, Time)>, strikes: &[Strike]) -> Outcome {
        let mut outcome = std::mem::replace(&mut self.outcome, Outcome::nothing());
        let (end, ended_at) = end.unwrap_or_else(|| {
            let last = outcome.trace.events.last().map_or(Time::ZERO, |record| record.at);
            (End::TimeLimit, last)
        });
        outcome.trace.mix(&outcome.network.digest.to_le_bytes());
        Outcome { end, ended_at, strikes: strikes.to_vec(), ..outcome }
    }
}

#[cfg(test)]
mod tests;
