//! An Apache Flink as a target: unmodified, as processes of this machine, each step of its protocol heard before it is taken further.
//!
//! ```text
//! target (this thread) ── director: records, strikes
//!   ├─ wire: each line of Flink's log comes in on the thread that logs it, and is answered when the director has struck
//!   ├─ jm-1        a session cluster's JobManager
//!   └─ tm-1 …      TaskManagers; the job is the twin of a built-in one, compiled from harness/java
//! ```
//! Start at [`ApacheFlink`]. `home` finds a Flink, `twins` compiles what it runs and is watched with, `settings` says a plan in its words,
//! `cluster` holds its processes, `wire` hears them, `messages` and `translate` turn its log into events, `rest` submits the job.
//!
//! A line is told before the step that follows it, so a process that is killed at its own line takes no further step on that thread; its
//! other threads may, up to the kill.
//!
//! Invariant: (FLINK-1) no process of a Flink outlives whoever makes the run, however that ends: the system kills it, and it ends by itself
//! when nobody hears what it tells.
#![allow(clippy::disallowed_methods, reason = "a shell around real processes, in real time")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flowquake_engine::env::InputFiles;
use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::graph::JobSpec;
use flowquake_engine::ids::{CheckpointId, SubtaskId, VertexId};
use flowquake_engine::time::{Time, nanos};

use self::cluster::{FlinkCluster, nodes};
use self::messages::{ALWAYS, Step};
use self::rest::Rest;
use self::translate::Translator;
use self::wire::{Told, Wire};
use crate::director::Director;
use crate::environment::Environment;
use crate::hooks::{Held, Hooks};
use crate::jobs::Jobs;
use crate::live::{Exit, cpu_of_children};
use crate::local_disks;
use crate::outcome::{End, Outcome, Part, StoreCopy};
use crate::plan::{RunPlan, TargetPlan, job_spec};
use crate::pulse::Pulse;
use crate::target::{Missing, Offers, Target};

mod cluster;
mod home;
mod input;
mod messages;
mod offers;
mod rest;
mod settings;
mod statistics;
mod translate;
mod twins;
mod wire;

pub(crate) use home::FLINK_HOME;
pub use home::Home;
pub use offers::{lacking, offered};

/// How long a cluster may take until all its slots are offered.
const START_LIMIT: Duration = Duration::from_secs(120);
/// Between two looks at whether a process has ended, or all slots are there.
const LOOK: Duration = Duration::from_millis(20);
/// The first record arrives so long after the job was submitted, when its tasks run.
const LEAD: Duration = Duration::from_millis(1_500);

/// An Apache Flink of this machine.
#[derive(Debug, Clone)]
pub struct ApacheFlink {
    /// This program, through which Flink's processes are started.
    own: PathBuf,
    home: Home,
}

impl ApacheFlink {
    /// The Flink in this folder, else in `FLINK_HOME`.
    ///
    /// # Errors
    /// What is missing on this machine, and what to do.
    pub fn find(given: Option<&Path>) -> Result<Self, Environment> {
        let home = Home::find(given)?;
        home.check_messages()?;
        Ok(Self { own: "/proc/self/exe".into(), home })
    }

    /// The same, whose processes are started through `own`, a program that hands its command line to [`crate::main`].
    #[must_use]
    pub fn started_by(self, own: PathBuf) -> Self {
        Self { own, ..self }
    }
}

impl ApacheFlink {
    /// Which one it is.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The archive of the twins, made if it is not there yet.
    ///
    /// # Errors
    /// Why they do not compile, or cannot be kept.
    pub fn archive(&self) -> Result<PathBuf, Environment> {
        twins::archive(&self.home)
    }
}

impl Target for ApacheFlink {
    fn name(&self) -> &'static str {
        TargetPlan::Flink.name()
    }

    fn offers(&self, _: &RunPlan) -> Offers {
        offers::offered()
    }

    fn lacks(&self, plan: &RunPlan, jobs: &Jobs) -> Option<Missing> {
        offers::lacking(plan, jobs)
    }

    fn departures(&self, plan: &RunPlan) -> Vec<(String, String)> {
        offers::departures(plan)
    }

    fn run(
        &self,
        plan: &RunPlan,
        jobs: &Jobs,
        _: Option<&StoreCopy>,
        mut director: Director,
    ) -> Result<Outcome, Environment> {
        let archive = twins::archive(&self.home)?;
        let folder = local_disks::root()?;
        let begun = Instant::now();
        let cannot = |error: io::Error| {
            let remedy =
                "allow more processes and open files (ulimit -u, ulimit -n), and make room for a few hundred megabytes";
            Environment::new(format!("a Flink cannot be started: {error}"), remedy)
        };
        let hooks = Hooks::listen(&folder.path().join("hooks"), plan, director.user_code(), begun).map_err(cannot)?;
        let cluster = FlinkCluster::new(&self.own, &self.home, &archive, plan, folder.path(), hooks).map_err(cannot)?;
        let wire = Wire::listen(&cluster.socket()).map_err(cannot)?;
        let spec = job_spec(plan);
        write_input(&cluster, &spec, jobs)?;
        for node in nodes(plan) {
            cluster.nodes().start(&node).map_err(cannot)?;
        }
        let patterns = messages::table(self.home.minor()).unwrap_or_default();
        let translator = Translator::new(patterns, plan.cluster.slots);
        let mut play =
            Play { cluster, wire, translator, start: Instant::now(), submission: None, held: Held::default() };
        play.until_it_is_up(plan)?;
        let cpu = cpu_of_children();
        director.begin(Time::ZERO);
        nodes(plan).for_each(|node| director.begin_life(&node, Time::ZERO));
        let pulse = Pulse::begin(plan).map_err(cannot)?;
        play.submit(&spec, &archive);
        play.play(&mut director)?;
        let hear = |within| play.wire.next(within).map_or((), |told| told.answer());
        let accounts = statistics::collect(Rest::at(play.cluster.rest_port()), hear);
        // Fenced: nothing moves any more when the output is read.
        let now = play.now();
        play.cluster.nodes().kill_all();
        director.close(&play.cluster, now);
        if let Some(step) = play.never_read(&director) {
            let what =
                format!("no line of Flink {} was read as {step:?}: its messages are other ones", self.home.version);
            return Err(Environment::new(what, "give a Flink whose version is known, unmodified"));
        }
        let mut outcome = director.take_outcome();
        outcome.accounts = accounts;
        outcome.starved = pulse.end();
        outcome.visible = committed(&play.cluster.output(), now).map_err(cannot)?;
        outcome.wall = begun.elapsed();
        outcome.cpu = cpu_of_children().saturating_sub(cpu);
        outcome.show_only(&self.offers(plan).sections);
        Ok(outcome)
    }
}

/// A run that is under way.
struct Play {
    cluster: FlinkCluster,
    wire: Wire,
    translator: Translator,
    /// The first instant of the run, at which the first record arrives.
    start: Instant,
    /// The job is being submitted.
    submission: Option<JoinHandle<Result<String, String>>>,
    /// Threads whose snapshot hangs at its beginning.
    held: Held<Told>,
}

impl Play {
    /// What comes before the first instant is at the first instant.
    fn now(&self) -> Time {
        Time(nanos(Instant::now().saturating_duration_since(self.start)))
    }

    /// Waits until every slot is offered; what is told meanwhile belongs to no run.
    fn until_it_is_up(&mut self, plan: &RunPlan) -> Result<(), Environment> {
        let due = u64::from(plan.cluster.task_managers) * u64::from(plan.cluster.slots);
        let (rest, begun) = (Rest::at(self.cluster.rest_port()), Instant::now());
        let up = Arc::new(AtomicBool::new(false));
        let asks = up.clone();
        // It asks from a thread of its own: Flink may answer only after it was heard here.
        let asking = std::thread::spawn(move || {
            while !asks.load(Ordering::SeqCst) {
                if rest.slots() >= Some(due) {
                    asks.store(true, Ordering::SeqCst);
                }
                std::thread::sleep(LOOK);
            }
        });
        let came = loop {
            if up.load(Ordering::SeqCst) {
                break Ok(());
            }
            if let Some(told) = self.wire.next(LOOK) {
                self.translator.line(&told.line());
                told.answer();
            }
            if let Some(Exit { node, status, last_words }) = self.cluster.nodes().exits().pop() {
                let what = format!("Flink's {node} ended while it started: {status}; it said: {last_words}");
                break Err(Environment::new(what, "mend what it says; this Flink must be able to run by itself"));
            }
            if begun.elapsed() > START_LIMIT {
                let what = format!("Flink did not offer {due} slots within {} s", START_LIMIT.as_secs());
                break Err(Environment::new(what, "make the machine less busy, or take fewer runs at once (--jobs 1)"));
            }
        };
        up.store(true, Ordering::SeqCst);
        if came.is_ok() {
            asking.join().map_err(|_| Environment::new("whoever asks for slots panicked", "report it"))?;
        }
        came
    }

    /// Submits the job from a thread of its own: Flink answers when it has told steps that are heard here.
    fn submit(&mut self, spec: &JobSpec, archive: &Path) {
        self.start = Instant::now() + LEAD;
        self.cluster.hooks().begin(self.start);
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + LEAD;
        let arguments = arguments(spec, since_epoch, &self.cluster);
        let (rest, archive) = (Rest::at(self.cluster.rest_port()), archive.to_owned());
        self.submission = Some(std::thread::spawn(move || rest.run(&archive, twins::ENTRY, &arguments)));
    }

    /// Plays until the director knows how it ended.
    fn play(&mut self, director: &mut Director) -> Result<(), Environment> {
        while director.end().is_none() {
            self.note_submission()?;
            self.note_exits(director);
            self.held.released(self.cluster.hooks()).into_iter().for_each(Told::answer);
            let now = self.now();
            let next = director.next_time();
            if next <= now {
                director.on_time(&self.cluster, now);
                continue;
            }
            let Some(told) = self.wire.next(LOOK.min(Duration::from_nanos(next.0 - now.0))) else { continue };
            if let Some((split, position)) = told.record() {
                let answer = self.cluster.hooks().at_record(&told.node, split, position);
                told.answer_record(&answer);
                continue;
            }
            let (at, mut begins_snapshot) = (self.now(), false);
            for event in self.translator.line(&told.line()) {
                begins_snapshot |= matches!(event, Event::SnapshotSyncBegun { .. });
                let record = EventRecord {
                    at,
                    node: told.node.as_str().into(),
                    incarnation: self.cluster.nodes().life(&told.node),
                    event,
                };
                director.on_event(&self.cluster, &record);
            }
            tracing::trace!("{}\t{}\t{}\t{}", told.node, told.logger, told.thread, told.message);
            // Only now. Whoever was killed hears it no more.
            let told = match begins_snapshot {
                true => {
                    let node = told.node.clone();
                    self.held.at_snapshot(self.cluster.hooks(), &node, told)
                }
                false => Some(told),
            };
            told.into_iter().for_each(Told::answer);
        }
        Ok(())
    }

    fn note_submission(&mut self) -> Result<(), Environment> {
        let Some(submission) = self.submission.take_if(|submission| submission.is_finished()) else { return Ok(()) };
        let refused = |what: String| {
            Environment::new(
                format!("Flink does not take the job: {what}"),
                "see that the versions of Flink and of the twins agree",
            )
        };
        submission.join().unwrap_or_else(|_| Err("its thread panicked".into())).map(drop).map_err(refused)
    }

    /// Sees which processes have ended that nobody here has struck.
    fn note_exits(&mut self, director: &mut Director) {
        for Exit { node, status, last_words } in self.cluster.nodes().exits() {
            let now = self.now();
            director.end_life(&node, now);
            director.doubt(format!("{node} ended by itself: {status}; it said: {last_words}"));
            if node.starts_with("jm-") {
                director.end_with(End::Failed(format!("the only JobManager ended: {last_words}")), now);
            }
        }
    }

    /// A step that every run comes to and that no line was read as, if the job came that far.
    fn never_read(&self, director: &Director) -> Option<Step> {
        let finished = matches!(director.end(), Some((End::Finished, _)));
        ALWAYS.into_iter().find(|step| finished && !self.translator.seen().contains(step))
    }
}

/// What the twin is told.
fn arguments(spec: &JobSpec, start: Duration, cluster: &FlinkCluster) -> Vec<String> {
    let config = &spec.config;
    let own = [
        ("job", spec.program.clone()),
        ("name", spec.program.clone()),
        ("parallelism", config.parallelism.to_string()),
        ("max-parallelism", config.max_parallelism.to_string()),
        ("splits", spec.input.splits.to_string()),
        ("input", cluster.input().display().to_string()),
        ("output", format!("{}://{}", settings::STORE, cluster.output().display())),
        ("start-millis", start.as_millis().to_string()),
    ];
    let own = own.into_iter().map(|(key, value)| format!("{key}={value}"));
    own.chain(spec.params.iter().map(|(key, value)| format!("{key}={value}"))).collect()
}

/// Writes what the sources of the twin read.
fn write_input(cluster: &FlinkCluster, spec: &JobSpec, jobs: &Jobs) -> Result<(), Environment> {
    let inputs = InputFiles::default();
    let wrong =
        |error: String| Environment::new(format!("the input cannot be written: {error}"), "mend it, or make room");
    let job = jobs.get(&spec.program).map_err(|error| wrong(error.to_string()))?;
    let reference = jobs.reference(spec, &inputs).map_err(|error| wrong(error.to_string()))?;
    let texts = job.texts.ok_or_else(|| wrong("the job has no text form of its records".into()))?;
    let texts = texts(spec, &inputs).map_err(|error| wrong(error.to_string()))?;
    input::write(&cluster.input(), spec, reference.input_len(), &*texts).map_err(|error| wrong(error.to_string()))
}

/// The output that a reader of committed data sees: files that no name marks as pending or in progress.
fn committed(folder: &Path, at: Time) -> io::Result<Vec<Part>> {
    let mut parts = Vec::new();
    let sink = SubtaskId { vertex: VertexId(1), index: 0 };
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(['.', '_']) || name.contains(".inprogress") || !entry.file_type()?.is_file() {
            continue;
        }
        let bytes = fs::read(entry.path())?.into();
        // Whose it is and of which checkpoint is not known: the section says so.
        parts.push(Part { at, order: 0, name, subtask: sink, epoch: CheckpointId(0), bytes });
    }
    parts.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(parts)
}
