//! Emphasis: what a piece of text means, and its ANSI colours on a terminal that wants them.
//!
//! Start at [`Style`]. Documents other than the terminal's map a style to their own means; no style is ever the only sign of
//! something, since reports are read in files, by people who see no red, and by programs.

/// Whether the output may hold ANSI escape codes; the caller knows its terminal, this crate does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// Write escape codes.
    Yes,
    /// Plain text.
    No,
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
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
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
    }
}
