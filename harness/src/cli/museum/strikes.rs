//! The strikes of the museum: every single fault at every distinguishable step of a small scenario, one strike of each
//! class.
//!
//! Start at [`strikes`]. The catalogue is that of `flowquake exhaust` with all cuts, made from runs without a bug. A
//! strike is an ordinary plan, so it means the same when a bug is planted. The classes are tried in the order of an
//! exhaustive search, so that a search that ends early has tried something of every sort.

use std::collections::BTreeMap;
use std::process::ExitCode;

use flowquake_reports::record::Verdict;

use super::super::{make_one, refuse_text};
use crate::checker::JobCatalogue;
use crate::plan::RunPlan;
use crate::search::cut::Cuts;
use crate::search::ground::{Ground, Scope, cuts_of_grounds, grounds};
use crate::search::proof::{Proof, Share};
use crate::search::strike::Catalogue;
use crate::search::surveyed::Surveyed;
use crate::worker::{Order, Terms, Worker};

/// A scenario with the whole life of a job in few events.
pub(super) const SCENARIO: &str = "reference-run";

/// Strikes of each class of a scenario.
pub(super) struct Strikes {
    pub(super) catalogue: Catalogue,
    /// Numbers of the strikes that stand for classes.
    pub(super) order: Vec<u32>,
}

impl Strikes {
    /// A strike in words.
    pub(super) fn words(&self, number: u32) -> String {
        let described = self.catalogue.describe(number);
        let on = if described.ground.is_empty() { String::new() } else { format!(", where {}", described.ground) };
        format!("{} {}, {}, at {}{on}", described.kind, described.label, described.victim, described.name)
    }
}

/// The strikes at the run of `base`, which must pass without them.
pub(super) fn strikes(base: &RunPlan, jobs: &JobCatalogue, terms: &Terms) -> Result<Strikes, ExitCode> {
    let keyed = jobs.get(&base.job.name).is_some_and(|entry| entry.keyed);
    let mut worker = Worker::new(terms);
    let mut surveyed = |ground: Ground| -> Result<Result<Surveyed, Verdict>, ExitCode> {
        let order = Order { survey: true, slim: true, ..Order::quick(ground.plan(base), String::new()) };
        let made = make_one(&mut worker, &order)?;
        Ok(match (made.record.verdict, made.seen.survey) {
            (Verdict::Passed, Some(survey)) => Ok(Surveyed::new(base, ground, *survey)),
            (verdict, _) => Err(verdict),
        })
    };
    let itself = surveyed(Ground::itself())?.map_err(|verdict| {
        let what = format!("{}, without a bug: {}: {}", base.scenario, verdict.label(), verdict.headline());
        refuse_text(&what, "no strike at it would show anything: mend that first")
    })?;
    let alone = Catalogue::new(base.clone(), keyed, vec![itself], &cuts_of_grounds());
    let mut others = Vec::new();
    for ground in grounds(&alone, base, Scope::Messages) {
        others.extend(surveyed(ground)?.ok());
    }
    let all = alone.into_grounds().into_iter().chain(others).collect();
    let catalogue = Catalogue::new(base.clone(), keyed, all, &Cuts::without(&[]));
    let classes: Vec<&[u32]> = catalogue.classes().iter().map(Vec::as_slice).collect();
    let order = Proof::of(&classes, &BTreeMap::new(), Share::None).open;
    Ok(Strikes { catalogue, order })
}
