//! Prevents a job that calls `exit` from ending this process as if it had succeeded.
//!
//! Start at [`enter`]. Jobs run in workers, which the sweep outlives. But some of their code runs in the process that
//! judges: a graph or a reference is made, a prediction asks a model, and `flowquake::test` makes whole runs. There
//! `std::process::exit(0)` would end a `cargo test` or a sweep with exit code 0 and without a verdict. So each call
//! into user code is registered here, and the exit handler of the process checks whether one is still in progress. If
//! so, it prints which, and the exit code is [`ENDED_BY_A_JOB`].
//!
//! Exits of our own are announced ([`exit`]). A run that the watchdog gave up does not count ([`give_up`]), because
//! `main` may return while its thread still runs. In a worker none of this applies ([`leave_to_starter`]), because its
//! starter sees how the worker ends. What ends a process without exit handlers is not noticed here: `_exit`,
//! `quick_exit`, and `exec`. A signal, `abort` included, needs no help, because the parent process sees it.
//!
//! Invariant: (EX1) a process that waits for user code running in it does not end with exit code 0 through `exit`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use nix::libc;
use nix::unistd::gettid;

/// The exit code of a process that a job ended, which is the one of a crashed run.
pub(crate) const ENDED_BY_A_JOB: i32 = 5;

/// A thread's id in the operating system.
type Thread = i32;

/// The user code that runs in this process.
#[derive(Debug)]
struct UserCode {
    /// Threads with what runs on each, in the order in which it was entered.
    running: Vec<(Thread, String)>,
    /// Threads that are no longer waited for.
    given_up: BTreeSet<Thread>,
}

static USER_CODE: Mutex<UserCode> = Mutex::new(UserCode { running: Vec::new(), given_up: BTreeSet::new() });
/// Whether an exit was announced, so that no job caused it.
static ANNOUNCED: AtomicBool = AtomicBool::new(false);

impl UserCode {
    fn leave(&mut self, thread: Thread) {
        if let Some(last) = self.running.iter().rposition(|(other, _)| *other == thread) {
            self.running.remove(last);
        }
        // The system may give the id to another thread later.
        if !self.running.iter().any(|(other, _)| *other == thread) {
            self.given_up.remove(&thread);
        }
    }

    /// The user code that an exit by `thread` is attributed to: what runs on that thread; otherwise any that is waited
    /// for, because the exit interrupts it, and may come from a thread that it started.
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

/// User code is in progress for as long as this value lives, on the thread that made it.
#[must_use]
pub(crate) struct Entered {
    thread: Thread,
}

/// Registers that user code runs from here on. `what` describes it, as in "the run of …".
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

/// The user code of this thread is no longer waited for: the process may end while it runs.
pub(crate) fn give_up(thread: Thread) {
    let mut user_code = user_code();
    // It may have returned in the meantime.
    if user_code.running.iter().any(|(other, _)| *other == thread) {
        user_code.given_up.insert(thread);
    }
}

/// Ends this process, whatever user code is running.
pub(crate) fn exit(code: i32) -> ! {
    ANNOUNCED.store(true, Ordering::SeqCst);
    #[allow(clippy::disallowed_methods, reason = "it is announced")]
    std::process::exit(code)
}

/// For a process that was started only to run user code: its starter sees how it ends.
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
    // Not with `eprintln!`, because the output of a test is captured and would not be shown any more. If writing fails,
    // that cannot be reported.
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
