//! An exhaustive search as a page: its result in one line, the picture, the ways in which runs went, and a table by
//! kind of fault.
//!
//! Start at [`page`]. A click on a strike of the picture shows what the strike was, how the run went, and the command
//! that makes the run again. Text of the records is escaped by `maud`; the data for the script is JSON without `<`.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::picture::{self, COLOURED, colour, picture};
use super::terminal::{combinations, cuts, depths, table, verdicts, what, wrong};
use super::{ExhaustSet, ExhaustStrike};
use crate::ansi::{Style, clean};
use crate::class::Class;
use crate::page::{Count, Head, document, titled};
use crate::units;

const STYLE: &str = include_str!("exhaust.css");
const SCRIPT: &str = include_str!("exhaust.js");

/// Most wrong runs that are listed.
const LISTED: usize = 200;

/// The page.
pub fn page(set: &ExhaustSet) -> String {
    let command = clean(&set.command);
    let run = set.strikes.iter().filter(|strike| strike.result.is_some()).count();
    let bad = wrong(set).count();
    let ways = set.by_signature().len();
    let made = if set.cuts.is_empty() { "none".to_owned() } else { set.cuts.join(", ") };
    let shard = if set.shard.1 > 1 { format!(", shard {} of {}", set.shard.0, set.shard.1) } else { String::new() };
    let (drawn, picked) = picture(set);
    let main = html! {
        (Head {
            title: html! { "Every fault at every step of " (clean(&set.scenario)) },
            command: &command,
            notes: vec![
                html! { strong.theorem { (set.theorem) } },
                html! { (verdicts(set)) ". Cuts: " (made) (shard) "." },
            ],
            counts: vec![
                Count::of(set.strikes_total as usize, "strike"),
                Count::labelled((set.classes_total + set.splits) as usize, "classes", Style::Plain),
                Count::of(run, "run"),
                Count::labelled(ways, "ways to go", Style::Plain),
                Count { href: (bad > 0).then_some("#wrong"), ..Count::labelled(bad, "wrong", if bad > 0 { Style::Bad } else { Style::Good }) },
            ],
        })
        @if !set.stopped.is_empty() { p.warn { "Not finished: " (clean(&set.stopped)) } }
        @if set.strikes.iter().any(|strike| strike.ground == 0) { section.card.run.exhaust {
            h2 { "Strikes along the run" }
            p.sub {
                "Events of the clean run from left to right, kinds of faults from top to bottom. A colour is the course of a run; paler "
                "strikes were not run, another of their class stands for them. A click shows a strike and the command of its run."
            }
            (key(set))
            div.scroll { (drawn) }
            div #picked { p.sub { "Nothing is picked." } }
        } }
        @if bad > 0 {
            section.card.run #wrong {
                h2 { "Wrong" }
                @for strike in wrong(set).take(LISTED) { (failure(set, strike)) }
                @if bad > LISTED { p.sub { "And " (units::count((bad - LISTED) as u64)) " more, which the JSON lists." } }
            }
        }
        section.card.run { (titled("By kind of fault", "ways: signatures that differ", &table(set))) }
        @if !set.measured.is_empty() {
            section.card.run { (titled("Cuts", "what each removes while all others are made", &cuts(set))) }
        }
        @if let Some(depths) = depths(set) {
            section.card.run { (titled("By depth", "faults before the strike", &depths)) }
        }
        @if let Some(covering) = &set.covering {
            section.card.run {
                (titled("Combinations", "covered: both faults of a run that has it struck", &combinations(covering)))
                ul { @for (why, missing) in &covering.missing { li { (units::count(*missing)) " cannot be: " (why) } } }
            }
        }
        @if set.grounds.len() > 1 {
            section.card.run {
                (titled("Where something fails already", "strikes at the messages of a recovery", &grounds(set)))
            }
        }
    };
    let script = format!("const strikes = {};\n{SCRIPT}", data(set, &picked));
    document("Flowquake: every fault at every step", &[STYLE], &main, &script)
}

/// The legend of the courses that have a colour of their own.
fn key(set: &ExhaustSet) -> Markup {
    let courses = picture::courses(set);
    let (shown, rest) = courses.split_at(courses.len().min(COLOURED));
    let others: usize = rest.iter().map(|(_, count)| count).sum();
    let runs = |count: usize| html! { span.dim { " " (units::counted(count, "run")) } };
    html! {
        ul.key {
            @for (rank, (course, count)) in shown.iter().enumerate() {
                li { i.(colour(Some(rank), Class::Passed)) {} (clean(course)) (runs(*count)) }
            }
            @if others > 0 { li { i.way-other {} (units::count(rest.len() as u64)) " other courses" (runs(others)) } }
            li { i.vacuous {} "hurt nothing" }
            li { i.wrong {} "wrong" }
        }
    }
}

fn failure(set: &ExhaustSet, strike: &ExhaustStrike) -> Markup {
    let Some(result) = &strike.result else { return html! {} };
    html! {
        h3 { (result.verdict.label()) small { (clean(&what(set, strike))) } }
        p { (clean(&result.headline)) }
        p { code { (clean(&result.replay)) } }
    }
}

fn grounds(set: &ExhaustSet) -> crate::table::Table {
    use crate::table::{Align, Cell, Table};
    let right = |heading: &'static str| (heading, Align::Right);
    let mut rows = Table::new([("ground", Align::Left), right("strikes"), right("run"), right("wrong")]);
    for (number, name) in set.grounds.iter().enumerate().skip(1) {
        let here = |strike: &&ExhaustStrike| strike.ground as usize == number;
        let run = set.strikes.iter().filter(here).filter(|strike| strike.result.is_some()).count();
        rows.row([
            Cell::new(name),
            Cell::count(set.strikes.iter().filter(here).count() as u64),
            Cell::count(run as u64),
            Cell::count(wrong(set).filter(here).count() as u64),
        ]);
    }
    rows
}

/// The data of the script: for each strike its words, the way the run went, and the command. It has no `<`, which could
/// end the script element.
fn data(set: &ExhaustSet, picked: &BTreeSet<u32>) -> String {
    let can_be_picked = set.strikes.iter().filter(|strike| picked.contains(&strike.number));
    let entry = |strike: &ExhaustStrike| {
        let (way, replay) = match &strike.result {
            Some(result) => (format!("{} {}", set.words(&result.signature), result.headline), result.replay.clone()),
            None => (String::new(), String::new()),
        };
        (strike.number, [what(set, strike), way, replay])
    };
    let all: BTreeMap<u32, [String; 3]> = can_be_picked.map(entry).collect();
    serde_json::to_string(&all).expect("texts are JSON").replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exhaust::fixture;

    #[test]
    fn a_page_shows_the_theorem_the_failures_and_their_commands() {
        let page = page(&fixture());
        assert!(page.contains("6 strikes in 4 classes, 0 members re-run, 0 disagreements"));
        assert!(page.contains("O1: a &lt;record&gt; is lost") && page.contains("--strike 2"));
        assert!(!page.contains("a <record>"), "text is escaped, in the script as well");
    }
}
