//! The watch over a run's thread: ends what loops without an end, and lets a slow machine be slow.
//!
//! Start at [`Watch::look`], which decides; [`Watched`] looks at a real thread, from outside of it. Wall time says nothing, since
//! a loaded machine gives a sound run any amount of it. What counts is processor time of the thread: in all, and since the last
//! event. A thread that sleeps uses none: it is given up after many looks at which it slept and had done nothing since the last.
//! Looks are not made while the process is stopped, and one at a thread that waits for a processor does not count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Between two looks.
pub(super) const EVERY: Duration = Duration::from_millis(100);
/// Processor time without an event after which something loops.
const SILENT_MAX: Duration = Duration::from_secs(120);
/// Looks in a row at a thread that sleeps: ten minutes.
const ASLEEP_MAX: u32 = 6_000;

/// Processor time of a run's thread, in milliseconds; see [`limit_processor_time`].
static CPU_MAX_MS: AtomicU64 = AtomicU64::new(600_000);

/// Sets how much processor time a run may take in this process; the default is ten minutes.
pub fn limit_processor_time(most: Duration) {
    CPU_MAX_MS.store(u64::try_from(most.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

fn limit() -> Duration {
    Duration::from_millis(CPU_MAX_MS.load(Ordering::Relaxed))
}

/// What is seen of a thread at one look.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// Processor time so far.
    cpu: Duration,
    /// Events so far.
    events: u64,
    /// It waits for something other than a processor.
    asleep: bool,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Watch {
    cpu: Duration,
    events: u64,
    /// Processor time at the last event.
    at_event: Duration,
    asleep: u32,
}

impl Watch {
    /// Why the run is given up, if it is.
    fn look(&mut self, look: Look, cpu_max: Duration) -> Option<String> {
        let moved = look.events != self.events;
        if moved {
            (self.events, self.at_event) = (look.events, look.cpu);
        }
        let idle = look.asleep && !moved && look.cpu.saturating_sub(self.cpu) < Duration::from_millis(1);
        self.asleep = if idle { self.asleep + 1 } else { 0 };
        self.cpu = look.cpu;
        if look.cpu > cpu_max {
            return Some(format!("the run took more processor time than its limit of {} s", cpu_max.as_secs_f64()));
        }
        if look.cpu.saturating_sub(self.at_event) > SILENT_MAX.min(cpu_max) {
            return Some(format!(
                "something loops without ever waiting: no event in {} s of processor time",
                SILENT_MAX.as_secs()
            ));
        }
        (self.asleep >= ASLEEP_MAX).then(|| {
            "the run's thread sleeps, or waits for a lock, outside of the simulation, and never comes back".into()
        })
    }
}

/// A thread under watch.
pub(super) struct Watched {
    watch: Watch,
    /// The thread as the system counts it.
    thread: i32,
    events: Arc<AtomicU64>,
}

/// The calling thread as the system counts it.
pub(super) fn this_thread() -> i32 {
    nix::unistd::gettid().as_raw()
}

impl Watched {
    pub(super) fn new(thread: i32, events: Arc<AtomicU64>) -> Self {
        Self { watch: Watch::default(), thread, events }
    }

    /// The thread, as the system counts it.
    pub(super) fn thread(&self) -> i32 {
        self.thread
    }

    /// What the thread had used at the last look.
    pub(super) fn processor_time(&self) -> Duration {
        self.watch.cpu
    }

    /// Why the run is given up, if it is.
    pub(super) fn look(&mut self) -> Option<String> {
        let look = Look {
            // A thread that has just ended has no clock any more; its result is there at the next look.
            cpu: processor_time(self.thread).unwrap_or(self.watch.cpu),
            events: self.events.load(Ordering::Relaxed),
            asleep: is_asleep(self.thread),
        };
        self.watch.look(look, limit())
    }
}

/// Processor time of a thread of this process. Read from another thread: on a simulated one the simulator answers for the clock,
/// and it does not know this one.
fn processor_time(thread: i32) -> Option<Duration> {
    // Linux numbers the clock of a thread so: the complement of its id, then "of a thread" and "of the scheduler".
    let time = clock_gettime(ClockId::from_raw((!thread << 3) | 6)).ok()?;
    Some(Duration::new(u64::try_from(time.tv_sec()).ok()?, u32::try_from(time.tv_nsec()).ok()?))
}

/// Whether a thread waits for something other than a processor; where the system does not tell, none does.
fn is_asleep(thread: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap_or_default();
    // The name before may hold anything, brackets included.
    text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['S', 'D']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(600);

    fn at(cpu: u64, events: u64, asleep: bool) -> Look {
        Look { cpu: Duration::from_millis(cpu), events, asleep }
    }

    #[test]
    fn a_run_that_gets_no_processor_is_waited_for() {
        let mut watch = Watch::default();
        for _ in 0..10 * ASLEEP_MAX {
            assert_eq!(watch.look(at(5, 3, false), LIMIT), None);
        }
    }

    #[test]
    fn a_loop_without_events_and_a_run_beyond_its_limit_end() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(at(100_000, 1, false), LIMIT), None);
        assert_eq!(watch.look(at(219_000, 1, false), LIMIT), None);
        assert!(watch.look(at(221_000, 1, false), LIMIT).unwrap().contains("no event in 120 s"));
        assert_eq!(watch.look(at(300_000, 2, false), LIMIT), None, "an event is progress");
        assert!(watch.look(at(601_000, 3, false), LIMIT).unwrap().contains("limit of 600 s"));
    }

    #[test]
    fn a_thread_that_sleeps_for_ever_ends_and_one_that_wakes_does_not() {
        let mut watch = Watch::default();
        for _ in 1..ASLEEP_MAX {
            assert_eq!(watch.look(at(5, 3, true), LIMIT), None);
        }
        assert_eq!(watch.look(at(7, 3, true), LIMIT), None, "it did something in between");
        for _ in 1..ASLEEP_MAX {
            assert_eq!(watch.look(at(7, 3, true), LIMIT), None);
        }
        assert!(watch.look(at(7, 3, true), LIMIT).unwrap().contains("sleeps"));
    }

    #[test]
    fn the_clock_of_another_thread_counts_its_work_alone() {
        let (told, thread) = std::sync::mpsc::channel();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            told.send(this_thread()).unwrap();
            while stopped.try_recv().is_err() {
                std::hint::spin_loop();
            }
        });
        let thread = thread.recv().unwrap();
        while processor_time(thread).unwrap() < Duration::from_millis(5) {
            std::thread::yield_now();
        }
        assert!(!is_asleep(thread));
        stop.send(()).unwrap();
        other.join().unwrap();
    }
}
