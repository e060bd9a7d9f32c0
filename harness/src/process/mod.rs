//! Real processes as a target: this engine, each node a process of this machine with a folder of its own, struck with signals.
//!
//! ```text
//! target (this thread) ── director: records, strikes
//!   ├─ observer socket: every event of every process comes in, and is answered when the director has struck
//!   ├─ jm-1 …  engine processes, killed by the system should this one die (PROCESS-1)
//!   └─ tm-1 …
//! ```
//! Start at [`RealProcesses`]. `cluster` holds the processes and strikes them, `observer` hears them, `stores` sees what they did to
//! their durable stores, `pulse.rs` whether the machine was fast enough. One loop does everything, so the order in which it hears events is the order of the run; their times are those
//! of its own clock, from the start of the first process.
//!
//! Events that different processes emit at the same time come in either order. Nothing that follows from an event can come before it,
//! since its emitter waits; so the order is one that the run may have had.
//!
//! Invariants: (PROCESS-1) no process of a run outlives whoever makes the run, however that ends; (PROCESS-2) an event is answered only
//! after everything that strikes at it has struck, so a process that is killed at its own event takes no step after it.
#![allow(clippy::disallowed_methods, reason = "a shell around real processes, in real time")]

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use flowquake_engine::env::StoreKind;
use flowquake_engine::env::sim::StoreMutation;
use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::time::{Time, nanos};
use nix::sys::signal::Signal;

use self::cluster::ProcessCluster;
use self::observer::{Answer, Heard, Observer};
use self::stores::Folders;
use crate::director::Director;
use crate::environment::Environment;
use crate::faults::Kind;
use crate::hooks::{Held, Hooks};
use crate::jobs::Jobs;
use crate::live::{self, Exit, cpu_of_children};
use crate::local_disks;
use crate::outcome::{End, Outcome, Section, StoreCopy};
use crate::plan::{RunPlan, TargetPlan};
use crate::pulse::Pulse;
use crate::run::{job_managers, task_managers};
use crate::target::{Offers, Target};

mod cluster;
mod observer;
mod stores;

/// Between two looks at whether a process has ended.
const LOOK: Duration = Duration::from_millis(20);

/// This engine as processes of this machine.
#[derive(Debug, Clone)]
pub struct RealProcesses {
    program: PathBuf,
}

impl Default for RealProcesses {
    /// Whose processes are this program, started again.
    fn default() -> Self {
        Self::of("/proc/self/exe".into())
    }
}

impl RealProcesses {
    /// Whose processes are this program: one that hands its command line to [`crate::main`].
    pub fn of(program: PathBuf) -> Self {
        Self { program }
    }
}

impl Target for RealProcesses {
    fn name(&self) -> &'static str {
        TargetPlan::Process.name()
    }

    fn offers(&self, _: &RunPlan) -> Offers {
        Offers {
            // The folders of local disks are the harness's own here.
            faults: live::FAULTS.iter().copied().chain([Kind::DamageLocal]).collect(),
            at_events: true,
            untold: Default::default(),
            weights: false,
            repeats: false,
            resumes: false,
            sections: [Section::Trace, Section::Log, Section::Checkpoints, Section::Output, Section::FinalOutput]
                .into(),
        }
    }

    fn run(
        &self,
        plan: &RunPlan,
        _: &Jobs,
        _: Option<&StoreCopy>,
        mut director: Director,
    ) -> Result<Outcome, Environment> {
        let folder = local_disks::root()?;
        let begun = (Instant::now(), cpu_of_children());
        let cannot = |error: io::Error| {
            let remedy =
                "allow more processes and open files (ulimit -u, ulimit -n), or take fewer runs at once (--jobs 1)";
            Environment::new(format!("the processes of a run cannot be started: {error}"), remedy)
        };
        let observer = Observer::listen(&folder.path().join("observer")).map_err(cannot)?;
        let hooks = Hooks::listen(&folder.path().join("hooks"), plan, director.user_code(), begun.0).map_err(cannot)?;
        let cluster =
            ProcessCluster::new(&self.program, plan, folder.path(), observer.socket(), hooks).map_err(cannot)?;
        let mut play = Play { folders: Folders::new(&cluster), cluster, clock: begun.0, held: Held::default() };
        let pulse = Pulse::begin(plan).map_err(cannot)?;
        director.begin(Time::ZERO);
        // A JobManager deploys to those that are there: TaskManagers start first, and wait for it.
        for node in task_managers(plan).chain(job_managers(plan)) {
            play.cluster.nodes().start(&node).map_err(cannot)?;
            director.begin_life(&node, play.now());
        }
        play.play_out(&observer, &mut director);
        // Nothing moves any more when what is left is read.
        let now = play.now();
        play.cluster.nodes().kill_all();
        play.look(&mut director, now);
        director.close(&play.cluster, now);
        let mut outcome = director.take_outcome();
        outcome.starved = pulse.end();
        outcome.wall = begun.0.elapsed();
        outcome.cpu = cpu_of_children().saturating_sub(begun.1);
        outcome.show_only(&self.offers(plan).sections);
        Ok(outcome)
    }
}

/// A run that is under way.
struct Play {
    cluster: ProcessCluster,
    folders: Folders,
    clock: Instant,
    /// Answers to the beginning of snapshots that hang.
    held: Held<Answer>,
}

impl Play {
    fn now(&self) -> Time {
        Time(nanos(self.clock.elapsed()))
    }

    /// Plays until the director knows how it ended.
    fn play_out(&mut self, observer: &Observer, director: &mut Director) {
        while director.end().is_none() {
            self.note_exits(director);
            self.held.released(self.cluster.hooks()).into_iter().for_each(Answer::give);
            let now = self.now();
            let next = director.next_time();
            if next <= now {
                director.on_time(&self.cluster, now);
                continue;
            }
            match observer.next(LOOK.min(Duration::from_nanos(next.0 - now.0))) {
                Some(Heard::Event(record, answer)) => {
                    let at = self.now();
                    self.look(director, at);
                    let record = EventRecord { at, ..record };
                    director.on_event(&self.cluster, &record);
                    // PROCESS-2: only now. Whoever was killed hears it no more.
                    let answer = match record.event {
                        Event::SnapshotSyncBegun { .. } => {
                            self.held.at_snapshot(self.cluster.hooks(), record.node.as_str(), answer)
                        }
                        _ => Some(answer),
                    };
                    answer.into_iter().for_each(Answer::give);
                }
                Some(Heard::Garbled(what)) => director.doubt(format!("an event cannot be read: {what}")),
                None => {}
            }
        }
    }

    /// Tells what was done to the stores since the last look.
    fn look(&mut self, director: &mut Director, at: Time) {
        for mutation in self.folders.changes() {
            // What is gone because it was damaged nobody of the run has removed.
            if matches!(&mutation, StoreMutation::Deleted { kind: StoreKind::Checkpoints, path } if self.cluster.is_damaged(path))
            {
                continue;
            }
            director.on_store(&self.cluster, at, &mutation);
        }
    }

    /// Sees which processes have ended that nobody here has struck.
    fn note_exits(&mut self, director: &mut Director) {
        for Exit { node, status, last_words } in self.cluster.nodes().exits() {
            let now = self.now();
            director.end_life(&node, now);
            let said = if last_words.is_empty() { String::new() } else { format!("; it said: {last_words}") };
            match status.signal().map(Signal::try_from) {
                Some(Ok(
                    signal @ (Signal::SIGABRT | Signal::SIGSEGV | Signal::SIGBUS | Signal::SIGILL | Signal::SIGFPE),
                )) => {
                    director.end_with(End::Panicked(format!("{node} ended by {signal}{said}")), now);
                }
                Some(signal) => {
                    let signal = signal.map_or_else(|_| "a signal".to_owned(), |signal| signal.to_string());
                    director.doubt(format!("{node} was ended by {signal}, which nobody here sent{said}"));
                }
                // A JobManager that can do nothing more ends by itself, as in the simulator; what comes of it is judged.
                None if node.starts_with("jm-") => tracing::warn!("{node} ends: {status}{said}"),
                None => director.end_with(End::Panicked(format!("{node} ended by itself: {status}{said}")), now),
            }
        }
    }
}
