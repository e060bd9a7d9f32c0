//! The grid as a picture for the HTML report, and as a page of its own.
//!
//! Start at [`section`]; [`page`] is what `flowquake coverage --html` writes. The picture is an SVG without scripts.
//! Rows are events, columns are kinds of faults by family, and each column has a square for every role of the victim.
//! The title of a square gives the cell, its strikes and their verdict. Text of the records is escaped by `maud`
//! wherever it enters.

use maud::{Markup, html};

use super::{Cell, Coverage, activation, settings, text};
use crate::ansi::clean;
use crate::class::Class;
use crate::page::{Head, document, titled};
use crate::record::FaultKindRecord;
use crate::units;

/// CSS of the picture.
pub const STYLE: &str = include_str!("coverage.css");

/// Edge of a square, and the distance from one to the next.
const SQUARE: usize = 8;
const STEP: usize = 9;
/// Distance from row to row.
const ROW: usize = 13;
/// Extra distance between kinds, and between families.
const KIND_GAP: usize = 3;
const FAMILY_GAP: usize = 10;
/// Width of one character of the 11 px font, rounded up, so that labels at the left and top have enough room.
const CHAR: usize = 7;
/// A longer name is cut; its title has the whole name.
const NAME_MAX: usize = 32;

/// A page with nothing but the grid and its tables.
pub fn page(coverage: &Coverage, title: &str) -> String {
    let command = clean(title);
    let main = html! {
        (Head { title: html! { "Coverage" }, command: &command, notes: vec![], counts: vec![] })
        (section(coverage))
        (titled("Empty cells", "meaningful, but nothing struck there", &text::empty(coverage)))
    };
    document("Flowquake: coverage", &[STYLE], &main, "")
}

/// The grid, its sum, and the tables by kind and of strikes outside the grid. Where there is no grid, as in a sweep
/// over swarms only, it shows what the faults did nevertheless.
pub fn section(coverage: &Coverage) -> Markup {
    if coverage.check().is_err() {
        return html! {
            @if !activation::table(&coverage.activation()).is_empty() {
                section.run.card.coverage {
                    h2 { "Faults" }
                    (active(coverage))
                }
            }
        };
    }
    let tally = coverage.tally();
    html! {
        section.run.card.coverage {
            h2 { "Coverage: " (tally.percent()) }
            p.sub {
                (units::count(tally.hit)) " of " (units::count(tally.meaningful)) " meaningful cells hit in "
                (units::counted(coverage.runs() as usize, "run")) ". A cell is an event, a kind of fault and the role of its "
                "victim; it is meaningful if a run without faults emits the event and the fault applies to the role."
            }
            (key())
            div.scroll { (picture(coverage)) }
            details {
                summary { "By kind of fault" }
                div.scroll { (titled("", "", &text::by_kind(coverage))) }
            }
            (active(coverage))
            @let tried = settings::table(coverage.settings());
            @if !tried.is_empty() {
                details {
                    summary { "By setting" }
                    @if let Some(sum) = settings::summary(coverage.settings()) { p.sub { (sum) ", in runs that prove something" } }
                    div.scroll { (titled("", "", &tried)) }
                }
            }
            (titled("Outside the grid", "at events that no run without faults emits", &text::outside(coverage)))
        }
    }
}

/// How often each kind of fault was drawn, struck and hurt.
fn active(coverage: &Coverage) -> Markup {
    let rows = coverage.activation();
    let table = activation::table(&rows);
    html! {
        @if !table.is_empty() {
            details {
                summary { "Activation: drawn, struck, hurt" }
                @if let Some(sum) = activation::summary(&rows) { p.sub { (sum) } }
                div.scroll { (titled("", "", &table)) }
            }
        }
    }
}

fn key() -> Markup {
    let classes = [Class::Passed, Class::Failed, Class::Crashed, Class::Stuck, Class::Nondeterministic, Class::Vacuous];
    html! {
        ul.key {
            @for class in classes {
                li { i class=(css(Some(class))) { (letter(class)) } (class.label()) }
            }
            li { i.none {} "empty" }
        }
    }
}

/// Every class has a colour, and all except `passed` also a letter, because colour must never be the only sign.
fn css(class: Option<Class>) -> &'static str {
    match class {
        None => "none",
        Some(Class::Passed) => "good",
        Some(Class::Vacuous | Class::Uncertain | Class::NotBuilt | Class::NotOffered) => "warn",
        Some(Class::Failed | Class::Crashed | Class::Stuck | Class::Nondeterministic) => "bad",
    }
}

fn letter(class: Class) -> &'static str {
    match class {
        Class::Passed => "",
        Class::Failed => "F",
        Class::Crashed => "C",
        Class::Stuck => "S",
        Class::Nondeterministic => "N",
        Class::Vacuous => "v",
        Class::Uncertain => "u",
        Class::NotBuilt | Class::NotOffered => "n",
    }
}

struct Column<'a> {
    kind: &'a FaultKindRecord,
    x: usize,
    opens_family: bool,
}

fn columns<'a>(kinds: &[&'a FaultKindRecord], left: usize) -> Vec<Column<'a>> {
    let mut columns: Vec<Column<'a>> = Vec::new();
    let mut x = left;
    for kind in kinds {
        let opens_family = columns.last().is_none_or(|column| column.kind.family != kind.family);
        if opens_family && !columns.is_empty() {
            x += FAMILY_GAP;
        }
        columns.push(Column { kind, x, opens_family });
        x += kind.roles.len() * STEP + KIND_GAP;
    }
    columns
}

fn picture(coverage: &Coverage) -> Markup {
    let events: Vec<&str> = coverage.events().collect();
    let kinds = coverage.kinds();
    let room = |names: &mut dyn Iterator<Item = &str>| {
        names.map(|name| name.chars().count().min(NAME_MAX)).max().unwrap_or(0) * CHAR
    };
    let (names, numbers) = (room(&mut events.iter().copied()), 6 * CHAR);
    let left = names + numbers + 8;
    let top = 24 + room(&mut kinds.iter().map(|kind| kind.name.as_str()));
    let columns = columns(&kinds, left);
    let right = columns.last().map_or(left, |column| column.x + column.kind.roles.len() * STEP);
    // The last family's name may be longer than its columns are wide.
    let (width, height) = (right + 5 * CHAR, top + events.len() * ROW + 8);
    html! {
        svg.grid width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } role="img" {
            title { "Coverage: events by kinds of faults" }
            @for column in &columns {
                @let x = column.x + column.kind.roles.len() * STEP / 2 + 3;
                @if column.opens_family {
                    text.family x=(column.x) y="12" { (short(&column.kind.family)) }
                    line x1=(column.x.saturating_sub(FAMILY_GAP / 2 + 2)) x2=(column.x.saturating_sub(FAMILY_GAP / 2 + 2)) y1="4" y2=(height - 8) {}
                }
                text x=(x) y=(top - 6) transform={ "rotate(-90 " (x) " " (top - 6) ")" } {
                    title { (clean(&column.kind.name)) ": " (clean(&column.kind.roles.join(", "))) }
                    (short(&column.kind.name))
                }
            }
            @for (index, event) in events.iter().enumerate() {
                @let y = top + index * ROW;
                @let tally = coverage.of_event(event);
                text x=(names) y=(y + 9) text-anchor="end" { title { (clean(event)) } (short(event)) }
                text.dim x=(left - 10) y=(y + 9) text-anchor="end" { (tally.hit) "/" (tally.meaningful) }
                @for column in &columns {
                    @for (role, x) in column.kind.roles.iter().zip((column.x..).step_by(STEP)) {
                        (square(event, &column.kind.name, role, coverage.cell(event, &column.kind.name, role), x, y))
                    }
                }
            }
        }
    }
}

fn square(event: &str, fault: &str, role: &str, cell: Option<&Cell>, x: usize, y: usize) -> Markup {
    let class = cell.and_then(Cell::verdict);
    let sign = class.map_or("", letter);
    html! {
        rect class=(css(class)) x=(x) y=(y) width=(SQUARE) height=(SQUARE) rx="2" {
            title {
                (clean(event)) ", " (clean(fault)) ", " (clean(role)) ": "
                @match cell.zip(class) {
                    Some((cell, class)) => {
                        (units::counted(cell.hits as usize, "strike")) " in "
                        (units::counted(cell.verdicts.values().sum::<u64>() as usize, "run")) ", " (class.label())
                    },
                    None => "empty",
                }
            }
        }
        @if !sign.is_empty() { text.sign x=(x + SQUARE / 2) y=(y + 7) { (sign) } }
    }
}

fn short(name: &str) -> String {
    let name = clean(name);
    if name.chars().count() > NAME_MAX { name.chars().take(NAME_MAX - 1).chain(['…']).collect() } else { name }
}
