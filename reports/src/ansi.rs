//! Emphasis: what a piece of text means, and its ANSI colours on a terminal that wants them.
//!
//! Start at [`Style`]. Documents other than the terminal's map a style to their own means; no style is ever the only sign of
//! something, since reports are read in files, by people who see no red, and by programs.

use std::borrow::Cow;

/// Whether the output may hold ANSI escape codes; the caller knows its terminal, this crate does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// Write escape codes.
    Yes,
    /// Plain text.
    No,
}

/// Where text is shown: with colours or without, and how many columns of characters there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Whether it may hold escape codes.
    pub color: Color,
    /// Columns; tables are made to fit. `usize::MAX` where nobody looks: files and pipes keep everything.
    pub width: usize,
}

impl From<Color> for Screen {
    fn from(color: Color) -> Self {
        Screen { color, width: usize::MAX }
    }
}

/// What a piece of text means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// Nothing particular.
    #[default]
    Plain,
    /// A heading.
    Heading,
    /// As it should be.
    Good,
    /// A violation, or a fault that struck.
    Bad,
    /// Proves nothing, or needs a look.
    Warn,
    /// Secondary.
    Dim,
}

impl Style {
    /// The SGR parameters of this style; `None`: no code at all.
    fn sgr(self) -> Option<&'static str> {
        match self {
            Style::Plain => None,
            Style::Heading => Some("1"),
            Style::Good => Some("32"),
            Style::Bad => Some("1;31"),
            Style::Warn => Some("33"),
            Style::Dim => Some("2"),
        }
    }
}

/// `text` in `style`, with escape codes only where `color` allows them.
pub fn paint(text: &str, style: Style, color: Color) -> String {
    match style.sgr() {
        Some(sgr) if color == Color::Yes && !text.is_empty() => format!("\x1b[{sgr}m{text}\x1b[0m"),
        _ => text.to_owned(),
    }
}

/// `text` on one line and without control characters: what a job under test wrote must not steer the reader's terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

/// `text` as it may go to a terminal: with line breaks, tabs and colours, and without anything else that steers one. The last
/// door for text that holds words of others, which should have been [`clean`] before.
pub fn safe(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| steers(c) && c != '\n' && c != '\t') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let colour = colour_code(rest);
        let taken = colour.unwrap_or(c.len_utf8());
        if colour.is_none() && steers(c) && c != '\n' && c != '\t' {
            out.push(' ');
        } else {
            out.push_str(&rest[..taken]);
        }
        rest = &rest[taken..];
    }
    Cow::Owned(out)
}

/// The columns that `text` takes on a terminal: two for a wide character, none for one that stands on another.
pub fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// Control characters, and those that turn the direction of what follows.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The length of the colour code that `text` begins with.
fn colour_code(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..].starts_with('m').then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_appear_only_on_request() {
        assert_eq!(paint("failed", Style::Bad, Color::No), "failed");
        assert_eq!(paint("failed", Style::Bad, Color::Yes), "\x1b[1;31mfailed\x1b[0m");
        assert_eq!(paint("text", Style::Plain, Color::Yes), "text");
        assert_eq!(paint("", Style::Bad, Color::Yes), "");
    }

    #[test]
    fn escapes_of_others_are_removed() {
        assert_eq!(clean("a\x1b[2Jb\nc"), "a [2Jb c");
        assert_eq!(clean("a\u{9b}2Jb\u{202e}c"), "a 2Jb c");
    }

    #[test]
    fn only_lines_and_colours_reach_a_terminal() {
        for text in ["plain\n\ttext", "\x1b[1;31mfailed\x1b[0m"] {
            assert_eq!(safe(text), text);
        }
        assert_eq!(safe("\x1b[2J\x1b]0;title\x07\x1b[31mred\x1b[0m\r\x1b"), " [2J ]0;title \x1b[31mred\x1b[0m  ");
        assert_eq!(safe("\x1b[31"), " [31");
    }
}
