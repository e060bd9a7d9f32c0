//! The result of an exhaustive search: every strike of its catalogue, which of them were run, and how each run went.
//!
//! Start at [`ExhaustSet`]; [`terminal`] gives it in a few lines, [`html`] as a page with the picture. The strikes are
//! plain data that the harness made, and merging shards needs nothing else.
//!
//! Invariant: (EXHAUST-X1) a set of another version is refused, and so is a set whose strikes do not fit its own counts
//! ([`read`]).

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::class::Class;
use crate::units::{count, counted};

pub mod html;
mod picture;
pub mod terminal;

/// Version of this schema. Readers refuse any other version.
pub const EXHAUST_VERSION: u32 = 2;

/// Longest file that is read, in bytes.
const FILE_MAX: u64 = 1 << 30;

/// An exhaustive search, or a shard of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExhaustSet {
    /// [`EXHAUST_VERSION`] of the writer.
    pub exhaust_version: u32,
    /// The command line that made it.
    pub command: String,
    /// Version of the program.
    pub program: String,
    /// Hash over the sources of the engine; searches of different engines are not merged.
    pub engine: String,
    /// Hash over the plan and the catalogue; searches of different plans are not merged.
    pub plan: String,
    /// Name of the scenario.
    pub scenario: String,
    /// The scenario's file.
    pub file: String,
    /// The seed of the scenario's run.
    pub seed: u64,
    /// The cuts that were made, by name.
    pub cuts: Vec<String>,
    /// Which percentage of the other members of classes was to be run besides the strikes that stand for them.
    pub members_percent: u8,
    /// Number of the shard, from 1, and number of shards.
    pub shard: (u32, u32),
    /// How often a class was split because a member went another way than the class.
    pub splits: u64,
    /// Why the search did not run everything that was asked for; empty if it did.
    pub stopped: String,
    /// The result in one line.
    pub theorem: String,
    /// The events of the clean run, in order.
    pub events: Vec<ExhaustEvent>,
    /// Kinds of faults in the order of the catalogue, with the families to which they belong.
    pub kinds: Vec<(String, String)>,
    /// Grounds of the strikes; the first one, without a name, is the scenario itself.
    pub grounds: Vec<String>,
    /// For each ground, how many faults come before its strikes, apart from the scenario's own; 0 for the scenario
    /// itself.
    pub depths: Vec<u8>,
    /// How many strikes there are in all shards.
    pub strikes_total: u64,
    /// Number of classes before any was split, in all shards.
    pub classes_total: u64,
    /// Every strike of this shard.
    pub strikes: Vec<ExhaustStrike>,
    /// Signatures in words.
    pub signatures: BTreeMap<String, String>,
    /// What each cut removes by itself, in all shards.
    pub measured: Vec<MeasuredCut>,
    /// What a covering array of pairs covers; `None`: the search has no covering array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covering: Option<Covering>,
}

/// What a cut removes by itself, with all other cuts made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredCut {
    /// Name of the cut.
    pub name: String,
    /// Whether the cut follows from the model. Otherwise it is assumed, and tested.
    pub sound: bool,
    /// What is counted.
    pub unit: String,
    /// How many there are without the cut.
    pub of: u64,
    /// How many of these the cut removes.
    pub removes: u64,
}

/// What a covering array of pairs covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covering {
    /// How many of the four parts of a pair (two kinds, two phases) each combination fixes: 3 or 4.
    pub strength: u8,
    /// Combinations by sort.
    pub sorts: Vec<CoveredSort>,
    /// Number of combinations that no pair covers, by reason.
    pub missing: BTreeMap<String, u64>,
    /// Every pair of this shard.
    pub pairs: Vec<CoveringPair>,
}

/// Combinations of a sort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoveredSort {
    /// The sort in words.
    pub name: String,
    /// Number of all combinations.
    pub all: u64,
    /// Number of those that some pair of the search covers, in all shards.
    pub possible: u64,
    /// Number of those of pairs that were run and of which both faults struck.
    pub covered: u64,
}

/// A pair of a covering array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoveringPair {
    /// Number of the pair's strike.
    pub number: u32,
    /// Kind and phase of the first fault, by their numbers.
    pub first: (u16, u16),
    /// Kind and phase of the second fault.
    pub second: (u16, u16),
}

impl Covering {
    /// The result in one line.
    pub fn theorem(&self, runs: usize) -> String {
        let sum = |of: fn(&CoveredSort) -> u64| count(self.sorts.iter().map(of).sum());
        let all = self.sorts.iter().map(|sort| sort.all - sort.possible).sum();
        format!(
            "{} with two faults each cover {} of {} combinations of two kinds and two phases, {} at a time; {} more cannot be",
            counted(runs, "run"),
            sum(|sort| sort.covered),
            sum(|sort| sort.possible),
            self.strength,
            count(all),
        )
    }
}

/// An event of the clean run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExhaustEvent {
    /// When the event was emitted.
    pub at_ns: u64,
    /// Its name.
    pub name: String,
    /// The node that emitted it.
    pub node: String,
    /// Its checkpoint; 0: none.
    pub checkpoint: u64,
    /// How far the protocol had come.
    pub phase: String,
}

/// A strike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExhaustStrike {
    /// Its number in the catalogue.
    pub number: u32,
    /// Number of its ground.
    pub ground: u32,
    /// Number of the event at which it strikes, among the events of its ground.
    pub event: u32,
    /// Number of the kind of fault.
    pub kind: u32,
    /// The setting of the fault.
    pub label: String,
    /// The victim.
    pub victim: String,
    /// Number of its class.
    pub class: u32,
    /// Whether it stands for its class.
    pub stands: bool,
    /// How the run went; `None`: it was not run.
    pub result: Option<ExhaustResult>,
}

/// How a strike went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExhaustResult {
    /// Class of the verdict.
    pub verdict: Class,
    /// Signature of the run, 16 hexadecimal digits.
    pub signature: String,
    /// The evidence in one line; empty for a run that passed.
    pub headline: String,
    /// The command that makes the run again.
    pub replay: String,
    /// Processor time of the run.
    pub cpu_ns: u64,
    /// Whether its fault struck and, if its ground has a fault, that one as well.
    pub struck: bool,
}

impl ExhaustSet {
    /// How many strikes were run with each class of verdict.
    pub fn verdicts(&self) -> BTreeMap<Class, usize> {
        let mut verdicts = BTreeMap::new();
        for result in self.strikes.iter().filter_map(|strike| strike.result.as_ref()) {
            *verdicts.entry(result.verdict).or_default() += 1;
        }
        verdicts
    }

    /// How many strikes were run with each signature, the most frequent first.
    pub fn by_signature(&self) -> Vec<(&str, usize, Class)> {
        let mut counts: BTreeMap<&str, (usize, Class)> = BTreeMap::new();
        for result in self.strikes.iter().filter_map(|strike| strike.result.as_ref()) {
            counts.entry(&result.signature).or_insert((0, result.verdict)).0 += 1;
        }
        let mut sorted: Vec<_> =
            counts.into_iter().map(|(signature, (count, verdict))| (signature, count, verdict)).collect();
        sorted.sort_by_key(|(signature, count, _)| (std::cmp::Reverse(*count), *signature));
        sorted
    }

    /// The signature in words.
    pub fn words<'s>(&'s self, signature: &'s str) -> &'s str {
        self.signatures.get(signature).map_or(signature, String::as_str)
    }
}

/// Reads a set.
///
/// Errors: `InvalidData`, if the file is not a set, has another version, or contradicts itself (EXHAUST-X1).
pub fn read(file: &Path) -> io::Result<ExhaustSet> {
    let refuse = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let text = bounded::text(file, FILE_MAX)?;
    #[derive(Deserialize)]
    struct Version {
        exhaust_version: u32,
    }
    let version: Version = serde_json::from_str(&text)
        .map_err(|error| refuse(format!("this is no result of `flowquake exhaust --json`: {error}")))?;
    if version.exhaust_version != EXHAUST_VERSION {
        let found = version.exhaust_version;
        return Err(refuse(format!("it has version {found}, but this build reads version {EXHAUST_VERSION}")));
    }
    let set: ExhaustSet = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    if set.depths.len() != set.grounds.len() {
        return Err(refuse("it does not say of each ground how deep it is".into()));
    }
    let fits = |strike: &ExhaustStrike| {
        (strike.kind as usize) < set.kinds.len()
            && (strike.ground as usize) < set.grounds.len()
            && u64::from(strike.number) < set.strikes_total
            && u64::from(strike.class) < set.classes_total
            && (strike.ground > 0 || (strike.event as usize) < set.events.len())
    };
    match set.strikes.iter().find(|strike| !fits(strike)) {
        Some(strike) => Err(refuse(format!("its strike {} is none of its catalogue", strike.number))),
        None if set.shard.0 == 0 || set.shard.0 > set.shard.1 => {
            Err(refuse(format!("its shard {}/{} does not exist", set.shard.0, set.shard.1)))
        }
        None => Ok(set),
    }
}

/// A small search for tests: two kinds at three events, one strike of which failed.
#[cfg(test)]
pub(crate) fn fixture() -> ExhaustSet {
    let event = |at_ns, name: &str, checkpoint| ExhaustEvent {
        at_ns,
        name: name.into(),
        node: "jm-1".into(),
        checkpoint,
        phase: "Running".into(),
    };
    let strike = |number, event, kind, class, stands, verdict: Option<Class>| ExhaustStrike {
        number,
        ground: 0,
        event,
        kind,
        label: "for good".into(),
        victim: "tm-1".into(),
        class,
        stands,
        result: verdict.map(|verdict| ExhaustResult {
            verdict,
            signature: format!("{:016x}", verdict.exit_code()),
            headline: if verdict == Class::Failed { "O1: a <record> is lost".into() } else { String::new() },
            replay: format!("flowquake exhaust a.toml --strike {number}"),
            cpu_ns: 7_000_000,
            struck: verdict != Class::Vacuous,
        }),
    };
    ExhaustSet {
        exhaust_version: EXHAUST_VERSION,
        command: "flowquake exhaust a.toml".into(),
        program: "flowquake 0.1.0".into(),
        engine: "0123".into(),
        plan: "4567".into(),
        scenario: "a".into(),
        file: "a.toml".into(),
        seed: 1,
        cuts: vec!["steady-epochs".into()],
        members_percent: 0,
        shard: (1, 1),
        splits: 0,
        stopped: String::new(),
        theorem: "6 strikes in 4 classes, 0 members re-run, 0 disagreements".into(),
        events: vec![
            event(1, "job-running", 0),
            event(2, "checkpoint-triggered", 1),
            event(3, "checkpoint-completed", 1),
        ],
        kinds: vec![("kill".into(), "process".into()), ("cut".into(), "network".into())],
        grounds: vec![String::new()],
        depths: vec![0],
        strikes_total: 6,
        classes_total: 4,
        strikes: vec![
            strike(0, 0, 0, 0, true, Some(Class::Passed)),
            strike(1, 0, 1, 1, true, Some(Class::Vacuous)),
            strike(2, 1, 0, 2, true, Some(Class::Failed)),
            strike(3, 1, 1, 3, true, Some(Class::Passed)),
            strike(4, 2, 0, 2, false, None),
            strike(5, 2, 1, 3, false, None),
        ],
        signatures: BTreeMap::from([
            ("0000000000000000".into(), "passed, 1 attempt".into()),
            ("0000000000000001".into(), "failed O1".into()),
            ("0000000000000003".into(), "vacuous, no restart".into()),
        ]),
        measured: vec![MeasuredCut {
            name: "steady-epochs".into(),
            sound: false,
            unit: "classes".into(),
            of: 6,
            removes: 2,
        }],
        covering: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<ExhaustSet, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.json");
        std::fs::write(&file, text).unwrap();
        read(&file).map_err(|error| error.to_string())
    }

    /// Tries EXHAUST-X1.
    #[test]
    fn a_set_is_read_as_it_was_written_and_what_does_not_fit_is_refused() {
        let set = fixture();
        assert_eq!(read_text(&serde_json::to_string(&set).unwrap()).unwrap(), set);
        let says = |change: &dyn Fn(&mut ExhaustSet)| {
            let mut set = fixture();
            change(&mut set);
            read_text(&serde_json::to_string(&set).unwrap()).unwrap_err()
        };
        assert!(says(&|set| set.exhaust_version = 9).contains("version 9"));
        assert!(says(&|set| set.strikes[2].kind = 7).contains("strike 2 is none"));
        assert!(says(&|set| set.strikes[5].event = 3).contains("strike 5 is none"));
        assert!(says(&|set| set.depths.clear()).contains("how deep"));
        assert!(says(&|set| set.shard = (3, 2)).contains("shard 3/2"));
        assert!(read_text("{}").unwrap_err().contains("no result of"));
    }

    #[test]
    fn signatures_are_counted_the_most_frequent_first() {
        let set = fixture();
        let counts: Vec<usize> = set.by_signature().iter().map(|(_, count, _)| *count).collect();
        assert_eq!(counts, [2, 1, 1]);
        assert_eq!(set.words("0000000000000001"), "failed O1");
        assert_eq!(set.verdicts()[&Class::Passed], 2);
    }
}
