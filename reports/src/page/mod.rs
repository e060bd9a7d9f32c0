//! The parts of every HTML page: frame, head, tables. A page works offline, and loads nothing from elsewhere.
//!
//! Start at [`document`], the frame with style and policy; [`Head`] is the top of each page. Text is escaped by `maud`
//! wherever it enters, and the policy of a page forbids everything that comes from elsewhere.

use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

use crate::ansi::Style;
use crate::table::{Align, Cell, Table};
use crate::units;

/// Most characters of a command in a header, because the command of a large set names hundreds of files.
const COMMAND_MAX: usize = 300;

/// CSS of every page.
const CSS: &str = include_str!("page.css");
/// Differences on paper. Comes after all other CSS, so that it takes precedence.
const PRINT: &str = include_str!("print.css");
/// Opens what is closed before the page is printed. Comes before the script of a page that has one.
const PRINT_SCRIPT: &str = include_str!("print.js");

/// What a page may do: only run its own script and use its own styles. The policy is part of the page's text, because
/// there is no server to send it.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";

/// A page: the report's style and policy, further `styles`, `main`, and `script` after it if it is not empty.
pub fn document(title: &str, styles: &[&str], main: &Markup, script: &str) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(CSS)) @for style in styles { (PreEscaped(style)) } (PreEscaped(PRINT)) }
            }
            body {
                main { (main) }
                @if !script.is_empty() { script { (PreEscaped(PRINT_SCRIPT)) (PreEscaped(script)) } }
            }
        }
    };
    page.into_string()
}

/// The top of a page: what the page is, what made it, and its main numbers.
pub struct Head<'p> {
    /// The heading.
    pub title: Markup,
    /// The command line that made the page.
    pub command: &'p str,
    /// Notes, each on a line of its own below the command.
    pub notes: Vec<Markup>,
    /// The main numbers of the page.
    pub counts: Vec<Count>,
}

/// One number of a head, and what it counts.
pub struct Count {
    /// The number as text.
    pub number: String,
    /// What the number counts, in the singular or plural that fits.
    pub label: String,
    /// Whether the number is good or bad.
    pub style: Style,
    /// The part of the page that says more about it.
    pub href: Option<&'static str>,
}

impl Count {
    /// Such as `1 run`, `204 runs`; `one` is the singular.
    pub fn of(n: usize, one: &str) -> Count {
        Count::labelled(n, units::noun_for(n, one), Style::Plain)
    }

    /// A number with a label that has no plural.
    pub fn labelled(n: usize, label: impl Into<String>, style: Style) -> Count {
        Count { number: units::count(n as u64), label: label.into(), style, href: None }
    }
}

impl Render for Head<'_> {
    fn render(&self) -> Markup {
        html! {
            header #top {
                h1 { (self.title) }
                p { code { (short_command(self.command)) } }
                @for note in &self.notes { p { (note) } }
                @if !self.counts.is_empty() {
                    ul.counts {
                        @for count in &self.counts {
                            li.(class(count.style)) {
                                b { (count.number) }
                                @match count.href {
                                    Some(href) => a href=(href) { (count.label) },
                                    None => (count.label),
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The command of a header, cut between two words if it is long.
pub fn short_command(command: &str) -> String {
    let Some((end, _)) = command.char_indices().nth(COMMAND_MAX) else { return command.to_owned() };
    let (head, _) = command[..end].rsplit_once(' ').unwrap_or((&command[..end], ""));
    let rest = command[head.len()..].trim_start().chars().count();
    format!("{head} … and {} more characters", units::count(rest as u64))
}

/// A heading with a note, and a table; empty if the table has no rows.
pub fn titled(heading: &str, note: &str, content: &Table) -> Markup {
    html! {
        @if !content.is_empty() {
            @if !heading.is_empty() { h3 { (heading) @if !note.is_empty() { small { (note) } } } }
            div.scroll { (table(content)) }
        }
    }
}

/// A table as HTML.
pub fn table(content: &Table) -> Markup {
    let ends_in_number = content.columns().last().is_some_and(|(_, align)| *align == Align::Right);
    html! {
        table.numbers[ends_in_number] {
            thead {
                tr {
                    @for (heading, align) in content.columns() {
                        th class=[side(*align)] scope="col" { (heading) }
                    }
                }
            }
            tbody {
                @for row in content.rows() {
                    tr {
                        @for (cell, (_, align)) in row.iter().zip(content.columns()) {
                            td class=[side(*align)] { (cell_text(cell, *align)) }
                        }
                    }
                }
            }
        }
    }
}

/// The class of a column of numbers. Columns of text, which are most, have no class.
pub fn side(align: Align) -> Option<&'static str> {
    (align == Align::Right).then_some("r")
}

/// The text of a cell. The unit of a number is in a box of its own, so that digits line up.
pub fn cell_text(cell: &Cell, align: Align) -> Markup {
    let text = cell.text.trim_end();
    let quantity = match text.rsplit_once(' ') {
        Some((number, unit)) if align == Align::Right && is_quantity(number, unit) => Some((number, unit)),
        _ => None,
    };
    // Most of a page is cells, so a plain cell has no markup besides its text.
    let content = html! {
        @match quantity {
            Some((number, unit)) => { (number) i { (unit) } },
            None => (text),
        }
    };
    match cell.style {
        Style::Plain => content,
        style => html! { span.(class(style)) { (content) } },
    }
}

fn is_quantity(number: &str, unit: &str) -> bool {
    number.ends_with(|c: char| c.is_ascii_digit()) && unit.chars().all(char::is_alphabetic) && unit.chars().count() <= 3
}

/// The class of a style in the page's CSS.
pub fn class(style: Style) -> &'static str {
    match style {
        Style::Plain => "plain",
        Style::Heading => "heading",
        Style::Good => "good",
        Style::Bad => "bad",
        Style::Warn => "warn",
        Style::Dim => "dim",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paper_has_the_last_word_and_dark_colours_are_for_screens() {
        let page = document("title", &[".own { color: red; }"], &html! {}, "own()");
        let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}"));
        assert!(place(".own {") < place("@media print"));
        assert!(place("beforeprint") < place("own()"));
        assert_eq!(
            page.matches("prefers-color-scheme").count(),
            page.matches("@media screen and (prefers-color-scheme").count()
        );
        assert!(!document("title", &[], &html! {}, "").contains("<script"), "a page without a script stays one");
    }

    #[test]
    fn a_head_shows_what_there_is() {
        let more = Count { href: Some("#more"), ..Count::labelled(1_204, "not <passed>", Style::Warn) };
        let counts = vec![Count::of(1, "run"), Count::of(2, "curve"), more];
        let head = Head { title: html! { "T" }, command: "a & b", notes: vec![html! { "note" }], counts };
        assert_eq!(
            head.render().into_string(),
            "<header id=\"top\"><h1>T</h1><p><code>a &amp; b</code></p><p>note</p><ul class=\"counts\">\
             <li class=\"plain\"><b>1</b>run</li><li class=\"plain\"><b>2</b>curves</li>\
             <li class=\"warn\"><b>1,204</b><a href=\"#more\">not &lt;passed&gt;</a></li></ul></header>"
        );
        let bare = Head { title: html! { "T" }, command: "c", notes: vec![], counts: vec![] };
        assert!(!bare.render().into_string().contains("counts"));
    }

    #[test]
    fn a_long_command_is_cut_between_words_with_the_count_of_the_rest() {
        assert_eq!(short_command("flowquake run a.toml"), "flowquake run a.toml");
        let long = format!("flowquake run {}", "ä.toml ".repeat(300));
        let short = short_command(&long);
        assert!(short.starts_with("flowquake run ä.toml ä.toml") && short.contains("ä.toml … and 1,8"), "{short}");
        assert!(short.chars().count() < COMMAND_MAX + 40);
        assert!(short_command(&"x".repeat(1_000)).ends_with(" … and 700 more characters"));
    }

    #[test]
    fn units_stand_in_a_box_of_their_own() {
        let cell = cell_text(&Cell::duration(1_204_000_000), Align::Right).into_string();
        assert_eq!(cell, "1.204<i>s</i>");
        let cell = cell_text(&Cell::new("not in this run"), Align::Right).into_string();
        assert_eq!(cell, "not in this run");
    }
}
