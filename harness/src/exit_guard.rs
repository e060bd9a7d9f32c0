//! A job that calls `exit` does not end this process as if all were well.
//!
//! Start at [`enter`]. Jobs run in workers that the sweep outlives, but some of their code runs in the process that judges: a
//! graph or a reference is made, a prediction asks a model, and `flowquake::test` makes whole runs. There `std::process::exit(0)`
//! would end a `cargo test` or a sweep with exit code 0 and without a verdict. So each call into user code is entered here, and
//! the system's exit handler looks whether one is still under way: then it says which, and the exit code is [`ENDED_BY_A_JOB`].
//!
//! Exits of our own are announced ([`exit`]); a run that the watchdog gave up does not count ([`give_up`]), since `main` may
//! well return beside its thread. In a worker nothing of this applies ([`leave_to_starter`]): its starter sees it end and knows
//! the exit code. What ends a process without exit handlers is not seen here: `_exit`, `quick_exit`, and `exec`. A signal,
//! `abort` among them, needs no help: whoever waits for the process sees it.
//!
//! Invariant: (EX1) a process in which user code runs that is waited for does not end with exit code 0 through `exit`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use nix::libc;
use nix::unistd::gettid;

/// The exit code of a process that a job ended: as of a run that crashed.
pub(crate) const ENDED_BY_A_JOB: i32 = 5;

/// A thread, as the system counts threads.
type Thread = i32;

/// The user code that runs in this process.
#[derive(Debug)]
struct UserCode {
    /// Thread and what runs there, in the order in which it was entered.
    running: Vec<(Thread, String)>,
    /// Threads that nobody waits for any more.
    given_up: BTreeSet<Thread>,
}

static USER_CODE: Mutex<UserCode> = Mutex::new(UserCode { running: Vec::new(), given_up: BTreeSet::new() });
/// Whether an exit is no job's doing.
static ANNOUNCED: AtomicBool = AtomicBool::new(false);

impl UserCode {
    fn leave(&mut self, thread: Thread) {
        if let Some(last) = self.running.iter().rposition(|(other, _)| *other == thread) {
            self.running.remove(last);
        }
        // The system gives the number to another thread later.
        if !self.running.iter().any(|(other, _)| *other == thread) {
            self.given_up.remove(&thread);
        }
    }

    /// The user code to which an exit by `thread` is put down: what runs on that thread, else whatever is waited for, since the
    /// exit cuts it short, and may come from a thread that it started.
    fn to_blame(&self, thread: Thread, announced: bool) -> Option<&str> {
        let here = self.running.iter().rfind(|(other, _)| *other == thread);
        let elsewhere = || self.running.iter().rfind(|(other, _)| !self.given_up.contains(other));
        let found = if announced { None } else { here.or_else(elsewhere) };
        found.map(|(_, what)| what.as_str())
    }
}

fn user_code() -> MutexGuard<'static, UserCode> {
    USER_CODE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn this_thread() -> Thread {
    gettid().as_raw()
}

/// User code is under way for as long as this lives, on the thread that made it.
#[must_use]
pub(crate) struct Entered {
    thread: Thread,
}

/// Says that user code runs from here on: `what` it is, as in "the run of …".
pub(crate) fn enter(what: impl Into<String>) -> Entered {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        // SAFETY: the handler is a function of this program, which is never unloaded, and does not unwind.
        let refused = unsafe { libc::atexit(at_exit) };
        assert_eq!(refused, 0, "the system takes no exit handler");
    });
    let (thread, what) = (this_thread(), what.into());
    user_code().running.push((thread, what));
    Entered { thread }
}

impl Drop for Entered {
    fn drop(&mut self) {
        user_code().leave(self.thread);
    }
}

/// Nobody waits for the user code of this thread any more: the process may end beside it.
pub(crate) fn give_up(thread: Thread) {
    let mut user_code = user_code();
    // It may have come back in the meantime.
    if user_code.running.iter().any(|(other, _)| *other == thread) {
        user_code.given_up.insert(thread);
    }
}

/// Ends this process, whatever user code runs.
pub(crate) fn exit(code: i32) -> ! {
    ANNOUNCED.store(true, Ordering::SeqCst);
    #[allow(clippy::disallowed_methods, reason = "it is announced")]
    std::process::exit(code)
}

/// In a process that was started for user code alone: its starter sees how it ends.
pub(crate) fn leave_to_starter() {
    ANNOUNCED.store(true, Ordering::SeqCst);
}

extern "C" fn at_exit() {
    let user_code = user_code();
    let Some(what) = user_code.to_blame(this_thread(), ANNOUNCED.load(Ordering::SeqCst)) else { return };
    let text = format!(
        "error: {what} was under way when something called `exit`: a job must not end the process that judges it\n  \
         help: let it return an error, or panic; if it was not the job, wait for the run before the process ends\n"
    );
    // Not through `eprintln!`: a test's output is captured, and nobody would show it any more. Nor is there anybody to tell
    // that it cannot be written.
    let _ = nix::unistd::write(std::io::stderr(), text.as_bytes());
    // SAFETY: it ends the process without further handlers.
    unsafe { libc::_exit(ENDED_BY_A_JOB) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(running: &[(Thread, &str)], given_up: &[Thread]) -> UserCode {
        let running = running.iter().map(|(thread, what)| (*thread, (*what).to_owned())).collect();
        UserCode { running, given_up: given_up.iter().copied().collect() }
    }

    #[test]
    fn an_exit_is_put_down_to_the_innermost_call_on_its_own_thread() {
        let user_code = with(&[(1, "the run"), (2, "another"), (1, "its graph"), (2, "its reference")], &[]);
        assert_eq!(user_code.to_blame(1, false), Some("its graph"), "EX1");
        assert_eq!(user_code.to_blame(3, false), Some("its reference"), "EX1: perhaps a thread that it started");
        assert_eq!(with(&[], &[]).to_blame(1, false), None, "`main` returned");
    }

    #[test]
    fn a_run_that_was_given_up_is_blamed_for_its_own_exit_only() {
        let user_code = with(&[(2, "a loop")], &[2]);
        assert_eq!(user_code.to_blame(1, false), None, "`main` returned beside it");
        assert_eq!(user_code.to_blame(2, false), Some("a loop"), "EX1");
    }

    #[test]
    fn an_exit_of_our_own_is_nobodys_fault() {
        let user_code = with(&[(1, "the run"), (2, "another")], &[2]);
        assert_eq!((user_code.to_blame(1, true), user_code.to_blame(3, true)), (None, None));
    }

    #[test]
    fn what_has_ended_is_forgotten() {
        let mut user_code = with(&[(1, "outer"), (2, "a loop"), (1, "inner")], &[2]);
        user_code.leave(1);
        assert_eq!(user_code.to_blame(1, false), Some("outer"));
        user_code.leave(2);
        user_code.running.push((2, "the next".to_owned()));
        user_code.leave(1);
        assert_eq!(user_code.to_blame(1, false), Some("the next"), "another thread of the same number is waited for");
    }
}
