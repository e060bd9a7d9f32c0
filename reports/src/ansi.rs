//! Emphasis: the meaning of a piece of text, and its ANSI colour on a terminal that supports colours.
//!
//! Start at [`Style`]. Other documents map a style to their own means. A style is never the only sign of something,
//! because reports are also read in files, by people who cannot see red, and by programs.

use std::borrow::Cow;

/// Whether the output may have ANSI escape codes. The caller knows its terminal; this crate does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// Write escape codes.
    Yes,
    /// Plain text.
    No,
}

/// Where text is shown: with or without colours, and how many columns wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Whether the text may have escape codes.
    pub color: Color,
    /// Number of columns that tables are made to fit. `usize::MAX` for files and pipes, where nothing is shortened.
    pub width: usize,
}

impl From<Color> for Screen {
    fn from(color: Color) -> Self {
        Screen { color, width: usize::MAX }
    }
}

/// The meaning of a piece of text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// Nothing special.
    #[default]
    Plain,
    /// A heading.
    Heading,
    /// As it should be.
    Good,
    /// A violation, or a fault that struck.
    Bad,
    /// Proves nothing, or should be looked at.
    Warn,
    /// Less important.
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

/// `text` on one line and without control characters, because text that a job under test wrote must not control the
/// reader's terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

/// `text` as it may go to a terminal: with line breaks, tabs and colours, and without any other control sequence. This
/// is the last check for text that contains words of others, which should have been [`clean`]ed before.
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

/// The columns that `text` takes on a terminal: two for a wide character, none for a combining one.
pub fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// Whether this is a control character, or one that changes the direction of the text after it.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The length of the colour code at the beginning of `text`.
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
