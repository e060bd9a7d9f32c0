//! A process that a run has started: killed, stopped, let go on, each with what proves it.
//!
//! Start at [`Live`], for all nodes of a run at [`Nodes`], and for a program that knows nothing of this one at [`bound`]. A strike is proved by what the system says afterwards: that the process has ended, and by which signal; that
//! every thread of it is stopped. What the system does not show in time is not proved.
#![allow(clippy::disallowed_methods, reason = "real processes, in real time")]

use std::fs;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus};
use std::time::{Duration, Instant};

use clap::Args;
use flowquake_reports::units;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeVal;
use nix::unistd::{Pid, getppid};

use crate::faults::Kind;
use crate::nemesis::Receipt;

mod nodes;

pub(crate) use nodes::{Exit, Life, Nodes, Starter};

/// What is done to the processes of any target, to user code in them, and between them and their stores.
pub(crate) const FAULTS: &[Kind] = &[
    Kind::Kill,
    Kind::MachineLoss,
    Kind::Pause,
    Kind::CrashLoop,
    Kind::UserPanic,
    Kind::UserError,
    Kind::PoisonRecord,
    Kind::SlowOperator,
    Kind::HangSnapshot,
    Kind::Damage,
    Kind::StoreUnavailable,
    Kind::FailedWrite,
    Kind::AmbiguousWrite,
    Kind::TornWrite,
    Kind::NoSpace,
    Kind::SlowStore,
    Kind::ThrottledStore,
];

/// How long a process may take to end or to stop once it was told to. SIGKILL waits for what the kernel is doing for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_micros(200);

/// The hidden subcommand that binds a program's life to its starter's.
pub(crate) const BOUND: &str = "bound-process";

/// What [`BOUND`] is told.
#[derive(Debug, Args)]
pub struct BoundArgs {
    /// The process id of the starter
    starter: i32,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    words: Vec<std::ffi::OsString>,
}

/// A command that starts `program` through this program, `own`, such that the system kills it when whoever starts it dies, even while it
/// stands still. Its arguments are added to what is returned.
pub(crate) fn bound(own: &Path, program: &Path) -> Command {
    let mut command = Command::new(own);
    command.arg0("flowquake").arg(BOUND).arg(std::process::id().to_string()).arg(program);
    command
}

/// Becomes the program; returns only what went wrong.
pub(crate) fn become_bound(args: &BoundArgs) -> io::Error {
    if let Err(error) = set_pdeathsig(Signal::SIGKILL) {
        return error.into();
    }
    // It died before that.
    if getppid().as_raw() != args.starter {
        return io::Error::other("whoever started this process has ended");
    }
    match args.words.split_first() {
        Some((program, words)) => Command::new(program).args(words).exec(),
        None => io::Error::other("no program is named"),
    }
}

/// A process that runs, or has ended unseen.
pub(crate) struct Live {
    child: Child,
    /// Told to stand still: with so many threads, as far as that was seen.
    stopped: Option<u64>,
    /// Threads that were seen to stand still, over all pauses that have ended.
    stood_still: u64,
    /// The process ends with this pipe, if it has one.
    _lifeline: Option<ChildStdin>,
}

impl Live {
    pub(crate) fn of(mut child: Child) -> Self {
        let lifeline = child.stdin.take();
        Self { child, stopped: None, stood_still: 0, _lifeline: lifeline }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Threads that stood still in all pauses that are over.
    pub(crate) fn stood_still(&self) -> u64 {
        self.stood_still
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Kills it and waits until it has ended.
    pub(crate) fn kill(&mut self) -> Receipt {
        if self.ended().is_some() {
            return Receipt::InVain;
        }
        self.stood_still += self.stopped.take().unwrap_or(0);
        let (id, asked) = (self.id(), Instant::now());
        if let Err(error) = self.child.kill() {
            return Receipt::Unproved(format!("SIGKILL could not be sent to process {id}: {error}"));
        }
        let ended = within_patience(|| self.ended());
        let took = units::duration(asked.elapsed().as_nanos() as u64);
        match ended.map(|status| (status, status.signal())) {
            Some((_, Some(signal))) if signal == Signal::SIGKILL as i32 => {
                Receipt::Proved(format!("process {id} ended by SIGKILL, after {took}"))
            }
            Some((status, _)) => Receipt::Unproved(format!("process {id} ended otherwise meanwhile: {status}")),
            None => Receipt::Unproved(format!("process {id} is there {took} after SIGKILL")),
        }
    }

    /// Its machine is lost: nothing comes from it any more, and nothing says so. All its threads stop, never to go on; its
    /// connections break only when it is killed, as if the machine were back.
    pub(crate) fn lose(&mut self) -> Receipt {
        if self.ended().is_some() {
            return Receipt::InVain;
        }
        self.stood_still += self.stopped.take().unwrap_or(0);
        self.stop()
    }

    /// Stops all its threads.
    pub(crate) fn pause(&mut self) -> Receipt {
        if self.stopped.is_some() || self.ended().is_some() {
            return Receipt::InVain;
        }
        self.stop()
    }

    fn stop(&mut self) -> Receipt {
        let (id, asked) = (self.id(), Instant::now());
        if let Err(error) = send(id, Signal::SIGSTOP) {
            return Receipt::Unproved(format!("SIGSTOP could not be sent to process {id}: {error}"));
        }
        self.stopped = Some(0);
        let Some(threads) = within_patience(|| threads(id).filter(|threads| threads.running == 0)) else {
            return Receipt::Unproved(format!("not all threads of process {id} stopped within {PATIENCE:?}"));
        };
        self.stopped = Some(threads.stopped);
        let took = units::duration(asked.elapsed().as_nanos() as u64);
        Receipt::Proved(format!("all {} threads of process {id} stopped, after {took}", threads.stopped))
    }

    /// Lets them go on.
    pub(crate) fn resume(&mut self) -> Receipt {
        let Some(stopped) = self.stopped else { return Receipt::InVain };
        let id = self.id();
        if let Err(error) = send(id, Signal::SIGCONT) {
            return Receipt::Unproved(format!("SIGCONT could not be sent to process {id}: {error}"));
        }
        self.stopped = None;
        self.stood_still += stopped;
        match within_patience(|| threads(id).filter(|threads| threads.stopped == 0)) {
            Some(_) => Receipt::Proved(format!("process {id} goes on")),
            None => Receipt::Unproved(format!("some threads of process {id} stand still {PATIENCE:?} after SIGCONT")),
        }
    }
}

impl Drop for Live {
    /// Nothing that a run has started outlives it.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of all processes that have ended and were waited for.
pub(crate) fn cpu_of_children() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Duration::ZERO };
    let micros = |time: TimeVal| time.tv_sec().unsigned_abs() * 1_000_000 + time.tv_usec().unsigned_abs();
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

fn send(id: u32, signal: Signal) -> io::Result<()> {
    let id = i32::try_from(id).map_err(io::Error::other)?;
    kill(Pid::from_raw(id), signal).map_err(io::Error::from)
}

/// What comes of looking again and again, if something does in time.
fn within_patience<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if begun.elapsed() > PATIENCE {
            return None;
        }
        std::thread::sleep(LOOK);
    }
}

/// How many threads of a process are stopped, and how many are not.
#[derive(Debug, Default, PartialEq, Eq)]
struct Threads {
    stopped: u64,
    running: u64,
}

/// As `/proc` has them; `None`: it does not say.
fn threads(process: u32) -> Option<Threads> {
    let mut threads = Threads::default();
    for task in fs::read_dir(format!("/proc/{process}/task")).ok()? {
        // A thread may end between the two.
        let Ok(stat) = fs::read_to_string(task.ok()?.path().join("stat")) else { continue };
        match state(&stat)? {
            'T' => threads.stopped += 1,
            _ => threads.running += 1,
        }
    }
    Some(threads).filter(|threads| *threads != Threads::default())
}

/// The state of a thread: the word behind its name, which stands in brackets and may hold anything.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_thread_stands_behind_its_name_whatever_that_is() {
        assert_eq!(state("12 (a) b) T 1 2"), Some('T'));
        assert_eq!(state("12 (tokio-runtime-w) S 1"), Some('S'));
        assert_eq!(state("12"), None);
    }

    #[test]
    fn a_stopped_process_has_no_thread_that_runs() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = child.id();
        send(id, Signal::SIGSTOP).unwrap();
        let stopped = within_patience(|| threads(id).filter(|threads| threads.running == 0));
        assert_eq!(stopped, Some(Threads { stopped: 1, running: 0 }));
        send(id, Signal::SIGCONT).unwrap();
        assert!(within_patience(|| threads(id).filter(|threads| threads.stopped == 0)).is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(threads(id), None, "it is gone");
    }
}
