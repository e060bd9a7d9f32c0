//! A worker as the sweep sees it: started when it is needed, watched during a run, replaced after its death.
//!
//! Start at [`Worker::make`]. The thread that orders a run also watches the worker. Whenever no answer came for
//! [`EVERY`], the thread checks the memory, the processor time and the life of the process, and whether the sweep was
//! interrupted. The run's own watchdog ([`crate::run`]) is meant to end a loop first, because its message says more.
//! The limit here is for a process that hangs outside of the run.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flowquake_reports::record::{RunRecord, Verdict};

use super::death::Death;
use super::{Answer, FIRST_WORDS, Order, Seen, Terms, frame, usage};
use crate::environment::Environment;
use crate::flink::FLINK_HOME;
use crate::interrupt;
use crate::local_disks;
use crate::measure;
use crate::outcome::{End, Outcome};

/// This program, even if its file was replaced since it started.
pub(super) const PROGRAM: &str = "/proc/self/exe";
/// Time between two looks.
const EVERY: Duration = Duration::from_millis(20);
/// Looks after which a new process must be ready.
const START_LOOKS: u32 = 6_000;
/// Looks at a process that closed its socket before it is killed.
const END_LOOKS: u32 = 100;
/// Looks in which a process must have done something: a minute. It uses a little of this for watching itself.
const IDLE_LOOKS: u32 = 3_000;
/// A process that used less processor time than this during [`IDLE_LOOKS`] did nothing.
const IDLE_CPU: Duration = Duration::from_millis(100);
/// A process that did nothing for so many periods in a row is given up. This is later than the run's own watchdog.
const IDLE_TIMES: u32 = 20;

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) record: RunRecord,
    /// The record as JSON, the form in which it is written to files.
    pub(crate) json: Vec<u8>,
    /// Problems besides the run.
    pub(crate) problems: Vec<String>,
    /// What else is known of the run.
    pub(crate) seen: Seen,
}

/// Why a run has no result.
#[derive(Debug)]
pub(crate) enum Unmade {
    /// The machine could not carry out the run.
    Environment(Environment),
    /// The sweep was interrupted.
    Interrupted,
}

/// A process for runs, if there is one now. It must be used and dropped on one thread, because the system kills the
/// process when the thread that started it ends.
pub(crate) struct Worker<'t> {
    terms: &'t Terms,
    process: Option<Process>,
}

impl<'t> Worker<'t> {
    pub(crate) fn new(terms: &'t Terms) -> Self {
        Self { terms, process: None }
    }

    /// Executes a run in a new process, or in the process of the run before.
    pub(crate) fn make(&mut self, order: &Order) -> Result<Made, Unmade> {
        let mut process = match self.process.take() {
            Some(process) => process,
            None => Process::start(self.terms)?,
        };
        match process.ask(order, self.terms) {
            Ok(Said::Made { problems, abandoned, seen, json }) => {
                let record = match serde_json::from_slice(&json) {
                    Ok(record) => record,
                    Err(error) => return Ok(dead(order, &Death::Garbled(error.to_string()))),
                };
                if !abandoned && process.memory().is_none_or(|bytes| bytes < self.terms.memory / 2) {
                    self.process = Some(process);
                }
                Ok(Made { record, json, problems, seen })
            }
            Ok(Said::Broken(environment)) => Err(Unmade::Environment(environment)),
            Err(Failure::Interrupted) => Err(Unmade::Interrupted),
            Err(Failure::Died(death)) => Ok(dead(order, &death)),
        }
    }
}

fn dead(order: &Order, death: &Death) -> Made {
    let record = crashed(order, death.words());
    let json = serde_json::to_vec(&record).expect("a record is always JSON");
    let seen = Seen::nothing_of(order, &record);
    Made { record, json, problems: Vec::new(), seen }
}

/// The record of a run of which only the crash is known.
pub(super) fn crashed(order: &Order, how: String) -> RunRecord {
    let outcome = Outcome { end: End::Panicked(how.clone()), ..Outcome::nothing() };
    measure::record(&order.plan, &outcome, 0, Verdict::Crashed { panic: how }, Vec::new(), order.replay.clone())
}

/// An answer, with the record of a run that was made.
enum Said {
    Made { problems: Vec<String>, abandoned: bool, seen: Seen, json: Vec<u8> },
    Broken(Environment),
}

enum Failure {
    Interrupted,
    Died(Death),
}

struct Process {
    child: Child,
    socket: UnixStream,
    answers: frame::Reader<UnixStream>,
}

impl Process {
    fn start(terms: &Terms) -> Result<Self, Unmade> {
        let process = Self::spawn(terms).map_err(|error| {
            let what = format!("a process for runs cannot be started: {error}");
            Unmade::Environment(Environment::new(
                what,
                "take fewer runs at the same time (--jobs), or raise the limits on processes and open files",
            ))
        })?;
        process.greeted()
    }

    fn spawn(terms: &Terms) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_read_timeout(Some(EVERY))?;
        let child = Command::new(PROGRAM)
            .arg0("flowquake")
            .args(FIRST_WORDS)
            .args([&terms.cpu.as_millis().to_string(), "--log", &terms.log])
            .envs(terms.flink_home.iter().map(|home| (FLINK_HOME, home)))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(io::stderr()))
            .spawn()?;
        let answers = frame::Reader::new(socket.try_clone()?);
        Ok(Self { child, socket, answers })
    }

    /// Waits until the process is ready.
    fn greeted(mut self) -> Result<Self, Unmade> {
        let mut looks = 0;
        let problem = loop {
            match self.answers.next() {
                Ok(Some(hello)) => match serde_json::from_slice(&hello) {
                    Ok(Answer::Ready) => return Ok(self),
                    _ => break "it said something else".to_owned(),
                },
                Ok(None) if interrupt::signal().is_some() => return Err(Unmade::Interrupted),
                Ok(None) if looks < START_LOOKS => looks += 1,
                Ok(None) => break "it said nothing for two minutes".to_owned(),
                Err(_) if interrupt::signal().is_some() => return Err(Unmade::Interrupted),
                Err(_) => break Death::words(&self.death()),
            }
        };
        Err(Unmade::Environment(Environment::new(
            format!("this program, started again to make runs, was not ready: {problem}"),
            "a program with jobs of its own has to hand its command line to `flowquake::main` before it does anything else",
        )))
    }

    /// Sends an order and waits for the answer.
    fn ask(&mut self, order: &Order, terms: &Terms) -> Result<Said, Failure> {
        let garbled = |error: &dyn std::fmt::Display| Failure::Died(Death::Garbled(error.to_string()));
        let begun = usage::processor_time(self.child.id()).unwrap_or_default();
        let bytes = serde_json::to_vec(order).expect("an order is always JSON");
        if frame::write(&mut self.socket, &bytes).is_err() {
            return Err(self.gone());
        }
        match serde_json::from_slice(&self.frame(begun, terms)?) {
            Ok(Answer::Made { problems, abandoned, seen }) => {
                let json = self.frame(begun, terms)?;
                Ok(Said::Made { problems, abandoned, seen, json })
            }
            Ok(Answer::Broken(environment)) => Ok(Said::Broken(environment)),
            Ok(Answer::Ready) => Err(garbled(&"a second greeting")),
            Err(error) => Err(garbled(&error)),
        }
    }

    /// Returns the next frame, unless the process dies or has to be killed first.
    fn frame(&mut self, begun: Duration, terms: &Terms) -> Result<Vec<u8>, Failure> {
        let id = self.child.id();
        let (mut looks, mut idle, mut cpu_before) = (0_u32, 0_u32, begun);
        loop {
            match self.answers.next() {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(Failure::Died(Death::Garbled(error.to_string())));
                }
                Err(_) => return Err(self.gone()),
            }
            if interrupt::signal().is_some() {
                return Err(Failure::Interrupted);
            }
            // A child of the process may keep the other end of the socket open, so the process itself is checked.
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Failure::Died(Death::Ended(status)));
            }
            if let Some(used) = usage::memory(id).filter(|used| *used > terms.memory) {
                return Err(Failure::Died(Death::Memory { used, limit: terms.memory }));
            }
            let cpu = usage::processor_time(id).unwrap_or_default();
            if cpu.saturating_sub(begun) > terms.cpu.saturating_mul(4).saturating_add(Duration::from_secs(60)) {
                return Err(Failure::Died(Death::Processor { limit: terms.cpu }));
            }
            looks += 1;
            if looks.is_multiple_of(IDLE_LOOKS) {
                idle = if cpu.saturating_sub(cpu_before) < IDLE_CPU { idle + 1 } else { 0 };
                cpu_before = cpu;
            }
            if idle >= IDLE_TIMES {
                return Err(Failure::Died(Death::Idle));
            }
        }
    }

    /// The socket is closed: returns how the process died, or that the sweep was interrupted.
    fn gone(&mut self) -> Failure {
        match interrupt::signal() {
            Some(_) => Failure::Interrupted,
            None => Failure::Died(self.death()),
        }
    }

    /// How a process ended that closed its socket.
    fn death(&mut self) -> Death {
        for _ in 0..END_LOOKS {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Death::Ended(status);
            }
            #[allow(clippy::disallowed_methods, reason = "between two looks at a real process")]
            std::thread::sleep(EVERY);
        }
        Death::Garbled("it closed it, and lives".into())
    }

    fn memory(&self) -> Option<u64> {
        usage::memory(self.child.id())
    }
}

impl Drop for Process {
    /// Killing the process loses nothing: its answers have been sent.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        local_disks::remove_of(self.child.id());
    }
}
