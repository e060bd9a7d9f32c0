//! `flowquake merge`: puts the shards of an exhaustive search together.
//!
//! Start at [`merge`]. All shards must belong to one search (engine, plan, cuts), and each must be there exactly once;
//! otherwise the sum would claim more than was run. The proof is made again from all results, because a member of a
//! class may go the way of a class of another shard.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use flowquake_reports::exhaust::{self, ExhaustSet, html, terminal};
use flowquake_reports::json::write_atomically;
use flowquake_reports::units::counted;

use super::exhaust::{covered_by_all, exit_code, to_json};
use super::print::{say, text};
use super::{command_line, outputs, refuse_text, screen};
use crate::search::proof::{Proof, Share};

#[derive(Args)]
pub(super) struct MergeArgs {
    /// What `flowquake exhaust --shard K/N --json FILE` wrote, all N of them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Also write the whole to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The page with the picture
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn merge(args: &MergeArgs) -> ExitCode {
    let read: Vec<&std::path::Path> = args.files.iter().map(PathBuf::as_path).collect();
    let written = [("--json", args.json.as_deref()), ("--output", args.output.as_deref())];
    if let Err(code) = outputs::check(&written, &read) {
        return code;
    }
    let mut shards = Vec::new();
    for file in &args.files {
        match exhaust::read(file) {
            Ok(set) => shards.push((file.display().to_string(), set)),
            Err(error) => {
                let help = "name what `flowquake exhaust --json` of this build wrote";
                return refuse_text(&format!("{}: {error}", file.display()), help);
            }
        }
    }
    let set = match put_together(shards) {
        Ok(set) => ExhaustSet { command: command_line(), ..set },
        Err((what, help)) => return refuse_text(&what, help),
    };
    let to_write = [(args.json.as_ref(), to_json(&set)), (args.output.as_ref(), html::page(&set))];
    for (file, contents) in to_write.iter().filter_map(|(file, contents)| Some(((*file)?, contents))) {
        if let Err(error) = write_atomically(file, contents.as_bytes()) {
            return refuse_text(&format!("{}: {error}", file.display()), "name a file that can be written");
        }
    }
    text(&terminal::summary(&set, screen()));
    if let Some(page) = &args.output {
        say!("picture: {}", page.display());
    }
    ExitCode::from(exit_code(&set))
}

type Refusal = (String, &'static str);

/// Puts all shards, each with the name of its file, into one set.
fn put_together(shards: Vec<(String, ExhaustSet)>) -> Result<ExhaustSet, Refusal> {
    let mut shards = shards.into_iter();
    let (first, mut whole) = shards.next().ok_or_else(|| ("no file is named".to_owned(), "name all shards"))?;
    let mut there: BTreeMap<u32, String> = BTreeMap::from([(whole.shard.0, first.clone())]);
    let mut stopped: Vec<String> = Vec::new();
    let mut note = |name: &str, set: &ExhaustSet| {
        if !set.stopped.is_empty() {
            stopped.push(format!("{name}: {}", set.stopped));
        }
    };
    note(&first, &whole);
    for (name, set) in shards {
        if let Some(what) = differs(&whole, &set) {
            return Err((
                format!("{first} and {name} are of two searches: another {what}"),
                "merge shards of one search",
            ));
        }
        if let Some(other) = there.insert(set.shard.0, name.clone()) {
            let (k, n) = set.shard;
            return Err((format!("{other} and {name} overlap: both are shard {k}/{n}"), "name each shard once"));
        }
        note(&name, &set);
        whole.strikes.extend(set.strikes);
        whole.signatures.extend(set.signatures);
        if let (Some(whole), Some(part)) = (&mut whole.covering, set.covering) {
            whole.pairs.extend(part.pairs);
        }
    }
    let missing: Vec<String> = (1..=whole.shard.1).filter(|k| !there.contains_key(k)).map(|k| k.to_string()).collect();
    if !missing.is_empty() {
        let what = format!("shard {} of {} is missing", missing.join(", "), whole.shard.1);
        return Err((what, "make it with `flowquake exhaust --shard K/N --json FILE`, and name its file, too"));
    }
    whole.strikes.sort_by_key(|strike| strike.number);
    let numbers: BTreeSet<u32> = whole.strikes.iter().map(|strike| strike.number).collect();
    if numbers.len() < whole.strikes.len() {
        return Err((
            "the shards overlap: a strike is in two of them".to_owned(),
            "make the shards anew with this build",
        ));
    }
    whole.shard = (1, 1);
    prove(&mut whole);
    covered_by_all(&mut whole);
    if stopped.is_empty() && whole.stopped.is_empty() {
        return Ok(whole);
    }
    stopped.extend((!whole.stopped.is_empty()).then(|| whole.stopped.clone()));
    whole.stopped = stopped.join("; ");
    Ok(whole)
}

/// How two shards differ, if they do.
fn differs(one: &ExhaustSet, other: &ExhaustSet) -> Option<&'static str> {
    let parts = [
        (one.engine == other.engine, "engine"),
        (one.plan == other.plan, "plan"),
        (one.cuts == other.cuts, "choice of cuts"),
        (one.shard.1 == other.shard.1, "number of shards"),
        (one.members_percent == other.members_percent, "share of members"),
        (one.classes_total == other.classes_total && one.strikes_total == other.strikes_total, "catalogue"),
    ];
    parts.into_iter().find(|(same, _)| !same).map(|(_, what)| what)
}

/// Makes the proof again.
fn prove(set: &mut ExhaustSet) {
    let mut classes: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for strike in &set.strikes {
        let members = classes.entry(strike.class).or_default();
        if strike.stands { members.insert(0, strike.number) } else { members.push(strike.number) }
    }
    let of_result = |strike: &exhaust::ExhaustStrike| {
        let signature = u64::from_str_radix(&strike.result.as_ref()?.signature, 16).ok()?;
        Some((strike.number, signature))
    };
    let signatures: BTreeMap<u32, u64> = set.strikes.iter().filter_map(of_result).collect();
    let share = match set.members_percent {
        0 => Share::None,
        100.. => Share::All,
        percent => Share::Percent(percent),
    };
    let classes: Vec<&[u32]> = classes.values().map(Vec::as_slice).collect();
    let proof = Proof { strikes: set.strikes_total, ..Proof::of(&classes, &signatures, share) };
    (set.theorem, set.splits) = (proof.in_words(), proof.splits);
    set.stopped =
        if proof.open.is_empty() { String::new() } else { format!("{} open", counted(proof.open.len(), "run")) };
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Shard `k` of `n` of a search of four classes with a strike each.
    fn shard(k: u32, n: u32) -> ExhaustSet {
        let strikes: Vec<serde_json::Value> = (0..4)
            .filter(|class| class % n == k - 1)
            .map(|class| {
                let result = serde_json::json!({
                    "verdict": "passed", "signature": "00000000000000aa", "headline": "", "replay": "r", "cpu_ns": 1,
                    "struck": true
                });
                serde_json::json!({
                    "number": class, "ground": 0, "event": 0, "kind": 0, "label": "l", "victim": "tm-1", "class": class,
                    "stands": true, "result": result
                })
            })
            .collect();
        let set = serde_json::json!({
            "exhaust_version": exhaust::EXHAUST_VERSION, "command": "c", "program": "p", "engine": "e", "plan": "x", "scenario": "s",
            "file": "f", "seed": 1, "cuts": [], "members_percent": 0, "shard": [k, n], "splits": 0, "stopped": "",
            "theorem": "", "kinds": [["kill", "process"]], "grounds": [""], "depths": [0], "strikes_total": 4, "classes_total": 4,
            "events": [{"at_ns": 1, "name": "job-running", "node": "jm-1", "checkpoint": 0, "phase": "Running"}],
            "strikes": strikes, "signatures": {"00000000000000aa": "passed"}, "measured": []
        });
        serde_json::from_value(set).unwrap()
    }

    fn merged(shards: Vec<ExhaustSet>) -> Result<ExhaustSet, String> {
        let named = shards.into_iter().enumerate().map(|(at, set)| (format!("{at}.json"), set));
        put_together(named.collect()).map_err(|(what, _)| what)
    }

    #[test]
    fn all_shards_are_the_whole() {
        let whole = merged(vec![shard(2, 3), shard(1, 3), shard(3, 3)]).unwrap();
        assert_eq!(whole.theorem, "4 strikes in 4 classes, 0 members re-run, 0 disagreements");
        assert_eq!((whole.strikes.len(), whole.shard, whole.stopped.as_str()), (4, (1, 1), ""));
        assert_eq!(exit_code(&whole), 0);
    }

    #[test]
    fn shards_that_overlap_or_are_missing_are_refused() {
        assert_eq!(merged(vec![shard(1, 3), shard(3, 3)]).unwrap_err(), "shard 2 of 3 is missing");
        assert_eq!(
            merged(vec![shard(1, 2), shard(1, 2)]).unwrap_err(),
            "0.json and 1.json overlap: both are shard 1/2"
        );
        assert!(merged(vec![shard(1, 2), shard(2, 3)]).unwrap_err().contains("another number of shards"));
        let other = ExhaustSet { plan: "y".into(), ..shard(2, 2) };
        assert!(merged(vec![shard(1, 2), other]).unwrap_err().contains("another plan"));
        let twice = ExhaustSet { shard: (2, 2), ..shard(1, 2) };
        assert!(merged(vec![shard(1, 2), twice]).unwrap_err().contains("a strike is in two of them"));
    }

    #[test]
    fn what_a_shard_did_not_run_is_told() {
        let mut open = shard(2, 2);
        open.strikes[0].result = None;
        let whole = merged(vec![shard(1, 2), open]).unwrap();
        assert_eq!(whole.stopped, "1 run open");
        assert!(Path::new(&whole.file).extension().is_none());
    }
}
