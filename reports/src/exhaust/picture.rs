//! The picture of a search: the events of the clean run from left to right, a row for each kind of fault, and in each
//! cell the strikes at that event, coloured by the way in which the run went.
//!
//! Start at [`picture`]. A strike that was not run has a paler shade of the colour of the strike that stands for its
//! class. The most frequent *courses* have colours: a course is verdict, attempts and root causes, which hundreds of
//! signatures have in common. Wrong runs are red, whatever their course, and runs that hurt nothing are grey.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::{ExhaustSet, ExhaustStrike};
use crate::class::Class;

/// Height of a row, and the gap below it.
const ROW: usize = 15;
const GAP: usize = 2;
/// Space for names on the left, and for checkpoints at the top.
const LEFT: usize = 138;
const TOP: usize = 34;
/// Width of all events together, if they fit.
const WIDTH: usize = 1_060;
/// Extra space between families.
const FAMILY_GAP: usize = 8;
/// Number of courses that have a colour of their own.
pub(super) const COLOURED: usize = 11;

/// The CSS class with the colour of a course.
pub(super) fn colour(rank: Option<usize>, verdict: Class) -> String {
    match (verdict, rank) {
        (Class::Vacuous, _) => "vacuous".into(),
        (Class::Passed, Some(rank)) if rank < COLOURED => format!("way-{rank}"),
        (Class::Passed, _) => "way-other".into(),
        _ => "wrong".into(),
    }
}

/// The course of a signature: its words up to the first detail.
pub(super) fn course<'s>(set: &'s ExhaustSet, signature: &'s str) -> &'s str {
    set.words(signature).split(';').next().unwrap_or_default()
}

/// The courses of runs that passed, with the number of runs, the most frequent first.
pub(super) fn courses(set: &ExhaustSet) -> Vec<(&str, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (signature, count, _) in set.by_signature().iter().filter(|(.., verdict)| *verdict == Class::Passed) {
        *counts.entry(course(set, signature)).or_default() += count;
    }
    let mut sorted: Vec<(&str, usize)> = counts.into_iter().collect();
    sorted.sort_by_key(|(course, count)| (std::cmp::Reverse(*count), *course));
    sorted
}

/// The strikes of a cell by colour, and by whether they were run.
type Parts = BTreeMap<(String, bool), Vec<u32>>;

/// The picture of the strikes at the scenario itself, and the numbers of the strikes that can be clicked.
pub(super) fn picture(set: &ExhaustSet) -> (Markup, BTreeSet<u32>) {
    let ranks: BTreeMap<&str, usize> =
        courses(set).into_iter().enumerate().map(|(rank, (course, _))| (course, rank)).collect();
    let ways = ways_of_classes(set);
    let events = set.events.len().max(1);
    let step = (WIDTH / events).clamp(3, 14);
    let mut cells: BTreeMap<(u32, u32), Parts> = BTreeMap::new();
    for strike in set.strikes.iter().filter(|strike| strike.ground == 0) {
        let run = strike.result.as_ref().map(|result| (result.signature.as_str(), result.verdict));
        let Some((signature, verdict)) = run.or_else(|| ways.get(&strike.class).copied()) else { continue };
        let colour = colour(ranks.get(course(set, signature)).copied(), verdict);
        let cell = cells.entry((strike.kind, strike.event)).or_default();
        cell.entry((colour, run.is_some())).or_default().push(strike.number);
    }
    let mut tops: BTreeMap<u32, usize> = BTreeMap::new();
    let (mut y, mut family) = (TOP, "");
    let struck: BTreeSet<u32> = cells.keys().map(|(kind, _)| *kind).collect();
    for kind in struck {
        let of = set.kinds[kind as usize].1.as_str();
        if !family.is_empty() && of != family {
            y += FAMILY_GAP;
        }
        family = of;
        tops.insert(kind, y);
        y += ROW;
    }
    let (width, height) = (LEFT + events * step + 10, y + 8);
    let picked = cells.values().flat_map(BTreeMap::values).map(|numbers| numbers[0]).collect();
    let picture = html! {
        svg.strikes width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } role="img"
            aria-label="Strikes by event and kind of fault" {
            @for (at, checkpoint) in bounds(set) {
                @let x = LEFT + at * step;
                line.bound x1=(x) x2=(x) y1=(TOP - 16) y2=(height - 8) {}
                text x=(x + 3) y=(TOP - 18) { (checkpoint) }
            }
            @for (kind, y) in &tops {
                text x=(LEFT - 8) y=(y + ROW - 4) text-anchor="end" { (set.kinds[*kind as usize].0) }
            }
            @for ((kind, event), parts) in &cells {
                @let all: usize = parts.values().map(Vec::len).sum();
                @let heights = shares(parts.values().map(Vec::len), all, (ROW - GAP) * 10);
                @for (((colour, run), numbers), (from, tall)) in parts.iter().zip(heights) {
                    @let paler = if *run { "" } else { " stood-for" };
                    rect class={ (colour) (paler) } x=(LEFT + *event as usize * step) y=(tenth(tops[kind] * 10 + from))
                        width=(step - usize::from(step > 3)) height=(tenth(tall)) data-n=(numbers[0]) data-k=(numbers.len()) {}
                }
            }
        }
    };
    (picture, picked)
}

/// For each class, the way the run of the strike that stands for it went.
fn ways_of_classes(set: &ExhaustSet) -> BTreeMap<u32, (&str, Class)> {
    let stands = set.strikes.iter().filter(|strike: &&ExhaustStrike| strike.stands);
    stands
        .filter_map(|strike| {
            let result = strike.result.as_ref()?;
            Some((strike.class, (result.signature.as_str(), result.verdict)))
        })
        .collect()
}

/// Where each checkpoint begins, with its name.
fn bounds(set: &ExhaustSet) -> Vec<(usize, String)> {
    let mut bounds = vec![(0, "start".to_owned())];
    let triggered = set.events.iter().enumerate().filter(|(_, event)| event.name == "checkpoint-triggered");
    bounds.extend(triggered.map(|(at, event)| (at, format!("checkpoint {}", event.checkpoint))));
    bounds
}

/// Divides a height in proportion to the parts; each result has its offset.
fn shares(parts: impl Iterator<Item = usize>, all: usize, height: usize) -> Vec<(usize, usize)> {
    let mut before = 0;
    parts
        .map(|part| {
            let from = before * height / all.max(1);
            before += part;
            (from, before * height / all.max(1) - from)
        })
        .collect()
}

/// A number of tenths, written with a decimal point.
fn tenth(tenths: usize) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exhaust::fixture;

    #[test]
    fn every_strike_is_in_the_picture_and_those_not_run_are_paler() {
        let (picture, picked) = picture(&fixture());
        let picture = picture.into_string();
        assert_eq!(picked.len(), 6);
        assert_eq!(picture.matches("<rect").count(), 6);
        assert_eq!(picture.matches("stood-for").count(), 2);
        assert!(picture.contains("class=\"wrong\"") && picture.contains("class=\"wrong stood-for\""), "{picture}");
        assert!(picture.contains("class=\"vacuous\"") && picture.contains("class=\"way-0\""));
    }

    #[test]
    fn parts_fill_their_cell() {
        assert_eq!(shares([1, 1, 2].into_iter(), 4, 130), [(0, 32), (32, 33), (65, 65)]);
        assert_eq!(shares([3].into_iter(), 3, 130), [(0, 130)]);
    }
}
