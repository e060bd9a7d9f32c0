//! What a search strikes with: the catalogue of single faults or of pairs, made from the clean runs ([`CleanRuns`]).
//!
//! Start at [`survey`]. A scenario that does not pass by itself ends the search.

use std::collections::BTreeSet;
use std::process::ExitCode;

use flowquake_reports::class::Class;
use flowquake_reports::exhaust::MeasuredCut;
use flowquake_reports::record::Verdict;
use flowquake_reports::units::counted;

use super::ExhaustArgs;
use super::options::{Pairs, Recovery};
use crate::cli::clean_runs::CleanRuns;
use crate::cli::print::tell;
use crate::cli::refuse_text;
use crate::plan::RunPlan;
use crate::provenance::{self, quoted};
use crate::search::cover::{Facts, Pair, Strength};
use crate::search::cut::{Cut, Cuts};
use crate::search::ground::{
    Ground, Scope, cuts_of_grounds, firsts_by_phase, ground_of, grounds_of_pairs, grounds_of_recoveries,
};
use crate::search::measured::{assumed, sound};
use crate::search::strike::Catalogue;
use crate::search::surveyed::Surveyed;

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
    let mut runs = CleanRuns::of(base.clone(), keyed, &terms);
    let itself = match runs.survey(Ground::itself())? {
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
            return pairs(args, file, base, keyed, alone, cuts, &mut runs).map(just);
        }
        Some(Pairs::Cover(strength)) => return cover(*strength, base, keyed, itself, &mut runs),
    }
    let scope = if args.recovery.is_some() { Scope::Recovery } else { Scope::Messages };
    let alone = Catalogue::new(base.clone(), keyed, vec![itself], &cuts_of_grounds());
    // The strike of a ground that does not pass is in the catalogue of the scenario itself, and is told there.
    let left_out = |name: &str, verdict: &Verdict| {
        tell!("note: no strikes where {name}: that run alone is {}", verdict.label());
    };
    let catalogue = runs.catalogue(alone, scope, cuts, left_out)?;
    match args.recovery {
        Some(Recovery::Twice) => twice(catalogue, keyed, cuts, &mut runs).map(just),
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

/// The catalogue of second strikes. `alone` is the catalogue of the scenario itself.
fn pairs(
    args: &ExhaustArgs,
    file: &std::path::Path,
    base: RunPlan,
    keyed: bool,
    alone: Catalogue,
    cuts: &Cuts,
    runs: &mut CleanRuns<'_>,
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
        grounds.extend(runs.survey(ground)?.ok());
    }
    tell!("{} stand first", counted(grounds.len(), "strike"));
    let itself = alone.into_grounds().into_iter().map(Surveyed::without_strikes);
    Ok(Catalogue::new(base, keyed, itself.chain(grounds).collect(), cuts))
}

/// The same catalogue with kills in the recoveries that follow kills in a recovery. Of a ground's kills that go the
/// same way, the first is taken.
fn twice(catalogue: Catalogue, keyed: bool, cuts: &Cuts, runs: &mut CleanRuns<'_>) -> Result<Catalogue, ExitCode> {
    let base = catalogue.base().clone();
    let mut ways: BTreeSet<(u16, u64)> = BTreeSet::new();
    let (mut again, mut tried) = (Vec::new(), 0);
    for (first, ground) in grounds_of_recoveries(&catalogue, &base) {
        tried += 1;
        // A kill that does not pass is a strike of the catalogue, and is reported there.
        let Ok((surveyed, way)) = runs.survey_with_way(ground)? else { continue };
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
    runs: &mut CleanRuns<'_>,
) -> Result<Found, ExitCode> {
    let alone = Catalogue::new(base.clone(), keyed, vec![itself], &cuts_of_grounds());
    let mut facts = Facts::default();
    let mut firsts = Vec::new();
    for (slot, numbers) in firsts_by_phase(&alone) {
        let mut found = None;
        for number in numbers {
            found = runs.survey(ground_of(&alone, &base, number, Scope::Behind))?.ok();
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
