//! The document of an exhaustive search: its catalogue, with how each strike went that was run.

use std::collections::BTreeMap;

use flowquake_reports::exhaust::{EXHAUST_VERSION, ExhaustEvent, ExhaustSet, ExhaustStrike};

use super::journal::{Head, Line};
use crate::cli::command_line;
use crate::faults::Kind;
use crate::provenance;
use crate::search::proof::{Proof, Share};
use crate::search::strike::Catalogue;

/// Strikes of a catalogue of which all are listed; of a larger one only those that were run.
const LISTED: usize = 200_000;

/// The classes of a shard, each with the numbers of its strikes.
pub(super) fn of_shard(catalogue: &Catalogue, (k, n): (u32, u32)) -> Vec<&[u32]> {
    let classes = catalogue.classes().iter().enumerate();
    classes.filter(|(class, _)| *class as u32 % n == k - 1).map(|(_, members)| members.as_slice()).collect()
}

/// The signature of every strike that was run.
pub(super) fn signatures(known: &BTreeMap<u32, Line>) -> BTreeMap<u32, u64> {
    let signature = |line: &Line| u64::from_str_radix(&line.result.signature, 16).unwrap_or(0);
    known.iter().map(|(number, line)| (*number, signature(line))).collect()
}

/// The document; `stopped` says why it is not whole.
pub(super) fn set(
    catalogue: &Catalogue,
    known: &BTreeMap<u32, Line>,
    head: &Head,
    share: Share,
    stopped: String,
) -> ExhaustSet {
    let classes = of_shard(catalogue, head.shard);
    let proof = Proof::of(&classes, &signatures(known), share);
    let base = catalogue.base();
    let kind = |kind: Kind| Kind::ALL.iter().position(|other| *other == kind).unwrap_or(0) as u32;
    let all = catalogue.strikes().len() <= LISTED;
    let mut strikes: Vec<ExhaustStrike> = Vec::new();
    for members in classes {
        for number in members.iter().filter(|number| all || known.contains_key(number)) {
            let strike = &catalogue.strikes()[*number as usize];
            let described = catalogue.describe(*number);
            strikes.push(ExhaustStrike {
                number: *number,
                ground: strike.ground.into(),
                event: described.event as u32,
                kind: kind(strike.kind),
                label: described.label,
                victim: described.victim,
                class: strike.class,
                stands: members.first() == Some(number),
                result: known.get(number).map(|line| line.result.clone()),
            });
        }
    }
    strikes.sort_by_key(|strike| strike.number);
    let event = |position: &crate::search::position::Position| ExhaustEvent {
        at_ns: position.at.0,
        name: position.event.into(),
        node: position.node.clone(),
        checkpoint: position.checkpoint.map_or(0, |checkpoint| checkpoint.0),
        phase: format!("{:?}", position.phase),
    };
    ExhaustSet {
        exhaust_version: EXHAUST_VERSION,
        command: command_line(),
        program: provenance::program(),
        engine: head.engine.clone(),
        plan: head.plan.clone(),
        scenario: base.scenario.clone(),
        file: base.file.clone(),
        seed: base.seed,
        cuts: head.cuts.clone(),
        members_percent: percent(share),
        shard: head.shard,
        splits: proof.splits,
        stopped,
        theorem: proof.in_words(),
        events: catalogue.grounds()[0].positions().iter().map(event).collect(),
        kinds: Kind::ALL.iter().map(|kind| (kind.name().into(), kind.spec().family.name().into())).collect(),
        grounds: catalogue.grounds().iter().map(|ground| ground.ground().name.clone()).collect(),
        strikes_total: catalogue.strikes().len() as u64,
        classes_total: catalogue.classes().len() as u64,
        strikes,
        signatures: known.values().map(|line| (line.result.signature.clone(), line.words.clone())).collect(),
    }
}

/// A share as sets have it.
fn percent(share: Share) -> u8 {
    match share {
        Share::None => 0,
        Share::Percent(percent) => percent,
        Share::All => 100,
    }
}
