//! How many seeds and how many runs at the same time a command takes: numbers beyond are slips of the keyboard, and
//! would end in an overflow or in no memory.
//!
//! Start at [`seeds`] and [`parallel`].

use std::process::ExitCode;

use super::refuse_text;

/// Seeds of each scenario: more than a week of runs on any machine.
pub(super) const SEEDS_MAX: u64 = 1_000_000_000;
/// Runs at the same time; each has a thread and a cluster in memory.
const JOBS_MAX: usize = 1024;

/// Refuses seeds of which there are none or more than `most`, or whose last one would be beyond 64 bits.
pub(super) fn seeds(seed: u64, seeds: u64, most: u64) -> Result<(), ExitCode> {
    seeds_problem(seed, seeds, most).map_or(Ok(()), |(what, remedy)| Err(refuse_text(&what, &remedy)))
}

fn seeds_problem(seed: u64, seeds: u64, most: u64) -> Option<(String, String)> {
    if seeds == 0 {
        return Some(("--seeds 0".into(), "at least one seed is needed".into()));
    }
    if seeds > most {
        return Some((format!("--seeds {seeds}: too many"), format!("write 1 to {most}")));
    }
    // The last one is `seed + seeds - 1`.
    seed.checked_add(seeds - 1).is_none().then(|| {
        let what = format!("--seed {seed} --seeds {seeds}: the last seed would be beyond {}", u64::MAX);
        (what, format!("begin at {} or below, or take fewer seeds", u64::MAX - (seeds - 1)))
    })
}

/// Runs at the same time: as `--jobs` says, or one per core.
pub(super) fn parallel(jobs: Option<usize>) -> Result<usize, ExitCode> {
    match jobs {
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        Some(jobs @ 1..=JOBS_MAX) => Ok(jobs),
        Some(jobs) => {
            let remedy = format!("write 1 to {JOBS_MAX}, or leave it out for one run per core");
            let why = if jobs == 0 { "no run would ever be made" } else { "too many runs at the same time" };
            Err(refuse_text(&format!("--jobs {jobs}: {why}"), &remedy))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_end_where_numbers_do() {
        let says = |seed, seeds| seeds_problem(seed, seeds, 1000).map(|(what, remedy)| format!("{what}; {remedy}"));
        assert_eq!(says(1, 1000), None);
        assert_eq!(says(u64::MAX, 1), None);
        assert_eq!(says(u64::MAX - 2, 3), None);
        assert_eq!(says(1, 0).unwrap(), "--seeds 0; at least one seed is needed");
        assert_eq!(says(1, u64::MAX).unwrap(), "--seeds 18446744073709551615: too many; write 1 to 1000");
        assert!(says(u64::MAX, 3).unwrap().ends_with("begin at 18446744073709551613 or below, or take fewer seeds"));
    }

    #[test]
    fn runs_at_the_same_time_are_some_and_not_too_many() {
        assert_eq!(parallel(Some(3)), Ok(3));
        assert!(parallel(None).is_ok());
        assert!(parallel(Some(0)).is_err() && parallel(Some(usize::MAX)).is_err());
    }
}
