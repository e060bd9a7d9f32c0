//! How a worker died, in the words of its run's verdict. Start at [`Death`].

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::units::format_size;

/// Why a worker gave no answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Death {
    /// The process ended by itself.
    Ended(ExitStatus),
    /// It was killed because it used more memory than its limit.
    Memory { used: u64, limit: u64 },
    /// It was killed because it used more processor time than its limit.
    Processor { limit: Duration },
    /// It was killed because it did nothing for very long.
    Idle,
    /// It was killed because its answer could not be read.
    Garbled(String),
}

impl Death {
    /// The text for the verdict.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Ended(status) => ended(*status),
            Self::Memory { used, limit } => format!(
                "the run's process was killed at {} MiB of memory: the limit is {} (--run-memory)",
                used >> 20,
                format_size(*limit)
            ),
            Self::Processor { limit } => format!(
                "the run's process was killed: judging included, it took far more processor time than the limit of {} s \
                 (--run-cpu)",
                limit.as_secs_f64()
            ),
            Self::Idle => "the run's process was killed: it waited for something that never came".into(),
            Self::Garbled(what) => {
                format!("the run's process was killed: it wrote into the harness' own socket ({what})")
            }
        }
    }
}

fn ended(status: ExitStatus) -> String {
    if let Some(code) = status.code() {
        return format!("the run's process ended with exit code {code} in the middle of the run");
    }
    let Some(number) = status.signal() else { return format!("the run's process ended: {status}") };
    let name = Signal::try_from(number).map_or("no name", Signal::as_str);
    let hint = match number {
        libc_signals::ABORT => ": it aborted, or its stack overflowed; standard error says which",
        libc_signals::SEGV | libc_signals::BUS => ": it touched memory that is not there",
        libc_signals::KILL => ": by someone else, or by the system for want of memory",
        _ => "",
    };
    format!("the run's process was killed by signal {number} ({name}) in the middle of the run{hint}")
}

/// Numbers of signals.
mod libc_signals {
    use nix::sys::signal::Signal;

    pub(super) const ABORT: i32 = Signal::SIGABRT as i32;
    pub(super) const SEGV: i32 = Signal::SIGSEGV as i32;
    pub(super) const BUS: i32 = Signal::SIGBUS as i32;
    pub(super) const KILL: i32 = Signal::SIGKILL as i32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_death_says_how() {
        let of = |raw: i32| Death::Ended(ExitStatus::from_raw(raw)).words();
        assert_eq!(of(0), "the run's process ended with exit code 0 in the middle of the run");
        assert_eq!(of(7 << 8), "the run's process ended with exit code 7 in the middle of the run");
        assert!(of(6).contains("signal 6 (SIGABRT)"), "{}", of(6));
        assert!(of(11).contains("signal 11 (SIGSEGV)"), "{}", of(11));
        let memory = Death::Memory { used: 300 << 20, limit: 256 << 20 }.words();
        assert!(memory.contains("300 MiB") && memory.contains("256MiB (--run-memory)"), "{memory}");
    }
}
