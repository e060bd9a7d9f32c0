//! Supervises the processes of a run: starts them, restarts those that die, and stops all of them at the end.
//!
//! No temporary problem ends a run: a process that cannot be started is tried again (`lives`), an output folder that
//! cannot be read is read again, and a failed clean-up at the end is only reported. A run ends with its job, by a
//! signal, or with the name of a process that never worked.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use flowquake_engine::env::{First, Secret, first_of_4};
use flowquake_engine::event::Event;
use flowquake_engine::ids::{CheckpointId, NodeName};
use nix::sys::resource::{UsageWho, getrusage};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::committed::Committed;
use super::control::ControlPorts;
use super::folders::{Owned, remove_empty, sweep};
use super::lives::{Ending, Lives, Next};
use super::options::Options;
use super::process::{GRACE, Orders, Report, Role};
use super::progress::{Ended, Progress, summary};
use super::status::Status;
use super::supervised::{Happening, Supervised};

/// Pause of a TaskManager between two attempts to reach a JobManager.
const RETRY: Duration = Duration::from_millis(200);
/// Pause between two looks at the output.
const LOOK: Duration = Duration::from_millis(250);

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Finished,
    Failed(String),
    /// The job is not over, but this launcher cannot go on with it.
    GaveUp(String),
    Interrupted,
}

struct Launcher<'a> {
    options: &'a Options,
    executable: PathBuf,
    owned: Owned,
    happenings: UnboundedSender<Happening>,
    control: ControlPorts,
    /// The secret by which the processes of this run know each other.
    secret: Secret,
    /// Whether a JobManager has led. Then the cluster is complete, and every process that dies is restarted.
    is_up: bool,
    processes: BTreeMap<String, Supervised>,
    lives: Lives,
    /// JobManagers that gave up since one of them led.
    gave_up: BTreeSet<String>,
    /// The last message of each process about itself.
    last_words: BTreeMap<String, String>,
    status: Status,
    progress: Progress,
}

/// Runs a job to its end and prints the summary.
pub(super) fn launch(options: &Options, control: ControlPorts, owned: Owned) -> io::Result<Outcome> {
    owned.hand_on()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (happenings, heard) = unbounded_channel();
        let launcher = Launcher {
            options,
            executable: std::env::current_exe()?,
            owned,
            happenings,
            control,
            secret: Secret::random()?,
            is_up: false,
            processes: BTreeMap::new(),
            lives: Lives::new(options.job.config.restart_delay),
            gave_up: BTreeSet::new(),
            last_words: BTreeMap::new(),
            status: Status::default(),
            progress: Progress::begin(),
        };
        launcher.run(heard).await
    })
}

impl Launcher<'_> {
    async fn run(mut self, mut heard: UnboundedReceiver<Happening>) -> io::Result<Outcome> {
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        let mut look = tokio::time::interval(LOOK);
        let mut committed = Committed::beginning_now(self.options.output.clone())?;
        self.clean();
        let mut outcome = None;
        for name in self.control.names().cloned().collect::<Vec<_>>() {
            outcome = outcome.or(self.start(&name).await);
        }
        let outcome = loop {
            if let Some(outcome) = outcome {
                break outcome;
            }
            outcome = match first_of_4(interrupted.recv(), terminated.recv(), heard.recv(), look.tick()).await {
                First::A(_) | First::B(_) => Some(Outcome::Interrupted),
                First::C(happening) => {
                    let happening = happening.expect("the launcher holds a sender itself");
                    self.on_happening(happening).await
                }
                First::D(_) => {
                    self.look(&mut committed);
                    self.progress.show(&self.status, committed.count());
                    None
                }
            };
        };
        let took = self.progress.elapsed();
        self.stop(&mut heard).await;
        self.progress.end();
        self.clean();
        self.remove_empty(CheckpointId(u64::MAX));
        if outcome == Outcome::Finished {
            self.look(&mut committed);
            let earlier = self.options.resume.then(|| committed.count_earlier().ok()).flatten();
            let ended = Ended {
                committed: committed.count(),
                earlier,
                // If the run was resumed, an earlier run read an unknown part of the input.
                input: Some(self.options.input_len).filter(|_| !self.options.resume),
                took,
                cpu: children_cpu().ok(),
            };
            let summary = summary(&self.status, &ended, &self.options.output);
            // The other end of the pipe may be closed; then the summary is not wanted.
            let _ = writeln!(io::stdout(), "{summary}");
        }
        Ok(outcome)
    }

    /// Removes files that writers left incomplete. May only be called while no process of the run lives.
    fn clean(&mut self) {
        for folder in [&self.options.output, &self.options.checkpoints] {
            if let Err(error) = sweep(folder) {
                self.progress.say(&format!("half written files stay behind in {}: {error}", folder.display()));
            }
        }
    }

    fn look(&mut self, committed: &mut Committed) {
        let looked =
            committed.look().map_err(|error| format!("{} cannot be read: {error}", self.options.output.display()));
        self.progress.complain_once("output", looked.err());
    }

    async fn on_happening(&mut self, happening: Happening) -> Option<Outcome> {
        match happening {
            Happening::Reported(name, Report::Listening) => {
                self.lives.is_of_use(&name);
                self.gave_up.clear();
                // TaskManagers find every later leader by themselves.
                if !std::mem::replace(&mut self.is_up, true) {
                    let mut outcome = None;
                    for number in 1..=self.options.task_managers {
                        outcome = outcome.or(self.start(&format!("tm-{number}")).await);
                    }
                    return outcome;
                }
            }
            Happening::Reported(_, Report::Event(record)) => {
                match &record.event {
                    Event::CheckpointCompleted { checkpoint, .. } => self.remove_empty(*checkpoint),
                    Event::TaskManagerRegistered { task_manager, .. } => self.lives.is_of_use(task_manager.as_str()),
                    _ => {}
                }
                if let Some(line) = self.status.on_event(&record) {
                    self.progress.say(&line);
                }
            }
            Happening::Reported(_, Report::Finished) => return Some(Outcome::Finished),
            Happening::Reported(_, Report::Failed(cause)) => return Some(Outcome::Failed(cause)),
            Happening::Reported(name, Report::GaveUp(cause)) => {
                self.progress.say(&format!("{name} gave up: {cause}"));
                self.gave_up.insert(name);
                if self.gave_up.len() >= usize::from(self.options.job_managers) {
                    return Some(Outcome::GaveUp(cause));
                }
            }
            Happening::Said(name, line) => {
                self.progress.say(&format!("{name}: {line}"));
                self.last_words.insert(name, line);
            }
            Happening::Exited { name, ending, how } => {
                let lasted = self.processes.remove(&name).map_or(Duration::ZERO, |process| process.since.elapsed());
                return self.on_death(name, ending, lasted, &how);
            }
            Happening::RestartDue(name) => return self.start(&name).await,
        }
        None
    }

    /// Empty folders do no harm, so a failure to remove one is only reported.
    fn remove_empty(&mut self, newest: CheckpointId) {
        let removed = remove_empty(&self.options.checkpoints, newest);
        let told = removed.map_err(|error| format!("empty folders of checkpoints stay behind: {error}"));
        self.progress.complain_once("empty folders", told.err());
    }

    fn on_death(&mut self, name: String, ending: Ending, lasted: Duration, how: &str) -> Option<Outcome> {
        match self.lives.end(&name, ending, lasted, self.is_up) {
            Next::StartAgain(pause) => {
                self.progress.say(&format!("{name} died ({how}), starting it again in {pause:?}"));
                let happenings = self.happenings.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    let _ = happenings.send(Happening::RestartDue(name));
                });
                None
            }
            Next::GiveUp(times) => {
                let words = self.last_words.get(&name).map(|words| format!("; it said: {words}")).unwrap_or_default();
                Some(Outcome::GaveUp(format!(
                    "{name} ended {times} times in a row before it was of use ({how}){words}"
                )))
            }
        }
    }

    /// Starts a process. Returns the end of the run if the process could not be started too often.
    async fn start(&mut self, name: &str) -> Option<Outcome> {
        let life = self.lives.begin(name);
        let config = &self.options.job.config;
        let role = match self.control.of(name) {
            Some(listen) => Role::JobManager { listen, job: Box::new(self.options.job.clone()) },
            None => Role::TaskManager {
                job_managers: self.control.addresses(),
                slots: self.options.slots,
                retry: RETRY,
                connect_timeout: config.connect_timeout,
            },
        };
        let orders = Orders {
            node: NodeName::from(name),
            life,
            secret: self.secret.clone(),
            checkpoints: self.options.checkpoints.clone(),
            output: self.options.output.clone(),
            local: self.owned.local.path().join(format!("{name}-{life}")),
            log: self.options.log.clone(),
            observer: self.options.observer.clone(),
            hooks: None,
            dies_with_starter: false,
            role,
        };
        match Supervised::start(&self.executable, &orders, self.happenings.clone()).await {
            Ok(process) => {
                self.progress.say(&format!("{name} started, process {}", process.process_id));
                self.processes.insert(name.to_owned(), process);
                None
            }
            Err(error) => {
                self.on_death(name.to_owned(), Ending::ByItself, Duration::ZERO, &format!("cannot be started: {error}"))
            }
        }
    }

    /// Asks all processes to stop, and waits for them. Those that do not stop are killed with the runtime.
    async fn stop(&mut self, heard: &mut UnboundedReceiver<Happening>) {
        let mut running: Vec<String> = std::mem::take(&mut self.processes).into_keys().collect();
        let all_gone = async {
            while !running.is_empty() {
                match heard.recv().await {
                    Some(Happening::Exited { name, .. }) => running.retain(|other| *other != name),
                    Some(Happening::Said(name, line)) => self.progress.say(&format!("{name}: {line}")),
                    Some(_) => {}
                    None => return,
                }
            }
        };
        if tokio::time::timeout(2 * GRACE, all_gone).await.is_err() {
            self.progress.say(&format!("{} did not stop in time", running.join(", ")));
        }
    }
}

/// Processor time, user and system, of all children that have ended.
fn children_cpu() -> io::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64;
    Ok(Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time())))
}
