//! What every HTML page is made of: its frame, its head, its tables. A page works offline: no font, no picture from elsewhere.
//!
//! Start at [`document`], the frame with look and policy; [`Head`] is what stands at the top of each page. Text is escaped by
//! `maud` wherever it enters, and a page forbids itself everything that comes from elsewhere.

use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

use crate::ansi::Style;
use crate::table::{Align, Cell, Table};
use crate::units;

/// Characters of a command in a header; that of a large set names hundreds of files.
const COMMAND_MAX: usize = 300;

/// CSS of every page.
const CSS: &str = include_str!("page.css");
/// What is other on paper; behind all other CSS, so that it wins.
const PRINT: &str = include_str!("print.css");
/// Opens what is closed before it is printed; in front of the script of a page that has one.
const PRINT_SCRIPT: &str = include_str!("print.js");

/// What a page may do: run and style itself, and nothing else. Part of its text, since there is no server to say so.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";

/// A page: the report's look and policy, `styles` besides, `main`, and `script` behind it if it is not empty.
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

/// The top of a page: what it is, what made it, and its numbers.
pub struct Head<'p> {
    /// The heading.
    pub title: Markup,
    /// The command line that made the page.
    pub command: &'p str,
    /// A line each, below the command.
    pub notes: Vec<Markup>,
    /// The numbers that the page comes down to.
    pub counts: Vec<Count>,
}

/// One number of a head, and what it counts.
pub struct Count {
    /// The number as text.
    pub number: String,
    /// What it counts, one or several.
    pub label: String,
    /// Whether it is good news.
    pub style: Style,
    /// Where the page says more about it.
    pub href: Option<&'static str>,
}

impl Count {
    /// `1 run`, `204 runs`; `one` is the word for one of them.
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

/// The command of a header, cut between two words where it is long.
pub fn short_command(command: &str) -> String {
    let Some((end, _)) = command.char_indices().nth(COMMAND_MAX) else { return command.to_owned() };
    let (head, _) = command[..end].rsplit_once(' ').unwrap_or((&command[..end], ""));
    let rest = command[head.len()..].trim_start().chars().count();
    format!("{head} … and {} more characters", units::count(rest as u64))
}

/// A heading with a note, and a table; nothing without rows.
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

/// The class of a column of numbers; most cells of a page are text and have none.
pub fn side(align: Align) -> Option<&'static str> {
    (align == Align::Right).then_some("r")
}

/// The text of a cell; the unit of a number stands in a box of its own, so that digits line up.
pub fn cell_text(cell: &Cell, align: Align) -> Markup {
    let text = cell.text.trim_end();
    let quantity = match text.rsplit_once(' ') {
        Some((number, unit)) if align == Align::Right && is_quantity(number, unit) => Some((number, unit)),
        _ => None,
    };
    // Most of a page is cells, so the markup of a plain one is its text.
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
