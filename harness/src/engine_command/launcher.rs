//! Supervises the processes of a run: starts them, starts those again that die, stops them all at the end.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use flowquake_engine::env::{First, Secret, first_of_4};
use flowquake_engine::ids::NodeName;
use nix::sys::resource::{UsageWho, getrusage};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::committed::Committed;
use super::control::ControlPorts;
use super::folders::{local, sweep};
use super::options::Options;
use super::private::keep_files_private;
use super::process::{GRACE, Orders, Report, Role};
use super::progress::{Progress, summary};
use super::status::Status;
use super::supervised::{Happening, Supervised};

/// Pause between two looks at the output.
const LOOK: Duration = Duration::from_millis(250);

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Finished,
    Failed(String),
    Interrupted,
}

struct Launcher<'a> {
    options: &'a Options,
    executable: PathBuf,
    /// Holds one folder per life of a process.
    local: TempDir,
    happenings: UnboundedSender<Happening>,
    control: ControlPorts,
    /// By which the processes of this run know each other.
    secret: Secret,
    /// A JobManager has led: the cluster is complete, and whoever dies is started again.
    is_up: bool,
    processes: BTreeMap<String, Supervised>,
    lives: BTreeMap<String, u32>,
    status: Status,
    progress: Progress,
}

/// Runs a job to its end and prints the summary.
pub(super) fn launch(options: &Options) -> io::Result<Outcome> {
    keep_files_private();
    for folder in [&options.output, &options.checkpoints] {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
        std::fs::create_dir_all(folder).and_then(|()| sweep(folder)).map_err(named)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (happenings, heard) = unbounded_channel();
        let launcher = Launcher {
            options,
            executable: std::env::current_exe()?,
            local: local(&options.checkpoints)?,
            happenings,
            control: ControlPorts::reserve(options.job_managers)?,
            secret: Secret::random()?,
            is_up: false,
            processes: BTreeMap::new(),
            lives: BTreeMap::new(),
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
        for name in self.control.names().cloned().collect::<Vec<_>>() {
            self.start(&name).await?;
        }
        let outcome = loop {
            match first_of_4(interrupted.recv(), terminated.recv(), heard.recv(), look.tick()).await {
                First::A(_) | First::B(_) => break Outcome::Interrupted,
                First::C(happening) => {
                    let happening = happening.expect("the launcher holds a sender itself");
                    if let Some(outcome) = self.on_happening(happening).await? {
                        break outcome;
                    }
                }
                First::D(_) => self.progress.show(&self.status, committed.count()?),
            }
        };
        let took = self.progress.elapsed();
        self.stop(&mut heard).await;
        self.progress.end();
        for folder in [&self.options.output, &self.options.checkpoints] {
            sweep(folder)?;
        }
        if outcome == Outcome::Finished {
            // A part of the input was read by an earlier run, nobody knows here which.
            let input = Some(self.options.input_len).filter(|_| !self.options.resume);
            let cpu = children_cpu()?;
            println!("{}", summary(&self.status, committed.count()?, input, took, cpu, &self.options.output));
        }
        Ok(outcome)
    }

    async fn on_happening(&mut self, happening: Happening) -> io::Result<Option<Outcome>> {
        match happening {
            Happening::Reported(Report::Listening) => {
                // TaskManagers find every later leader by themselves.
                if !std::mem::replace(&mut self.is_up, true) {
                    for number in 1..=self.options.task_managers {
                        self.start(&format!("tm-{number}")).await?;
                    }
                }
            }
            Happening::Reported(Report::Event(record)) => {
                if let Some(line) = self.status.on_event(&record) {
                    self.progress.say(&line);
                }
            }
            Happening::Reported(Report::Finished) => return Ok(Some(Outcome::Finished)),
            Happening::Reported(Report::Failed(cause)) => return Ok(Some(Outcome::Failed(cause))),
            Happening::Said(name, line) => self.progress.say(&format!("{name}: {line}")),
            Happening::Exited(name, status) => {
                self.processes.remove(&name);
                if !self.is_up {
                    return Ok(Some(Outcome::Failed(format!("{name} did not start: {status}"))));
                }
                let delay = self.options.job.config.restart_delay;
                self.progress.say(&format!("{name} died ({status}), starting it again in {delay:?}"));
                let happenings = self.happenings.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let _ = happenings.send(Happening::RestartDue(name));
                });
            }
            Happening::RestartDue(name) => self.start(&name).await?,
        }
        Ok(None)
    }

    async fn start(&mut self, name: &str) -> io::Result<()> {
        let life = self.lives.entry(name.to_owned()).or_default();
        *life += 1;
        let config = &self.options.job.config;
        let role = match self.control.of(name) {
            Some(listen) => Role::JobManager { listen, job: Box::new(self.options.job.clone()) },
            None => Role::TaskManager {
                job_managers: self.control.addresses(),
                slots: self.options.slots,
                connect_timeout: config.connect_timeout,
            },
        };
        let orders = Orders {
            node: NodeName::from(name),
            secret: self.secret.clone(),
            checkpoints: self.options.checkpoints.clone(),
            output: self.options.output.clone(),
            local: self.local.path().join(format!("{name}-{life}")),
            role,
        };
        let process = Supervised::start(&self.executable, &orders, self.happenings.clone()).await?;
        self.progress.say(&format!("{name} started, process {}", process.process_id));
        self.processes.insert(name.to_owned(), process);
        Ok(())
    }

    /// Asks all processes to stop and waits for them; those that do not are killed with the runtime.
    async fn stop(&mut self, heard: &mut UnboundedReceiver<Happening>) {
        let mut running: Vec<String> = std::mem::take(&mut self.processes).into_keys().collect();
        let all_gone = async {
            while !running.is_empty() {
                match heard.recv().await {
                    Some(Happening::Exited(name, _)) => running.retain(|other| *other != name),
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

/// Processor time of all children that have ended, user and system.
fn children_cpu() -> io::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64;
    Ok(Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time())))
}
