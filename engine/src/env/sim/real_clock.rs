//! Runs work that must see the real clock although a simulation requests it.
//!
//! On a simulated thread every clock is virtual, for C++ code as well. A library with threads of its own, which see
//! real time, then compares two different clocks. RocksDB does: opening a database adds tasks to a timer that all
//! databases of the process share, and the timer refuses a task that is due before the one that it is executing.
//! Virtual time lies years before real time, so opening failed whenever the timer was executing another database's
//! task. Start at [`run`].
//!
//! A simulated thread must not start threads (madsim refuses), and one helper thread per run would remain if a run is
//! abandoned. So one thread of the process waits for work and starts a thread for each piece.
//!
//! Invariant: (CLOCK-R1) work runs outside of every simulation.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

type Work = Box<dyn FnOnce() + Send>;

static STARTER: OnceLock<Sender<Work>> = OnceLock::new();

/// Starts the thread that [`run`] needs; call it before a simulation begins.
pub(super) fn prepare() {
    STARTER.get_or_init(|| {
        let (sender, work) = channel::<Work>();
        std::thread::Builder::new()
            .name("real-clock".into())
            .spawn(move || work.into_iter().for_each(|work| drop(std::thread::spawn(work))))
            .expect("a process can start one thread before its first simulation");
        sender
    });
}

#[cfg(test)]
thread_local! {
    static RUNS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// How often this thread has used [`run`].
#[cfg(test)]
pub(crate) fn runs_of_this_thread() -> u32 {
    RUNS.get()
}

/// Runs `work` on a thread that sees the real clock, and waits for it; virtual time does not advance. Passes a panic
/// on.
pub(in crate::env) fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[cfg(test)]
    RUNS.set(RUNS.get() + 1);
    let (done, result) = channel();
    let work = move || {
        assert!(madsim::runtime::Handle::try_current().is_err(), "CLOCK-R1");
        // The caller waits for the result, so the receiver exists.
        let _ = done.send(catch_unwind(AssertUnwindSafe(work)));
    };
    let starter = STARTER.get().expect("prepared before the simulation began");
    starter.send(Box::new(work)).expect("the starting thread never ends");
    match result.recv().expect("the work sends its result, or its panic") {
        Ok(value) => value,
        Err(panic) => resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{config, pause, simulate};

    #[allow(clippy::disallowed_methods, reason = "which clock a thread sees is the question")]
    fn clock() -> Duration {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn work_sees_the_real_clock_and_takes_no_virtual_time() {
        let before = clock();
        let (virtual_before, real, virtual_after) = simulate(1, config(), |_| async {
            let virtual_before = clock();
            let real = super::run(clock);
            let virtual_after = clock();
            pause(Duration::from_millis(1)).await;
            (virtual_before, real, virtual_after)
        });
        assert_eq!(virtual_before, virtual_after);
        assert!((before..=clock()).contains(&real), "{real:?} is not between {before:?} and now");
        assert!(virtual_before < before, "the simulator's clock lies in the past");
    }

    #[test]
    fn a_panic_comes_back_to_the_caller() {
        let caught = simulate(1, config(), |_| async {
            std::panic::catch_unwind(|| super::run(|| panic!("spoilt")))
                .map_err(|panic| *panic.downcast_ref::<&str>().unwrap())
        });
        assert_eq!(caught, Err::<(), _>("spoilt"));
    }
}
