//! The baseline: which runs the gate makes, and what they measured when the team last accepted the measurements.
//!
//! One file has both, because two files would soon disagree. People read it in the diffs of a review, so it has a fixed
//! order, and a line for each run and measure. Start at [`Baseline::parse`] and [`Baseline::text`].
//!
//! Invariants: (B1) what [`Baseline::text`] writes, [`Baseline::parse`] reads back unchanged; (B2) a baseline that was
//! read names every run once and no scenario without a run, has only verdicts that can be accepted, and has a hash for
//! every cost profile that it mentions.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::budget::Budgets;
use super::times::{Measure, Times};
use crate::class::Class;
use crate::units;

/// Version of the file. Raised when a field changes, or when a measure changes its meaning.
pub const BASELINE_VERSION: u32 = 1;

/// Longest line of numbers, in characters.
const LINE_MAX: usize = 118;

/// The content of a baseline file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// [`BASELINE_VERSION`] of the writer.
    pub baseline_version: u32,
    /// Fingerprint of the sources that can change a trace.
    pub engine: String,
    /// For each cost profile in use: a hash over everything that the profile sets.
    pub cost_profiles: BTreeMap<String, String>,
    /// By how much a percentile may become slower.
    pub budgets: Budgets,
    /// The scenarios, in the order in which they are run.
    pub scenarios: Vec<ScenarioBaseline>,
}

/// One scenario with its runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioBaseline {
    /// Its name.
    pub scenario: String,
    /// The scenario's file, relative to the folder in which the gate is run.
    pub file: String,
    /// Name of the scenario's cost profile.
    pub cost_profile: String,
    /// One run per seed.
    pub runs: Vec<RunBaseline>,
}

/// What one run measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunBaseline {
    /// Its seed.
    pub seed: u64,
    /// What the run proved.
    pub verdict: Class,
    /// Hash of the plan that seed and scenario give, 16 hexadecimal digits.
    pub plan: String,
    /// Hash of the trace, also 16 hexadecimal digits.
    pub trace: String,
    /// Times of the run; empty for a swarm, whose times depend on the faults drawn.
    pub times: Times,
}

/// Why a text is not a valid baseline, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadBaseline {
    /// What is wrong.
    pub message: String,
    /// The byte of the text at which it is wrong, if that is known.
    pub offset: Option<usize>,
    /// What would be right.
    pub help: String,
}

/// The remedy for everything that a new baseline solves.
const RENEW: &str = "make it anew: flowquake gate --baseline FILE --update SCENARIOS…";

impl Baseline {
    /// Reads a baseline.
    pub fn parse(text: &str) -> Result<Baseline, BadBaseline> {
        /// The version, which is the only field that is read before it is known to be right.
        #[derive(Deserialize)]
        struct Versioned {
            baseline_version: u32,
        }
        if let Ok(Versioned { baseline_version: found }) = serde_json::from_str(text)
            && found != BASELINE_VERSION
        {
            return Err(BadBaseline {
                message: format!("this baseline has version {found}, but this build reads version {BASELINE_VERSION}"),
                offset: place(text, "\"baseline_version\""),
                help: RENEW.into(),
            });
        }
        let mut baseline: Baseline = serde_json::from_str(text).map_err(|error| malformed(text, &error))?;
        baseline.check().map_err(|(message, quoted, help)| BadBaseline {
            message,
            offset: quoted.and_then(|word| place(text, &format!("\"{word}\""))),
            help,
        })?;
        for run in baseline.scenarios.iter_mut().flat_map(|scenario| &mut scenario.runs) {
            run.times.sort();
        }
        Ok(baseline)
    }

    /// Checks B2. On an offence it returns the message, the word to point at, and the remedy.
    fn check(&self) -> Result<(), (String, Option<String>, String)> {
        if self.runs() == 0 {
            return Err(("this baseline names no run".into(), Some("scenarios".into()), RENEW.into()));
        }
        let mut names = BTreeSet::new();
        for scenario in &self.scenarios {
            let name = &scenario.scenario;
            if !names.insert(name) {
                let help = "put the seeds of both into one entry, and remove the other";
                return Err((format!("scenario `{name}` stands here twice"), Some(name.clone()), help.into()));
            }
            if scenario.runs.is_empty() {
                let message = format!("scenario `{name}` has no run, so that nothing of it would be judged");
                return Err((message, Some(name.clone()), format!("remove the scenario, or {RENEW}")));
            }
            let mut seeds = BTreeSet::new();
            for run in &scenario.runs {
                let seed = run.seed;
                // A run that proves nothing may stay in the baseline, and is reported. A run that failed, or was not
                // made, cannot be a reference.
                if !matches!(run.verdict, Class::Passed | Class::Vacuous) {
                    let message =
                        format!("`{name}`, seed {seed}: a baseline holds no run that is {}", run.verdict.label());
                    let word = class_word(run.verdict);
                    return Err((message, Some(word), format!("remove the run, or mend it and {RENEW}")));
                }
                if !seeds.insert(seed) {
                    let help = "remove one of the two runs";
                    return Err((
                        format!("seed {seed} of `{name}` stands here twice"),
                        Some(name.clone()),
                        help.into(),
                    ));
                }
                for (what, hash) in [("plan", &run.plan), ("trace", &run.trace)] {
                    if hash.len() != 16 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                        let message = format!("`{name}`, seed {seed}: the {what} hash `{hash}` is no hash");
                        return Err((message, Some(hash.clone()), "16 hexadecimal digits are needed".into()));
                    }
                }
            }
            let profile = &scenario.cost_profile;
            if !self.cost_profiles.contains_key(profile) {
                let message =
                    format!("`{name}` has the cost profile `{profile}`, which has no hash in `cost_profiles`");
                return Err((message, Some(profile.clone()), RENEW.into()));
            }
        }
        Ok(())
    }

    /// Number of runs.
    pub fn runs(&self) -> usize {
        self.scenarios.iter().map(|scenario| scenario.runs.len()).sum()
    }

    /// The file's text, ending with a line break.
    pub fn text(&self) -> String {
        let profiles: Vec<String> =
            self.cost_profiles.iter().map(|(name, hash)| format!("{}: {}", quoted(name), quoted(hash))).collect();
        let budgets = serde_json::to_string(&self.budgets).expect("budgets are always JSON");
        let scenarios: Vec<String> = self.scenarios.iter().map(scenario_text).collect();
        format!(
            "{{\n  \"baseline_version\": {},\n  \"engine\": {},\n  \"cost_profiles\": {{ {} }},\n  \"budgets\": {},\n  \
             \"scenarios\": [\n{}\n  ]\n}}\n",
            self.baseline_version,
            quoted(&self.engine),
            profiles.join(", "),
            spaced(&budgets),
            scenarios.join(",\n"),
        )
    }

    /// Such as `21 scenarios, 105 runs`.
    pub fn size(&self) -> String {
        format!("{}, {}", units::counted(self.scenarios.len(), "scenario"), units::counted(self.runs(), "run"))
    }
}

fn scenario_text(scenario: &ScenarioBaseline) -> String {
    let runs: Vec<String> = scenario.runs.iter().map(run_text).collect();
    format!(
        "    {{\n      \"scenario\": {},\n      \"file\": {},\n      \"cost_profile\": {},\n      \"runs\": [\n{}\n      ]\n    }}",
        quoted(&scenario.scenario),
        quoted(&scenario.file),
        quoted(&scenario.cost_profile),
        runs.join(",\n")
    )
}

fn run_text(run: &RunBaseline) -> String {
    let verdict = quoted(&class_word(run.verdict));
    let lines: Vec<String> = Measure::ALL
        .into_iter()
        .filter(|measure| !run.times.values(*measure).is_empty())
        .map(|measure| format!("            {}: {}", quoted(measure.key()), numbers(&run.times, measure)))
        .collect();
    let times = if lines.is_empty() { "{}".to_owned() } else { format!("{{\n{}\n          }}", lines.join(",\n")) };
    format!(
        "        {{\n          \"seed\": {}, \"verdict\": {verdict}, \"plan\": {}, \"trace\": {},\n          \"times\": {times}\n        }}",
        run.seed,
        quoted(&run.plan),
        quoted(&run.trace),
    )
}

/// A list of numbers, with a line break where a line is full.
fn numbers(times: &Times, measure: Measure) -> String {
    const INDENT: &str = "              ";
    let values: Vec<String> = times
        .values(measure)
        .iter()
        .map(|lapse| serde_json::to_string(lapse).expect("a lapse is always JSON"))
        .collect();
    let one_line = format!("[{}]", values.join(", "));
    if INDENT.len() + measure.key().len() + one_line.len() <= LINE_MAX {
        return one_line;
    }
    let mut lines = vec![String::new()];
    for (index, value) in values.iter().enumerate() {
        let last = lines.last_mut().expect("never empty");
        let comma = if index + 1 < values.len() { "," } else { "" };
        if last.is_empty() {
            *last = format!("{value}{comma}");
        } else if INDENT.len() + last.len() + value.len() + 2 > LINE_MAX {
            lines.push(format!("{value}{comma}"));
        } else {
            last.push_str(&format!(" {value}{comma}"));
        }
    }
    format!("[\n{INDENT}{}\n            ]", lines.join(&format!("\n{INDENT}")))
}

/// The word of a class in the file.
fn class_word(class: Class) -> String {
    let json = serde_json::to_string(&class).expect("a class is always JSON");
    json.trim_matches('"').to_owned()
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text is always JSON")
}

/// Puts spaces into JSON that has no text with commas or colons.
fn spaced(json: &str) -> String {
    let inner = json.trim_start_matches('{').trim_end_matches('}').replace(':', ": ").replace(',', ", ");
    format!("{{ {inner} }}")
}

/// Where a word occurs first.
fn place(text: &str, word: &str) -> Option<usize> {
    text.find(word)
}

/// What `serde_json` refused. It gives line and column; to show the place in the text, the byte is needed.
fn malformed(text: &str, error: &serde_json::Error) -> BadBaseline {
    let start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    // For a wrong value, `serde_json` points behind the value's end, so go back into the value.
    let back = if error.is_data() { 2 } else { 1 };
    let mut offset = (start + error.column().saturating_sub(back)).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let help = match error.classify() {
        serde_json::error::Category::Data => "correct the value, or make the baseline anew with --update",
        _ => "look for a missing comma, quote or bracket before this place, or for the marks of a merge conflict",
    };
    BadBaseline { message: format!("this is no baseline: {error}"), offset: Some(offset), help: help.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::fixtures::baseline;

    #[test]
    fn a_baseline_is_readable_and_read_back() {
        let text = baseline().text();
        insta::assert_snapshot!("baseline", text);
        assert_eq!(Baseline::parse(&text), Ok(baseline()), "B1");
        assert!(text.ends_with("}\n"));
    }

    #[test]
    fn long_lists_are_broken_and_read_back() {
        let mut long = baseline();
        let times = &mut long.scenarios[0].runs[0].times;
        times.add(Measure::CheckpointDuration, (0..100).map(|n| super::super::times::Lapse::Ns(n * 10_000_000)));
        let text = long.text();
        assert!(text.lines().all(|line| line.len() <= LINE_MAX + 2), "{text}");
        assert_eq!(Baseline::parse(&text), Ok(long), "B1");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_a_remedy() {
        let text = baseline().text();
        let cases = [
            (
                text.replace("\"baseline_version\": 1", "\"baseline_version\": 9"),
                "has version 9, but this build reads version 1",
                2,
            ),
            (text[..text.len() / 2].to_owned(), "this is no baseline: EOF while parsing", 0),
            (text.replace("\"2%\"", "\"2\""), "`2` is no budget", 5),
            (text.replace("\"passed\"", "\"pased\""), "unknown variant `pased`", 13),
            (text.replace("trigger-gap", "gap"), "unknown variant `gap`", 0),
            (text.replace("\"builtin\": ", "\"free\": "), "the cost profile `builtin`, which has no hash", 10),
            (text.replace("\"seed\": 2", "\"seed\": 1"), "seed 1 of `kill` stands here twice", 22),
            (text.replace("\"aaaaaaaaaaaaaaaa\"", "\"a\""), "the plan hash `a` is no hash", 0),
            (text.replace("\"passed\"", "\"failed\""), "seed 1: a baseline holds no run that is failed", 13),
            (text.replace("\"passed\"", "\"not-built\""), "a baseline holds no run that is not built", 13),
            ("[]".into(), "this is no baseline", 1),
        ];
        for (text, message, line) in cases {
            let refused = Baseline::parse(&text).unwrap_err();
            assert!(refused.to_string().contains(message), "{refused}");
            assert!(!refused.help.is_empty());
            let offset = refused.offset.expect("a place");
            let found = text[..offset].matches('\n').count() + 1;
            assert!(line == 0 || found == line, "{message}: line {found}\n{text}");
        }
    }

    #[test]
    fn a_scenario_without_a_run_is_refused_and_a_vacuous_run_is_not() {
        let mut empty = baseline();
        empty.scenarios[1].runs.clear();
        let text = empty.text();
        let refused = Baseline::parse(&text).unwrap_err();
        assert!(refused.message.starts_with("scenario `kill` has no run"), "{refused}");
        assert!(text[refused.offset.unwrap()..].starts_with("\"kill\""));
        assert!(refused.help.contains("--baseline FILE"), "{}", refused.help);
        let mut vacuous = baseline();
        vacuous.scenarios[0].runs[0].verdict = Class::Vacuous;
        assert_eq!(Baseline::parse(&vacuous.text()), Ok(vacuous));
    }

    #[test]
    fn values_that_somebody_put_out_of_order_are_sorted() {
        let text = baseline().text().replace("[10000000, 20000000, 30000000]", "[30000000, 10000000, 20000000]");
        assert_eq!(Baseline::parse(&text), Ok(baseline()));
    }
}
