//! The runs that come before any strike: of a scenario itself and of its grounds, and the catalogue that is made of what they show.
//!
//! Start at [`CleanRuns`]. `exhaust` makes them of the scenario that it searches, the museum of its own, without a bug. A ground
//! whose run does not pass is left out: its strike is judged among those of the scenario.

use std::process::ExitCode;

use flowquake_reports::record::Verdict;

use super::make_one;
use crate::plan::RunPlan;
use crate::search::cut::Cuts;
use crate::search::ground::{Ground, Scope, grounds};
use crate::search::strike::Catalogue;
use crate::search::surveyed::Surveyed;
use crate::worker::{Made, Order, Terms, Worker};

/// What was made of a ground; how it was judged, if it did not pass; or that no run can be made, which was told.
pub(super) type Clean<T> = Result<Result<T, Verdict>, ExitCode>;

/// Makes the clean runs of one scenario.
pub(super) struct CleanRuns<'t> {
    worker: Worker<'t>,
    base: RunPlan,
    /// Whether the job keeps state by key.
    keyed: bool,
}

impl<'t> CleanRuns<'t> {
    /// Of the scenario that became `base`.
    pub(super) fn of(base: RunPlan, keyed: bool, terms: &'t Terms) -> Self {
        Self { worker: Worker::new(terms), base, keyed }
    }

    /// Runs a ground: what happened in it.
    pub(super) fn survey(&mut self, ground: Ground) -> Clean<Surveyed> {
        Ok(self.survey_with_way(ground)?.map(|(surveyed, _)| surveyed))
    }

    /// Runs a ground: what happened in it, and which way the run went.
    pub(super) fn survey_with_way(&mut self, ground: Ground) -> Clean<(Surveyed, u64)> {
        let quick = Order::quick(ground.plan(&self.base), String::new());
        let order = Order { survey: true, signature: true, slim: true, ..quick };
        let Made { record, seen, .. } = make_one(&mut self.worker, &order)?;
        Ok(match (record.verdict, seen.survey, seen.signature) {
            (Verdict::Passed, Some(survey), Some(way)) => Ok((Surveyed::new(&self.base, ground, *survey), way.class())),
            (verdict, ..) => Err(verdict),
        })
    }

    /// The strikes at the scenario `alone`, and at its grounds of this scope; `left_out` hears of each that does not pass.
    pub(super) fn catalogue(
        &mut self,
        alone: Catalogue,
        scope: Scope,
        cuts: &Cuts,
        mut left_out: impl FnMut(&str, &Verdict),
    ) -> Result<Catalogue, ExitCode> {
        let mut others = Vec::new();
        for ground in grounds(&alone, &self.base, scope) {
            let name = ground.name.clone();
            match self.survey(ground)? {
                Ok(surveyed) => others.push(surveyed),
                Err(verdict) => left_out(&name, &verdict),
            }
        }
        let all = alone.into_grounds().into_iter().chain(others).collect();
        Ok(Catalogue::new(self.base.clone(), self.keyed, all, cuts))
    }
}
