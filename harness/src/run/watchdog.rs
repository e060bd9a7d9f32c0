//! The watchdog of a run's thread: it ends a run that loops forever, and lets a run on a slow machine go on.
//!
//! Start at [`Watch::look`], which decides; [`Watched`] observes a real thread from outside. Wall time cannot decide,
//! because on a loaded machine a sound run can take any amount of it. What counts is the thread's processor time: in
//! all, and since the last event. A sleeping thread uses no processor time; it is given up after many looks in a row at
//! which it slept and had done nothing since the look before. While the process is stopped no looks are made, and a
//! look at a thread that waits for a processor does not count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Time between two looks.
pub(super) const EVERY: Duration = Duration::from_millis(100);
/// Processor time without an event after which the run counts as looping.
const SILENT_MAX: Duration = Duration::from_secs(120);
/// How many looks in a row may find the thread asleep: ten minutes.
const ASLEEP_MAX: u32 = 6_000;

/// How much processor time a run's thread may use, in milliseconds; see [`limit_processor_time`].
static CPU_MAX_MS: AtomicU64 = AtomicU64::new(600_000);

/// Sets how much processor time a run may take in this process; the default is ten minutes.
pub fn limit_processor_time(most: Duration) {
    CPU_MAX_MS.store(u64::try_from(most.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

fn limit() -> Duration {
    Duration::from_millis(CPU_MAX_MS.load(Ordering::Relaxed))
}

/// What one look at a thread shows.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// Processor time so far.
    cpu: Duration,
    /// Events so far.
    events: u64,
    /// Whether the thread waits for something other than a processor.
    asleep: bool,
}

/// What the looks so far have shown.
#[derive(Debug, Default)]
struct Watch {
    cpu: Duration,
    events: u64,
    /// Processor time at the last event.
    at_event: Duration,
    asleep: u32,
}

impl Watch {
    /// Why the run must be given up; `None`: it may go on.
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
    /// The thread's id in the operating system.
    thread: i32,
    events: Arc<AtomicU64>,
}

/// The calling thread's id in the operating system.
pub(super) fn this_thread() -> i32 {
    nix::unistd::gettid().as_raw()
}

impl Watched {
    pub(super) fn new(thread: i32, events: Arc<AtomicU64>) -> Self {
        Self { watch: Watch::default(), thread, events }
    }

    /// The thread's id in the operating system.
    pub(super) fn thread(&self) -> i32 {
        self.thread
    }

    /// Processor time that the thread had used at the last look.
    pub(super) fn processor_time(&self) -> Duration {
        self.watch.cpu
    }

    /// Why the run must be given up; `None`: it may go on.
    pub(super) fn look(&mut self) -> Option<String> {
        let look = Look {
            // A thread that has just ended has no clock any more; its result will be there at the next look.
            cpu: processor_time(self.thread).unwrap_or(self.watch.cpu),
            events: self.events.load(Ordering::Relaxed),
            asleep: is_asleep(self.thread),
        };
        self.watch.look(look, limit())
    }
}

/// Processor time of a thread of this process. It must be read from another thread: on a simulated thread the simulator
/// answers calls for the clock, and it does not know this clock.
fn processor_time(thread: i32) -> Option<Duration> {
    // Linux computes the id of a thread's clock like this: the complement of the thread id, then the bits for "of one
    // thread" and "processor time".
    let time = clock_gettime(ClockId::from_raw((!thread << 3) | 6)).ok()?;
    Some(Duration::new(u64::try_from(time.tv_sec()).ok()?, u32::try_from(time.tv_nsec()).ok()?))
}

/// Whether a thread waits for something other than a processor; `false` where the system does not say.
fn is_asleep(thread: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap_or_default();
    // The thread's name comes before and may contain anything, brackets included.
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
