//! The document of an exhaustive search: its catalogue, and how each strike went that was run.

use std::collections::{BTreeMap, BTreeSet};

use flowquake_reports::exhaust::{
    CoveredSort, Covering, CoveringPair, EXHAUST_VERSION, ExhaustEvent, ExhaustSet, ExhaustStrike,
};

use super::clean::Array;
use super::journal::{Head, Line};
use crate::cli::command_line;
use crate::faults::Kind;
use crate::provenance;
use crate::search::cover::{Counted, Pair, Slot, Strength, account, covered};
use crate::search::position::Phase;
use crate::search::proof::{Proof, Share};
use crate::search::strike::Catalogue;

/// If a catalogue has more strikes than this, only those that were run are listed.
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

/// The document; `stopped` says why it is incomplete.
pub(super) fn set(
    catalogue: &Catalogue,
    array: Option<&Array>,
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
    let covering = array.map(|array| covering(array, &strikes));
    let runs = known.len();
    let theorem = covering.as_ref().map_or_else(|| proof.in_words(), |covering| covering.theorem(runs));
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
        theorem,
        events: catalogue.grounds()[0].positions().iter().map(event).collect(),
        kinds: Kind::ALL.iter().map(|kind| (kind.name().into(), kind.spec().family.name().into())).collect(),
        grounds: catalogue.grounds().iter().map(|ground| ground.ground().name.clone()).collect(),
        depths: catalogue.grounds().iter().map(|ground| ground.ground().depth).collect(),
        strikes_total: catalogue.strikes().len() as u64,
        classes_total: catalogue.classes().len() as u64,
        strikes,
        signatures: known.values().map(|line| (line.result.signature.clone(), line.words.clone())).collect(),
        measured: Vec::new(),
        covering,
    }
}

/// What the strikes of a shard cover.
fn covering(array: &Array, strikes: &[ExhaustStrike]) -> Covering {
    let pairs: Vec<CoveringPair> = strikes
        .iter()
        .map(|strike| {
            let Pair { first, second } = array.pairs[strike.number as usize];
            let (first, second) = ((first.kind, first.phase), (second.kind, second.phase));
            CoveringPair { number: strike.number, first, second }
        })
        .collect();
    let size = (Kind::ALL.len() as u16, Phase::ALL.len() as u16);
    let (counts, missing) = account(size, array.strength, &array.pairs, &struck(&pairs, strikes), &array.facts);
    let sort = |count: &Counted| CoveredSort {
        name: count.sort.words().into(),
        all: count.all,
        possible: count.possible,
        covered: count.covered,
    };
    let strength = match array.strength {
        Strength::Three => 3,
        Strength::Four => 4,
    };
    let missing = missing.into_iter().map(|(why, count)| (why.to_owned(), count)).collect();
    Covering { strength, sorts: counts.iter().map(sort).collect(), missing, pairs }
}

/// The pairs that were run and whose faults both struck.
fn struck(pairs: &[CoveringPair], strikes: &[ExhaustStrike]) -> Vec<Pair> {
    let struck = |strike: &&ExhaustStrike| strike.result.as_ref().is_some_and(|result| result.struck);
    let numbers: BTreeSet<u32> = strikes.iter().filter(struck).map(|strike| strike.number).collect();
    let slot = |(kind, phase): (u16, u16)| Slot { kind, phase };
    let struck = pairs.iter().filter(|pair| numbers.contains(&pair.number));
    struck.map(|pair| Pair { first: slot(pair.first), second: slot(pair.second) }).collect()
}

/// What all shards cover together, after their strikes and pairs were put together.
pub(in crate::cli) fn covered_by_all(set: &mut ExhaustSet) {
    let Some(covering) = &mut set.covering else { return };
    let strength = if covering.strength == 3 { Strength::Three } else { Strength::Four };
    let pairs = struck(&covering.pairs, &set.strikes);
    for (sort, covered) in covering.sorts.iter_mut().zip(covered(strength, &pairs)) {
        sort.covered = covered;
    }
    set.theorem = covering.theorem(set.strikes.iter().filter(|strike| strike.result.is_some()).count());
}

/// A share in the form of the document.
fn percent(share: Share) -> u8 {
    match share {
        Share::None => 0,
        Share::Percent(percent) => percent,
        Share::All => 100,
    }
}
