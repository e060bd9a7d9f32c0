//! What a hunt found, as data and as text, and how reports of several shards are merged into one.
//!
//! Start at [`HuntReport`]; [`merge`] adds up shards, and refuses reports that do not belong together.
//!
//! Invariant: (HUNT-REPORT-1) a merged report counts every run of its shards once, and lists each failure once.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use flowquake_reports::class::Class;
use flowquake_reports::units;
use serde::{Deserialize, Serialize};

use super::bucket::Bucket;
use super::saturation::Seen;
use crate::search::seeds::{Seeds, Shard};

/// Version of the report. Reports of any other version are refused.
pub const HUNT_REPORT_VERSION: u32 = 1;
/// How many failures the text lists.
const TOLD_MAX: usize = 20;

/// What a hunt found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HuntReport {
    /// [`HUNT_REPORT_VERSION`].
    pub hunt_version: u32,
    /// The program, with its commit if that is known.
    pub program: String,
    /// The command line.
    pub command: String,
    /// Names of the scenarios.
    pub scenarios: Vec<String>,
    /// Whether new behaviour guided which plans were changed.
    pub guided: bool,
    /// First seed, and which shard this is.
    pub seeds: Seeds,
    /// The shards in this report.
    pub shards: Vec<Shard>,
    /// Why the hunt ended.
    pub ended: String,
    /// Real time in nanoseconds; for several shards, their sum.
    pub wall_ns: u64,
    /// Processor time of the runs, nanoseconds.
    pub cpu_ns: u64,
    /// Number of fresh seeds among the runs.
    pub fresh: u64,
    /// Runs by verdict.
    pub verdicts: BTreeMap<String, u64>,
    /// How often each class of runs was seen.
    pub seen: Seen,
    /// Number of signals that were shown (S1 to S4).
    pub signals: u64,
    /// Plans in the corpus at the end.
    pub corpus: u64,
    /// Failures, the most frequent first.
    pub failures: Vec<FailureFound>,
}

/// A failure with what was made of its plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureFound {
    /// The failure.
    pub bucket: Bucket,
    /// The file that holds the failure's plan.
    pub file: String,
    /// Number of faults of the smallest plan that fails like this, if the plan was made smaller.
    pub small_faults: Option<u64>,
    /// The command that replays the failure.
    pub replay: String,
}

/// Why reports cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// The reports are of different hunts.
    #[error("{what} of the second report differs from that of the first: {found}, not {expected}")]
    Differs {
        /// What differs.
        what: &'static str,
        /// The value in the first report.
        expected: String,
        /// The value in the other report.
        found: String,
    },
    /// A shard is there twice, so its runs would be counted twice.
    #[error("shard {0} is there twice")]
    Twice(Shard),
    /// A shard is missing, so the sum would be taken for the whole hunt.
    #[error("shard {0} is missing")]
    Missing(Shard),
    /// There are no reports.
    #[error("there is no report")]
    Nothing,
}

/// One report over all shards of a hunt.
pub fn merge(reports: Vec<HuntReport>) -> Result<HuntReport, MergeError> {
    let mut reports = reports.into_iter();
    let mut all = reports.next().ok_or(MergeError::Nothing)?;
    for report in reports {
        let differs = |what, expected: &dyn std::fmt::Debug, found: &dyn std::fmt::Debug| MergeError::Differs {
            what,
            expected: format!("{expected:?}"),
            found: format!("{found:?}"),
        };
        if report.program != all.program {
            return Err(differs("the program", &all.program, &report.program));
        }
        if report.scenarios != all.scenarios {
            return Err(differs("the scenarios", &all.scenarios, &report.scenarios));
        }
        if report.seeds.first != all.seeds.first {
            return Err(differs("the first seed", &all.seeds.first, &report.seeds.first));
        }
        if report.seeds.shard.of != all.seeds.shard.of {
            return Err(differs("the number of shards", &all.seeds.shard.of, &report.seeds.shard.of));
        }
        if let Some(twice) = report.shards.iter().find(|shard| all.shards.contains(shard)) {
            return Err(MergeError::Twice(*twice));
        }
        all.add(report);
    }
    let of = all.seeds.shard.of;
    let missing = (1..=of).map(|number| Shard { number, of }).find(|shard| !all.shards.contains(shard));
    missing.map_or(Ok(all), |shard| Err(MergeError::Missing(shard)))
}

impl HuntReport {
    fn add(&mut self, other: HuntReport) {
        self.shards.extend(other.shards);
        self.shards.sort_unstable();
        self.guided |= other.guided;
        if self.ended != other.ended {
            self.ended = format!("{}; {}", self.ended, other.ended);
        }
        self.wall_ns += other.wall_ns;
        self.cpu_ns += other.cpu_ns;
        self.fresh += other.fresh;
        for (verdict, runs) in other.verdicts {
            *self.verdicts.entry(verdict).or_default() += runs;
        }
        self.seen.merge(&other.seen);
        // Each report counts the signals of its own shard only. Which signals are the same in both is not known, so the
        // greater number is kept.
        self.signals = self.signals.max(other.signals);
        self.corpus += other.corpus;
        for failure in other.failures {
            match self.failures.iter_mut().find(|known| known.bucket.key == failure.bucket.key) {
                Some(known) => {
                    let runs = known.bucket.runs + failure.bucket.runs;
                    let faults =
                        |found: &FailureFound| found.small_faults.unwrap_or(found.bucket.plan.faults.len() as u64);
                    if faults(&failure) < faults(known) {
                        *known = failure;
                    }
                    known.bucket.runs = runs;
                }
                None => self.failures.push(failure),
            }
        }
        self.failures.sort_by_key(|failure| std::cmp::Reverse(failure.bucket.runs));
        assert!(self.seen.runs() == self.verdicts.values().sum::<u64>(), "HUNT-REPORT-1");
    }

    /// Number of runs.
    pub fn runs(&self) -> u64 {
        self.seen.runs()
    }

    /// The exit code: 0 if nothing failed, else the code of the worst failure. A plan that hurt nothing (vacuous) does
    /// not count here, because most changes of a plan have no effect.
    pub fn exit_code(&self) -> u8 {
        let classes = [Class::Failed, Class::Crashed, Class::Stuck, Class::Nondeterministic];
        let is_there =
            |class: &Class| self.failures.iter().any(|failure| failure.bucket.exit_code == class.exit_code());
        classes.into_iter().find(is_there).map_or(0, Class::exit_code)
    }

    /// The report as text for a terminal or a log.
    pub fn text(&self) -> String {
        let count = units::count;
        let runs = self.runs();
        let mut out = String::new();
        let mut line = |text: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{text}");
        };
        for (number, failure) in (1..).zip(self.failures.iter().take(TOLD_MAX)) {
            let FailureFound { bucket, small_faults, replay, .. } = failure;
            line(format!("failure {number}: {}", bucket.headline));
            if !bucket.key.position.is_empty() {
                line(format!("  first struck by {}", bucket.key.position));
            }
            let small = small_faults.map_or_else(
                || format!("{}, not made smaller", units::counted(bucket.plan.faults.len(), "fault")),
                |faults| format!("made smaller to {}", units::counted(faults as usize, "fault")),
            );
            let times = units::counted(bucket.runs as usize, "run");
            line(format!("  {times} failed so, the first was number {}; {small}", count(bucket.first_run)));
            line(format!("  {replay}\n"));
        }
        if self.failures.len() > TOLD_MAX {
            let more = units::counted(self.failures.len() - TOLD_MAX, "more failure");
            line(format!("… and {more} in the JSON report\n"));
        }
        let verdicts: Vec<String> =
            self.verdicts.iter().map(|(verdict, runs)| format!("{} {verdict}", count(*runs))).collect();
        line(format!("{}: {}", units::counted(runs as usize, "run"), verdicts.join(", ")));
        let changed = runs.saturating_sub(self.fresh);
        let how = if self.guided { "guided" } else { "plain swarm" };
        line(format!(
            "{how}: {} from {} on, {}",
            units::counted(self.fresh as usize, "fresh seed"),
            self.seeds.first,
            units::counted(changed as usize, "changed or known plan")
        ));
        line(format!(
            "seen: {}, {} of them once: the next run shows a new one with a chance of about {:.1} %",
            units::counted(self.seen.classes() as usize, "class of runs"),
            count(self.seen.once()),
            self.seen.unseen() * 100.0
        ));
        line(format!(
            "corpus: {}, {}",
            units::counted(self.corpus as usize, "plan"),
            units::counted(self.signals as usize, "signal")
        ));
        if self.shards.len() > 1 || self.seeds.shard.of > 1 {
            let shards: Vec<String> = self.shards.iter().map(ToString::to_string).collect();
            line(format!("shards: {}", shards.join(", ")));
        }
        line(format!(
            "ended: {}, after {} ({} of processor time)",
            self.ended,
            units::duration(self.wall_ns),
            units::duration(self.cpu_ns)
        ));
        line(match self.failures.len() {
            0 => "no failure".to_owned(),
            n => units::counted(n, "failure"),
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::bucket::BucketKey;
    use super::*;
    use crate::fixtures;

    fn failure(objection: &str, runs: u64, small: Option<u64>) -> FailureFound {
        let key = BucketKey {
            failure: "failed O1".into(),
            objection: objection.into(),
            position: "kill at x, leader".into(),
        };
        let plan = fixtures::plan();
        FailureFound {
            bucket: Bucket { key, runs, first_run: 17, headline: format!("O1: {objection}"), exit_code: 1, plan },
            file: "a.json".into(),
            small_faults: small,
            replay: "flowquake replay a.json".into(),
        }
    }

    fn report(number: u64, of: u64, classes: &[u64], failures: Vec<FailureFound>) -> HuntReport {
        let mut seen = Seen::default();
        for class in classes {
            seen.count(*class);
        }
        HuntReport {
            hunt_version: HUNT_REPORT_VERSION,
            program: "flowquake 0.1.0".into(),
            command: "flowquake hunt".into(),
            scenarios: vec!["reference".into()],
            guided: true,
            seeds: Seeds { first: 7, shard: Shard { number, of } },
            shards: vec![Shard { number, of }],
            ended: "time".into(),
            wall_ns: 60_000_000_000,
            cpu_ns: 110_000_000_000,
            fresh: 1,
            verdicts: BTreeMap::from([("passed".into(), classes.len() as u64)]),
            seen,
            signals: 40,
            corpus: 2,
            failures,
        }
    }

    #[test]
    fn shards_make_one_report() {
        let one = report(1, 2, &[1, 2, 3], vec![failure("a", 1, None), failure("b", 1, Some(2))]);
        let two = report(2, 2, &[1, 2, 4], vec![failure("a", 5, Some(0))]);
        let both = merge(vec![two.clone(), one.clone()]).unwrap();
        assert_eq!((both.runs(), both.seen.classes(), both.seen.once()), (6, 4, 2), "HUNT-REPORT-1");
        let failures: Vec<_> =
            both.failures.iter().map(|failure| (failure.bucket.runs, failure.small_faults)).collect();
        assert_eq!(failures, [(6, Some(0)), (1, Some(2))], "HUNT-REPORT-1");
        insta::assert_snapshot!(both.text());
        assert_eq!(both.exit_code(), 1);
        assert_eq!(report(1, 1, &[1], vec![]).exit_code(), 0);
        let text = serde_json::to_string(&both).unwrap();
        assert_eq!(serde_json::from_str::<HuntReport>(&text).unwrap(), both);
        assert_eq!(merge(vec![one.clone()]), Err(MergeError::Missing(Shard { number: 2, of: 2 })));
        assert_eq!(merge(vec![one.clone(), one.clone()]), Err(MergeError::Twice(Shard { number: 1, of: 2 })));
        assert_eq!(merge(vec![]), Err(MergeError::Nothing));
        let other = HuntReport { program: "flowquake 0.2.0".into(), ..two };
        assert!(merge(vec![one, other]).unwrap_err().to_string().contains("the program of the second report differs"));
    }
}
