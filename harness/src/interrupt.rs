//! Handles Ctrl-C and similar signals during many runs: no further run is started, and what was made is still written.
//!
//! Start at [`watch`]. The signals are blocked in all threads and children, and a separate thread waits for them. So
//! what is in progress is finished, and code that starts the next run asks [`signal`] first. A second signal ends the
//! program at once. A signal that was ignored when the program began stays ignored, because `nohup` relies on that.

use std::io::{self, Write};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SigSet, Signal};

const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The first signal that came; 0: none came.
static CAUGHT: AtomicI32 = AtomicI32::new(0);

/// The signal that interrupted this program, if one did.
pub(crate) fn signal() -> Option<Signal> {
    Signal::try_from(CAUGHT.load(Ordering::Relaxed)).ok()
}

/// The exit code of a program that this signal has ended.
pub(crate) fn exit_code(signal: Signal) -> u8 {
    128 + signal as u8
}

/// From here on the signals are recorded and no longer end the program. Must be called before any other thread is
/// started.
pub(crate) fn watch() -> nix::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let signals: SigSet = SIGNALS.into_iter().filter(|signal| !is_ignored(*signal, &status)).collect();
    signals.thread_block()?;
    let wait = move || {
        while let Ok(signal) = signals.wait() {
            if CAUGHT.compare_exchange(0, signal as i32, Ordering::Relaxed, Ordering::Relaxed).is_err() {
                crate::exit_guard::exit(exit_code(signal).into());
            }
            // Standard error may be closed; that must not end what is in progress.
            let _ = writeln!(
                io::stderr(),
                "{signal}: no more runs are begun; what was made is written (once more: end at once)"
            );
        }
    };
    // Without that thread no signal would be noticed, so the signals are unblocked.
    std::thread::Builder::new().name("signals".into()).spawn(wait).map(drop).or_else(|_| signals.thread_unblock())
}

/// For a process that another process supervises: the signals do not end it.
pub(crate) fn leave_to_others() -> nix::Result<()> {
    SIGNALS.into_iter().collect::<SigSet>().thread_block()
}

/// Whether a signal is ignored, from the status of a process that the system shows.
fn is_ignored(signal: Signal, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
    u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask >> (signal as u32 - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_known() {
        let status = "Name:\tx\nSigIgn:\t0000000000000001\nSigCgt:\t0000000000000002\n";
        assert!(is_ignored(Signal::SIGHUP, status));
        assert!(!is_ignored(Signal::SIGINT, status) && !is_ignored(Signal::SIGHUP, ""));
        assert_eq!(SIGNALS.map(exit_code), [130, 143, 129]);
    }
}
