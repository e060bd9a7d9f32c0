//! The runs that come before any strike: those of the scenario itself and of its grounds. The catalogue is made from
//! what they show.
//!
//! Start at [`survey`]. A scenario that does not pass by itself ends the search. A ground that does not pass is left
//! out, because its strike is judged as one of the scenario's strikes.

use std::collections::BTreeSet;
use std::process::ExitCode;

use flowquake_reports::class::Class;
use flowquake_reports::exhaust::MeasuredCut;
use flowquake_reports::record::Verdict;
use flowquake_reports::units::counted;

use super::ExhaustArgs;
use super::options::{Pairs, Recovery};
use crate::cli::print::tell;
use crate::cli::{make_one, refuse_text};
use crate::plan::RunPlan;
use crate::provenance::{self, quoted};
use crate::search::cover::{Facts, Pair, Strength};
use crate::search::cut::{Cut, Cuts};
use crate::search::ground::{
    Ground, Scope, cuts_of_grounds, firsts_by_phase, ground_of, grounds, grounds_of_pairs, grounds_of_recoveries,
};
use crate::search::measured::{assumed, sound};
use crate::search::strike::Catalogue;
use crate::search::surveyed::Surveyed;
use crate::worker::{Made, Order, Worker};

/// What a search strikes with.
pub(super) struct Found {
    pub(super) catalogue: Catalogue,
    /// For a covering array: the pairs that its strikes are, and why other pairs cannot be.
    pub(super) covering: Option<Array>,
}

/// A covering array.
pub(super) struct Array {
    pub(super) strength: Strength,
    /// The pair of each strike, by its number.
    pub(super) pairs: Vec<Pair>,
    pub(super) facts: Facts,
}

/// Makes the clean runs, and the catalogue from them. `Err`: the scenario itself does not pass, which was reported.
pub(super) fn survey(args: &ExhaustArgs, base: RunPlan, keyed: bool, cuts: &Cuts) -> Result<Found, ExitCode> {
    let terms = args.limits.terms(args.log);
    let mut worker = Worker::new(&terms);
    let plan = base.clone();
    let mut with_way = |ground: Ground| -> Result<Result<(Surveyed, u64), Verdict>, ExitCode> {
        let quick = Order::quick(ground.plan(&plan), String::new());
        let order = Order { survey: true, signature: true, slim: true, ..quick };
        let Made { record, seen, .. } = make_one(&mut worker, &order)?;
        Ok(match (record.verdict, seen.survey, seen.signature) {
            (Verdict::Passed, Some(survey), Some(way)) => Ok((Surveyed::new(&plan, ground, *survey), way.class())),
            (verdict, ..) => Err(verdict),
        })
    };
    let mut surveyed = |ground: Ground| with_way(ground).map(|made| made.map(|(surveyed, _)| surveyed));
    let itself = match surveyed(Ground::itself())? {
        Ok(surveyed) => surveyed,
        Err(verdict) => {
            let command = provenance::command(&format!("run {}", quoted(&args.scenario.to_string_lossy())));
            tell!("error: the scenario itself does not pass, so no strike at it would show anything");
            tell!("  {}: {}\n  help: mend that first: {command}", verdict.label(), verdict.headline());
            return Err(ExitCode::from(verdict.exit_code()));
        }
    };
    let just = |catalogue| Found { catalogue, covering: None };
    match &args.pairs {
        None => {}
        Some(Pairs::Lineage(file)) => {
            let alone = Catalogue::new(base.clone(), keyed, vec![itself], &cuts_of_grounds());
            return pairs(args, file, base, keyed, alone, cuts, &mut surveyed).map(just);
        }
        Some(Pairs::Cover(strength)) => return cover(*strength, base, keyed, itself, &mut surveyed),
    }
    let scope = if args.recovery.is_some() { Scope::Recovery } else { Scope::Messages };
    let alone = Catalogue::new(base.clone(), keyed, vec![itself], &cuts_of_grounds());
    let mut all = Vec::new();
    for ground in grounds(&alone, &base, scope) {
        let name = ground.name.clone();
        match surveyed(ground)? {
            Ok(surveyed) => all.push(surveyed),
            // The ground's strike is in the scenario's own catalogue, and is reported there.
            Err(verdict) => tell!("note: no strikes where {name}: that run alone is {}", verdict.label()),
        }
    }
    let grounds = alone.into_grounds().into_iter().chain(all).collect();
    let catalogue = Catalogue::new(base, keyed, grounds, cuts);
    match args.recovery {
        Some(Recovery::Twice) => twice(catalogue, keyed, cuts, &mut with_way).map(just),
        Some(Recovery::Once) | None => Ok(just(catalogue)),
    }
}

/// What each cut of a search removes by itself.
pub(super) fn measured(args: &ExhaustArgs, catalogue: &Catalogue, cuts: &Cuts) -> Vec<MeasuredCut> {
    match &args.pairs {
        // A covering array takes no strikes to be the same.
        Some(Pairs::Cover(_)) => Vec::new(),
        // There are millions of pairs, and their other cuts are the same as for single faults.
        Some(Pairs::Lineage(_)) => assumed(catalogue, cuts, &[Cut::Lineage]),
        None => {
            let which: Vec<Cut> = Cut::ALL.into_iter().filter(|cut| *cut != Cut::Lineage).collect();
            [sound(catalogue), assumed(catalogue, cuts, &which)].concat()
        }
    }
}

/// Runs a ground and returns its survey, or its verdict if it did not pass.
type Survey<'s> = dyn FnMut(Ground) -> Result<Result<Surveyed, Verdict>, ExitCode> + 's;

/// The same, and the way in which the run went.
type SurveyWay<'s> = dyn FnMut(Ground) -> Result<Result<(Surveyed, u64), Verdict>, ExitCode> + 's;

/// The catalogue of second strikes. `alone` is the catalogue of the scenario itself.
fn pairs(
    args: &ExhaustArgs,
    file: &std::path::Path,
    base: RunPlan,
    keyed: bool,
    alone: Catalogue,
    cuts: &Cuts,
    surveyed: &mut Survey,
) -> Result<Catalogue, ExitCode> {
    let refuse = |what: String| {
        let single = format!("exhaust {} --json FILE", quoted(&args.scenario.to_string_lossy()));
        refuse_text(
            &format!("--pairs {}: {what}", file.display()),
            &format!("make it anew: {}", provenance::command(&single)),
        )
    };
    let singles = flowquake_reports::exhaust::read(file).map_err(|error| refuse(error.to_string()))?;
    let engine = provenance::ENGINE.unwrap_or("unknown");
    if singles.engine != engine || singles.scenario != base.scenario || singles.seed != base.seed {
        return Err(refuse("it is of another engine, scenario or seed".into()));
    }
    // The rarest way first, so that a search that ends early has tried what is new.
    let mut firsts = Vec::new();
    for (signature, ..) in singles.by_signature().iter().rev().filter(|(.., verdict)| *verdict == Class::Passed) {
        let went = |strike: &&flowquake_reports::exhaust::ExhaustStrike| {
            strike.ground == 0 && strike.result.as_ref().is_some_and(|result| result.signature == *signature)
        };
        firsts.extend(singles.strikes.iter().find(went).map(|strike| strike.number));
    }
    firsts.truncate(args.firsts.map_or(usize::MAX, std::num::NonZeroUsize::get));
    let known = alone.strikes().len() as u32;
    if firsts.iter().any(|number| *number >= known) {
        return Err(refuse("it has strikes that this scenario does not have".into()));
    }
    let mut grounds = Vec::new();
    for ground in grounds_of_pairs(&alone, &base, &firsts) {
        // A first strike that does not pass was reported by the search for single faults.
        grounds.extend(surveyed(ground)?.ok());
    }
    tell!("{} stand first", counted(grounds.len(), "strike"));
    let itself = alone.into_grounds().into_iter().map(Surveyed::without_strikes);
    Ok(Catalogue::new(base, keyed, itself.chain(grounds).collect(), cuts))
}

/// The same catalogue with kills in the recoveries that follow kills in a recovery. Of a ground's kills that go the
/// same way, the first is taken.
fn twice(catalogue: Catalogue, keyed: bool, cuts: &Cuts, with_way: &mut SurveyWay) -> Result<Catalogue, ExitCode> {
    let base = catalogue.base().clone();
    let mut ways: BTreeSet<(u16, u64)> = BTreeSet::new();
    let (mut again, mut tried) = (Vec::new(), 0);
    for (first, ground) in grounds_of_recoveries(&catalogue, &base) {
        tried += 1;
        // A kill that does not pass is a strike of the catalogue, and is reported there.
        let Ok((surveyed, way)) = with_way(ground)? else { continue };
        if ways.insert((first, way)) {
            again.push(surveyed);
        }
    }
    tell!("{} in recoveries go {}: each is struck again", counted(tried, "kill"), counted(again.len(), "way"));
    let grounds = catalogue.into_grounds().into_iter().chain(again).collect();
    Ok(Catalogue::new(base, keyed, grounds, cuts))
}

/// The covering array of a scenario. Runs of first strikes show which of them exist, and what comes after each.
fn cover(
    strength: Strength,
    base: RunPlan,
    keyed: bool,
    itself: Surveyed,
    surveyed: &mut Survey,
) -> Result<Found, ExitCode> {
    let alone = Catalogue::new(base.clone(), keyed, vec![itself], &cuts_of_grounds());
    let mut facts = Facts::default();
    let mut firsts = Vec::new();
    for (slot, numbers) in firsts_by_phase(&alone) {
        let mut found = None;
        for number in numbers {
            found = surveyed(ground_of(&alone, &base, number, Scope::Behind))?.ok();
            if found.is_some() {
                break;
            }
        }
        match found {
            Some(ground) => firsts.push((slot, ground)),
            None => _ = facts.dropped.insert(slot),
        }
    }
    tell!("{} stand first", counted(firsts.len(), "strike"));
    facts.firsts = firsts.iter().map(|(slot, _)| *slot).collect();
    let itself = alone.into_grounds().swap_remove(0);
    let (catalogue, pairs) = Catalogue::covering(base, keyed, itself, firsts, strength);
    facts.seconds = pairs.iter().map(|pair| pair.second).collect();
    Ok(Found { catalogue, covering: Some(Array { strength, pairs, facts }) })
}
