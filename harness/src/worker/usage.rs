//! What a process of this machine uses: its own memory, and processor time. Start at [`memory`].

use std::time::Duration;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Bytes that belong to the process alone, in memory or swapped out. The program's file is not counted, because other
/// processes map the same file. `None`: the system does not tell, or there is no such process.
pub(super) fn memory(process: u32) -> Option<u64> {
    own_bytes(&std::fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

fn own_bytes(status: &str) -> Option<u64> {
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    // Older systems do not tell the parts.
    let resident = of("RssAnon").map(|own| own + of("RssShmem").unwrap_or(0)).or_else(|| of("VmRSS"))?;
    Some((resident + of("VmSwap").unwrap_or(0)) << 10)
}

/// Processor time of all threads so far.
pub(super) fn processor_time(process: u32) -> Option<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(process).ok()?)).ok()?;
    let time = clock_gettime(clock).ok()?;
    Some(Duration::new(u64::try_from(time.tv_sec()).ok()?, u32::try_from(time.tv_nsec()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_is_the_process_own() {
        let status = "Name:\tVmRSS: 9 kB\nVmRSS:\t  300 kB\nRssAnon:\t 100 kB\nRssFile:\t 190 kB\nRssShmem:\t 10 kB\nVmSwap:\t 5 kB\n";
        assert_eq!(own_bytes(status), Some(115 << 10));
        assert_eq!(own_bytes("VmRSS:\t 300 kB\n"), Some(300 << 10));
        assert_eq!(own_bytes("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_uses_something() {
        assert!(memory(std::process::id()).is_some_and(|bytes| bytes > 0));
        assert!(processor_time(std::process::id()).is_some());
    }
}
