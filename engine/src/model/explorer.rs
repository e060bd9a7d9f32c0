//! Breadth-first search over every state that a model can reach.
//!
//! A model is closed: numbers in its state bound everything nondeterministic in it (faults, crashes, terms, entries),
//! so the search ends by itself and needs no limit of depth. Three kinds of properties are checked:
//! - *always*: a step may report that it breaks a property; an assertion of the product that fails in a step counts,
//!   too;
//! - *always possible* (AG EF in temporal logic): from every state some good state can be reached. This needs no
//!   assumption about fairness: if every state has a way to a good one, only a scheduler that never takes it can avoid
//!   good states;
//! - *no change unnoticed*: the tests assert the numbers of states and steps and the depth.
//!
//! Start at [`explore`]. It returns a shortest counterexample.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Describes a property that does not hold.
pub(crate) type Broken = String;

/// What is explored.
pub(crate) trait Model {
    type State: Clone;

    fn first(&self) -> Self::State;

    /// Every step from a state: its description, and the state it leads to.
    fn steps(&self, state: &Self::State) -> Vec<(String, Result<Self::State, Broken>)>;

    /// Equal for states whose difference does not matter, such as the names of nodes that behave alike.
    fn fingerprint(&self, state: &Self::State) -> u128;

    /// Whether this is a good state, which must stay reachable.
    fn is_good(&self, state: &Self::State) -> bool;
}

/// How large a model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    /// Steps from the first state to the farthest one.
    pub(crate) depth: usize,
}

/// The steps that break a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counterexample {
    pub(crate) broken: Broken,
    pub(crate) steps: Vec<String>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.broken)?;
        for (number, step) in (1..).zip(&self.steps) {
            writeln!(f, "{number:>4}. {step}")?;
        }
        Ok(())
    }
}

struct Visited<S> {
    /// The state; empty after its steps were taken.
    state: Option<S>,
    /// The state from which it was reached first, and by which step.
    reached: Option<(u32, String)>,
    depth: usize,
    good: bool,
}

struct Search<S> {
    visited: Vec<Visited<S>>,
    known: BTreeMap<u128, u32>,
    edges: Vec<(u32, u32)>,
}

impl<S> Search<S> {
    /// The steps from the first state to this one.
    fn path(&self, to: u32) -> Vec<String> {
        let mut steps = Vec::new();
        let mut at = to;
        while let Some((from, step)) = &self.visited[at as usize].reached {
            steps.push(step.clone());
            at = *from;
        }
        steps.reverse();
        steps
    }

    /// The first state from which no good state can be reached.
    fn stranded(&self) -> Option<u32> {
        let mut before: Vec<Vec<u32>> = vec![Vec::new(); self.visited.len()];
        for (from, to) in &self.edges {
            before[*to as usize].push(*from);
        }
        let mut reaches: Vec<bool> = self.visited.iter().map(|visited| visited.good).collect();
        let mut frontier: Vec<u32> = (0..).zip(&reaches).filter_map(|(index, good)| good.then_some(index)).collect();
        while let Some(index) = frontier.pop() {
            for from in &before[index as usize] {
                if !std::mem::replace(&mut reaches[*from as usize], true) {
                    frontier.push(*from);
                }
            }
        }
        (0..).zip(reaches).find_map(|(index, reaches)| (!reaches).then_some(index))
    }
}

/// Visits every state. If there are more than `most`, the model has a mistake.
pub(crate) fn explore<M: Model>(model: &M, most: usize) -> Result<Size, Counterexample> {
    let first = model.first();
    let mut search = Search { visited: Vec::new(), known: BTreeMap::new(), edges: Vec::new() };
    search.known.insert(model.fingerprint(&first), 0);
    let good = model.is_good(&first);
    search.visited.push(Visited { state: Some(first), reached: None, depth: 0, good });
    let mut at = 0;
    while at < search.visited.len() {
        let from = u32::try_from(at).expect("fewer states than that");
        let depth = search.visited[at].depth + 1;
        let state = search.visited[at].state.take().expect("its steps were not taken yet");
        let steps = catch_unwind(AssertUnwindSafe(|| model.steps(&state)))
            .map_err(|panic| Counterexample { broken: words(&*panic), steps: search.path(from) })?;
        for (step, next) in steps {
            let next = match next {
                Ok(next) => next,
                Err(broken) => {
                    let mut steps = search.path(from);
                    steps.push(step);
                    return Err(Counterexample { broken, steps });
                }
            };
            let fresh = u32::try_from(search.visited.len()).expect("fewer states than that");
            let to = *search.known.entry(model.fingerprint(&next)).or_insert(fresh);
            search.edges.push((from, to));
            if to == fresh {
                assert!(search.visited.len() < most, "more than {most} states");
                let good = model.is_good(&next);
                search.visited.push(Visited { state: Some(next), reached: Some((from, step)), depth, good });
            }
        }
        at += 1;
    }
    if let Some(stranded) = search.stranded() {
        let broken = "from here no good end can be reached".to_owned();
        return Err(Counterexample { broken, steps: search.path(stranded) });
    }
    let depth = search.visited.last().map_or(0, |visited| visited.depth);
    Ok(Size { states: search.visited.len(), steps: search.edges.len(), depth })
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_else(|| "a panic".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A counter that may be reset until it reaches the top, where it may also get stuck.
    struct Counter {
        top: u32,
        may_get_lost: bool,
        forbidden: Option<u32>,
    }

    impl Model for Counter {
        type State = u32;

        fn first(&self) -> u32 {
            0
        }

        fn steps(&self, at: &u32) -> Vec<(String, Result<u32, Broken>)> {
            let mut steps = Vec::new();
            if *at < self.top {
                let next =
                    if self.forbidden == Some(at + 1) { Err(format!("{} is forbidden", at + 1)) } else { Ok(at + 1) };
                steps.push((format!("count to {}", at + 1), next));
                steps.push(("back".into(), Ok(0)));
            } else if self.may_get_lost && *at == self.top {
                steps.push(("get lost".into(), Ok(at + 1)));
            }
            steps
        }

        fn fingerprint(&self, at: &u32) -> u128 {
            u128::from(*at)
        }

        fn is_good(&self, at: &u32) -> bool {
            *at == self.top
        }
    }

    #[test]
    fn every_state_is_visited_once_and_counterexamples_are_shortest() {
        let counter = Counter { top: 3, may_get_lost: false, forbidden: None };
        assert_eq!(explore(&counter, 10), Ok(Size { states: 4, steps: 6, depth: 3 }));
        let broken = explore(&Counter { forbidden: Some(2), ..counter }, 10).unwrap_err();
        assert_eq!(broken.to_string(), "2 is forbidden\n   1. count to 1\n   2. count to 2\n");
    }

    #[test]
    fn a_state_without_a_way_to_a_good_end_is_found() {
        let lost = explore(&Counter { top: 1, may_get_lost: true, forbidden: None }, 10).unwrap_err();
        assert_eq!(lost.broken, "from here no good end can be reached");
        assert_eq!(lost.steps, ["count to 1", "get lost"]);
    }
}
