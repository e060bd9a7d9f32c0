//! Finds when a failure was decided: says which points of the run's probability curve to measure next.
//!
//! A failing run of `n` events is made again with its first `k` events kept and all timing after them drawn anew
//! ([`RunPlan::redraws`]). The share of such runs that still fail rises with `k`, from what chance gives to all. The
//! failure was decided where the share rises. Start at [`Search::new`]: it measures a grid over the run, and then keeps
//! halving the narrowest stretch that certainly contains a rise, until the stretch is one event wide or further points
//! in it add nothing.
//!
//! Invariants: (CURVE-1) no point is measured twice, so the search ends; (CURVE-2) the plan of a point keeps all draws
//! of the first `k` events, including those that were drawn anew before.

use std::collections::BTreeMap;

use flowquake_engine::env::draw;
use flowquake_reports::probability::{CurvePoint, Step, decided};

use crate::plan::{Redraw, RunPlan};

/// The points of a curve, and what is left to measure.
#[derive(Debug, Clone)]
pub struct Search {
    /// Number of events of the failing run.
    events: u64,
    /// Most points to measure.
    most: usize,
    grid: Vec<u64>,
    points: BTreeMap<u64, CurvePoint>,
}

impl Search {
    /// A search for a failing run of `events` events. It measures at most `most` points, about half of them on the
    /// grid.
    pub fn new(events: u64, most: usize) -> Self {
        let lines = (most.div_ceil(2) as u64).max(1);
        let mut grid: Vec<u64> =
            (0..lines).map(|line| (u128::from(events) * u128::from(line) / u128::from(lines)) as u64).collect();
        grid.dedup();
        Self { events, most, grid, points: BTreeMap::new() }
    }

    /// All points to measure next; empty if the curve is done.
    pub fn next(&self) -> Vec<u64> {
        let open: Vec<u64> = self.grid.iter().copied().filter(|at| !self.points.contains_key(at)).collect();
        if !open.is_empty() {
            return open;
        }
        if self.points.len() >= self.most {
            return Vec::new();
        }
        let Some((from, to)) = decided(&self.points(), self.events) else { return Vec::new() };
        // Measures the middle of the widest gap between points of that stretch.
        let inside = self.points.range(from + 1..to).map(|(at, _)| *at);
        let ends: Vec<u64> = [from].into_iter().chain(inside).chain([to]).collect();
        let gap = ends.windows(2).map(|pair| (pair[1] - pair[0], pair[0])).max();
        gap.filter(|(width, _)| *width > 1).map(|(width, from)| from + width / 2).into_iter().collect()
    }

    /// Takes the result of the runs that kept the first `point.after_events` events.
    pub fn measured(&mut self, point: CurvePoint) {
        let before = self.points.insert(point.after_events, point);
        assert!(before.is_none(), "CURVE-1: {before:?} was measured before");
    }

    /// The points so far.
    pub fn points(&self) -> Vec<CurvePoint> {
        self.points.values().copied().collect()
    }

    /// Where the curve steps. `events` are all events of the failing run, as text.
    pub fn step(&self, events: &[String]) -> Option<Step> {
        /// How many events the step lists.
        const TOLD: usize = 10;
        let (from, to) = decided(&self.points(), self.events)?;
        let share = |at: u64| self.points.get(&at).map_or(1.0, |point| point.share);
        let between = events.iter().skip(from as usize).take((to - from) as usize).take(TOLD).cloned().collect();
        Some(Step { from, to, before: share(from), after: share(to), events: between })
    }
}

/// The plan of the `n`-th run that keeps the first `after_events` events of `plan`'s (CURVE-2).
pub fn redrawn(plan: &RunPlan, after_events: u64, n: u64) -> RunPlan {
    let seed = draw(plan.seed, "when", after_events, n);
    let kept = plan.redraws.iter().copied().filter(|redraw| redraw.after_events < after_events);
    let redraws = kept.chain([Redraw { after_events, seed }]).collect();
    RunPlan { redraws, ..plan.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    /// Measures a curve given by `share(k)`, with 100 runs a point.
    fn search(events: u64, most: usize, share: impl Fn(u64) -> u64) -> Search {
        let mut search = Search::new(events, most);
        loop {
            let next = search.next();
            if next.is_empty() {
                return search;
            }
            for at in next {
                search.measured(CurvePoint::new(at, 100, share(at), 0));
            }
        }
    }

    #[test]
    fn a_step_is_found_to_the_event() {
        for decided in [1, 2, 137, 500, 999, 1000] {
            let search = search(1000, 30, |at| if at < decided { 3 } else { 97 });
            let events: Vec<String> = (1..=1000).map(|n| format!("event {n}")).collect();
            let step = search.step(&events).unwrap();
            assert_eq!((step.from, step.to), (decided - 1, decided), "{decided}");
            assert_eq!(step.events, [format!("event {decided}")]);
            assert!(search.points().len() <= 30);
        }
    }

    #[test]
    fn a_curve_without_a_step_says_so_and_ends() {
        assert_eq!(search(1000, 20, |_| 100).step(&[]), None, "always fails");
        let even = search(1000, 20, |at| at / 10).step(&[]).unwrap();
        assert!(even.to - even.from > 50, "one that rises evenly was decided nowhere in particular: {even:?}");
        // A failure that never comes again unless the whole run is kept was decided at the last event.
        let step = search(1000, 40, |_| 0).step(&[]).unwrap();
        assert_eq!((step.from, step.to, step.after), (999, 1000, 1.0));
        for events in [0, 1, 2, 5] {
            for most in [0, 1, 2, 40] {
                assert!(search(events, most, |at| at % 2 * 100).points().len() <= events as usize + 1);
            }
        }
    }

    #[test]
    fn what_was_drawn_anew_before_stays() {
        let plan = fixtures::plan();
        let once = redrawn(&plan, 50, 1);
        assert_eq!(once.redraws.len(), 1);
        assert_ne!(once.redraws, redrawn(&plan, 50, 2).redraws);
        let twice = redrawn(&once, 80, 1);
        assert_eq!(twice.redraws[0], once.redraws[0], "CURVE-2");
        assert_eq!(twice.redraws[1].after_events, 80);
        let earlier = redrawn(&once, 20, 1);
        assert_eq!(earlier.redraws.len(), 1);
        assert_eq!(earlier.redraws[0].after_events, 20);
    }
}
