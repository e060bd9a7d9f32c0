//! The part of a text that an error shows: all of it, unless it has lines that are too long for any terminal.
//!
//! Start at [`Excerpt::of`]. The renderer counts columns in 16 bits, and prints every line that a place spans. So very
//! long lines are cut, and places with them.

use std::borrow::Cow;
use std::ops::Range;

/// A line with more bytes is cut.
const LINE_MAX: usize = 400;
/// A place with more lines is shown by its first line.
const LINES_MAX: usize = 20;

/// A text whose long lines are cut.
pub(crate) struct Excerpt<'t> {
    /// The text that is shown.
    pub(crate) text: Cow<'t, str>,
    whole: &'t str,
    /// The parts that are left out, in the order of the text.
    cuts: Vec<Cut>,
}

/// The end of a long line: `from..to` of the whole text.
struct Cut {
    from: usize,
    to: usize,
    /// Where the dots that stand for it are in the shown text.
    shown: usize,
}

impl<'t> Excerpt<'t> {
    /// The shown part of `text`.
    pub(crate) fn of(whole: &'t str) -> Self {
        if whole.split('\n').all(|line| line.len() <= LINE_MAX) {
            return Self { text: Cow::Borrowed(whole), whole, cuts: Vec::new() };
        }
        let (mut text, mut cuts, mut start) = (String::new(), Vec::new(), 0);
        for line in whole.split_inclusive('\n') {
            let body = line.strip_suffix('\n').unwrap_or(line);
            if body.len() <= LINE_MAX {
                text.push_str(line);
            } else {
                let kept = floor(body, LINE_MAX);
                text.push_str(&body[..kept]);
                cuts.push(Cut { from: start + kept, to: start + body.len(), shown: text.len() });
                text.push('…');
                text.push_str(&line[body.len()..]);
            }
            start += line.len();
        }
        Self { text: Cow::Owned(text), whole, cuts }
    }

    /// Where the place `span` of the whole text is in the shown text, and its column (from 1) if the place is left out.
    pub(crate) fn place(&self, span: &Range<usize>) -> (Range<usize>, Option<usize>) {
        let end = floor(self.whole, span.end);
        let start = floor(self.whole, span.start).min(end);
        let first_line = || self.whole[start..end].find('\n').map_or(end, |line| start + line);
        let end = if self.whole[start..end].lines().nth(LINES_MAX).is_some() { first_line() } else { end };
        let line = self.whole[..start].rfind('\n').map_or(0, |line| line + 1);
        let left_out = self.cuts.iter().any(|cut| cut.from <= start && start < cut.to);
        (self.shown(start)..self.shown(end), left_out.then(|| self.whole[line..start].chars().count() + 1))
    }

    fn shown(&self, at: usize) -> usize {
        match self.cuts.iter().rev().find(|cut| cut.from <= at) {
            None => at,
            Some(cut) if at < cut.to => cut.shown,
            Some(cut) => at - cut.to + cut.shown + '…'.len_utf8(),
        }
    }
}

/// The last character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_lines_are_cut_and_places_go_with_them() {
        let text = format!("a = 1\nb = [{}]\nc = 2\n", "é".repeat(5_000));
        let excerpt = Excerpt::of(&text);
        assert!(excerpt.text.lines().all(|line| line.len() <= LINE_MAX + 3));
        let at = |what: &str| {
            let start = text.find(what).unwrap();
            let (span, column) = excerpt.place(&(start..start + what.len()));
            (&excerpt.text[span], column)
        };
        assert_eq!((at("a = 1"), at("c = 2")), (("a = 1", None), ("c = 2", None)));
        assert_eq!(excerpt.place(&(9_000..9_001)).1, Some(4_500), "é takes two bytes");
        assert_eq!(Excerpt::of("a\nb").text, "a\nb");
        let many = "x\n".repeat(100);
        assert_eq!(Excerpt::of(&many).place(&(2..200)).0, 2..3, "of many lines the first");
    }

    proptest! {
        #[test]
        fn every_place_is_within_the_text(
            lines in prop::collection::vec("[aé]{0,3}", 0..40),
            from in 0..9_000usize,
            len in 0..9_000usize,
        ) {
            let text = lines.iter().map(|line| line.repeat(900)).collect::<Vec<_>>().join("\n");
            let excerpt = Excerpt::of(&text);
            let (span, _) = excerpt.place(&(from..from + len));
            prop_assert!(excerpt.text.get(span).is_some());
        }
    }
}
