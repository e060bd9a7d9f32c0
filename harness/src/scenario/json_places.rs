//! Where each value of a JSON text stands, by its path (`faults[0].trigger.on.event`).
//!
//! `serde_json` tells no positions of values that it read without complaint, yet the rules complain about such values. So this
//! walks the text once more; it is no second parser: of a text that is not JSON it returns what it understood, silently.
//! Start at [`places`].

use std::collections::BTreeMap;

use super::error::Span;

/// `serde_json` refuses deeper texts, and recursion must end somewhere.
const DEPTH_MAX: usize = 128;

/// Path to place of every value in `text`; the outermost one has the empty path.
pub(super) fn places(text: &str) -> BTreeMap<String, Span> {
    let mut walk = Walk { text, at: 0, found: BTreeMap::new() };
    let _ = walk.value(String::new(), 0);
    walk.found
}

struct Walk<'t> {
    text: &'t str,
    at: usize,
    found: BTreeMap<String, Span>,
}

impl Walk<'_> {
    /// Walks over one value; `None` where the text is no JSON.
    fn value(&mut self, path: String, depth: usize) -> Option<()> {
        let start = self.next_token();
        match self.byte()? {
            _ if depth > DEPTH_MAX => return None,
            b'{' => self.members(b'}', |walk, _| {
                let key = walk.string()?;
                walk.expect(b':')?;
                let inner = if path.is_empty() { key } else { format!("{path}.{key}") };
                walk.value(inner, depth + 1)
            })?,
            b'[' => self.members(b']', |walk, n| walk.value(format!("{path}[{n}]"), depth + 1))?,
            b'"' => drop(self.string()?),
            _ => {
                let rest = &self.text[self.at..];
                let end = rest.find(|c: char| ",]}".contains(c) || c.is_ascii_whitespace()).unwrap_or(rest.len());
                if end == 0 {
                    return None;
                }
                self.at += end;
            }
        }
        self.found.insert(path, start..self.at);
        Some(())
    }

    /// Walks over the members of an object or a list, up to and with `close`.
    fn members(&mut self, close: u8, mut member: impl FnMut(&mut Self, usize) -> Option<()>) -> Option<()> {
        self.at += 1;
        self.next_token();
        for n in 0.. {
            if n == 0 && self.byte()? == close {
                break;
            }
            member(self, n)?;
            self.next_token();
            if self.byte()? == close {
                break;
            }
            self.expect(b',')?;
        }
        self.at += 1;
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        let start = self.next_token();
        self.expect(b'"')?;
        loop {
            match self.byte()? {
                b'"' => break,
                // Whatever is escaped is one byte at least; the walk goes on by bytes and stops at ASCII only.
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        serde_json::from_str(self.text.get(start..self.at)?).ok()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.next_token();
        (self.byte()? == byte).then(|| self.at += 1)
    }

    fn next_token(&mut self) -> usize {
        while self.byte().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
        self.at
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_value_has_a_path_and_a_place() {
        let text = r#"{ "a": [1, {"b\n": "x\"y"}], "c": {"d": null}, "e": [], "f": {} }"#;
        let found = places(text);
        let shown: Vec<String> =
            found.iter().map(|(path, span)| format!("{path} {}", &text[span.clone()])).skip(1).collect();
        assert_eq!(
            shown,
            [
                "a [1, {\"b\\n\": \"x\\\"y\"}]",
                "a[0] 1",
                "a[1] {\"b\\n\": \"x\\\"y\"}",
                "a[1].b\n \"x\\\"y\"",
                "c {\"d\": null}",
                "c.d null",
                "e []",
                "f {}"
            ]
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\[\\]{}\",:\\\\a1é \n]{0,64}") {
            for span in places(&text).into_values() {
                prop_assert!(text.get(span).is_some());
            }
        }
    }
}
