//! Where each value of a JSON text stands, by its path (`faults[0].trigger.on.event`).
//!
//! `serde_json` gives no positions for values that it read without complaint, but the rules complain about such values.
//! So the text is walked once more. This is not a second parser: of a text that is not JSON it returns what it
//! understood, without an error. Start at [`Places::of`]. Each value is kept as a node of fixed size, in the order of
//! the text, because the paths of all values would take thousands of times the text's memory. A path is looked up from
//! the outermost value inwards.

use crate::reader::Span;

/// `serde_json` refuses deeper texts, and recursion must end somewhere.
const DEPTH_MAX: usize = 128;

/// The places of all values of a text.
pub(super) struct Places<'t> {
    text: &'t str,
    /// Every value comes before the values inside it.
    nodes: Vec<Node>,
}

#[derive(Clone, Copy)]
struct Node {
    /// Where it stands.
    start: u32,
    end: u32,
    /// Where its name stands, quotes included; empty in a list, and for the outermost value.
    name: (u32, u32),
    /// The first node after this one that is not inside it.
    next: u32,
}

impl Node {
    fn span(self) -> Span {
        self.start as usize..self.end as usize
    }
}

impl<'t> Places<'t> {
    /// The places of all values in `text`.
    pub(super) fn of(text: &'t str) -> Self {
        let mut walk = Walk { text, at: 0, nodes: Vec::new() };
        // No plan has 4 GiB. For a text that long, no places are known.
        if u32::try_from(text.len()).is_ok() {
            let _ = walk.value((0, 0), 0);
        }
        Self { text, nodes: walk.nodes }
    }

    /// Where the value at `path` stands; the outermost one has the empty path.
    pub(super) fn get(&self, path: &str) -> Option<Span> {
        self.nodes.first().and_then(|_| self.find(0, path)).map(Node::span)
    }

    /// The path and place of the innermost value around the byte at `offset`.
    pub(super) fn around(&self, offset: usize) -> Option<(String, Span)> {
        let within = |node: &Node| node.span().contains(&offset);
        let (mut at, mut path) = (0, String::new());
        let mut found = self.nodes.first().copied().filter(within)?;
        while let Some((n, inner)) = self.children(at).enumerate().find(|(_, inner)| within(&self.nodes[*inner])) {
            found = self.nodes[inner];
            match self.name(found) {
                Some(name) if path.is_empty() => path = name,
                Some(name) => path = format!("{path}.{name}"),
                None => path = format!("{path}[{n}]"),
            }
            at = inner;
        }
        Some((path, found.span()))
    }

    fn find(&self, at: usize, path: &str) -> Option<Node> {
        if path.is_empty() {
            return Some(self.nodes[at]);
        }
        if let Some(index) = path.strip_prefix('[') {
            let (index, rest) = index.split_once(']')?;
            let child = self.children(at).nth(index.parse().ok()?)?;
            return if self.nodes[child].name == (0, 0) { self.find(child, rest) } else { None };
        }
        let path = if at == 0 { path } else { path.strip_prefix('.')? };
        // A name may itself hold dots and brackets.
        let inner = |child: usize| {
            let rest = path.strip_prefix(self.name(self.nodes[child])?.as_str())?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then(|| self.find(child, rest))?
        };
        self.children(at).find_map(inner)
    }

    /// The nodes of the values that stand directly in that of node `at`.
    fn children(&self, at: usize) -> impl Iterator<Item = usize> {
        let end = self.nodes[at].next as usize;
        let next = move |before: &usize| Some(self.nodes[*before].next as usize).filter(|next| *next < end);
        std::iter::successors(Some(at + 1).filter(|first| *first < end), next)
    }

    fn name(&self, node: Node) -> Option<String> {
        let (start, end) = node.name;
        serde_json::from_str(self.text.get(start as usize..end as usize).filter(|name| !name.is_empty())?).ok()
    }
}

struct Walk<'t> {
    text: &'t str,
    at: usize,
    nodes: Vec<Node>,
}

impl Walk<'_> {
    /// Walks over one value with this name. `None` where the text is not JSON; the value's node then covers what was
    /// understood.
    fn value(&mut self, name: (u32, u32), depth: usize) -> Option<()> {
        let start = self.next_token();
        let index = self.nodes.len();
        self.nodes.push(Node { start: start as u32, end: start as u32, name, next: 0 });
        let walked = self.inside(depth);
        let (end, next) = (self.at.min(self.text.len()) as u32, self.nodes.len() as u32);
        let node = &mut self.nodes[index];
        (node.end, node.next) = (end, next);
        walked
    }

    fn inside(&mut self, depth: usize) -> Option<()> {
        match self.byte()? {
            _ if depth > DEPTH_MAX => return None,
            b'{' => self.members(b'}', |walk| {
                let name = walk.string()?;
                walk.expect(b':')?;
                walk.value(name, depth + 1)
            })?,
            b'[' => self.members(b']', |walk| walk.value((0, 0), depth + 1))?,
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
        Some(())
    }

    /// Walks over the members of an object or a list, including the closing `close`.
    fn members(&mut self, close: u8, mut member: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.at += 1;
        self.next_token();
        for n in 0.. {
            if n == 0 && self.byte()? == close {
                break;
            }
            member(self)?;
            self.next_token();
            if self.byte()? == close {
                break;
            }
            self.expect(b',')?;
        }
        self.at += 1;
        Some(())
    }

    /// Walks over a string and returns where it stands, quotes included.
    fn string(&mut self) -> Option<(u32, u32)> {
        let start = self.next_token();
        self.expect(b'"')?;
        loop {
            match self.byte()? {
                b'"' => break,
                // An escaped character has at least one byte. The walk goes on byte by byte and stops only at ASCII.
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        self.text.get(start..self.at).map(|_| (start as u32, self.at as u32))
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

    /// Every value by the path that leads to it.
    fn all(text: &str) -> Vec<String> {
        let places = Places::of(text);
        let around = |node: &Node| places.around(node.start as usize).map(|(path, _)| path);
        let paths = places.nodes.iter().skip(1).filter_map(around);
        paths.map(|path| format!("{path} {}", &text[places.get(&path).unwrap()])).collect()
    }

    #[test]
    fn every_value_has_a_path_and_a_place() {
        let text = r#"{ "a": [1, {"b\n": "x\"y"}], "c": {"d": null}, "e": [], "f": {} }"#;
        assert_eq!(
            all(text),
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
        let places = Places::of(text);
        assert_eq!(places.get(""), Some(0..text.len()));
        for missing in ["b", "a[2]", "a[x]", "a.d", "c[0]", "c.", "a[0"] {
            assert_eq!(places.get(missing), None, "{missing}");
        }
    }

    #[test]
    fn a_name_may_look_like_a_path() {
        let text = r#"{"a": {"b": 1}, "a.b": 2, "c.d": {"e[0]": 3}}"#;
        let places = Places::of(text);
        assert_eq!(places.get("a.b").map(|span| &text[span]), Some("1"), "the first one");
        assert_eq!(places.get("c.d.e[0]").map(|span| &text[span]), Some("3"));
    }

    #[test]
    fn memory_grows_with_the_text_and_not_with_its_paths() {
        // Two megabytes: a million values, a hundred levels deep, under a long name.
        let deep = format!("{}{}{}", "[".repeat(100), vec!["0"; 1_000_000].join(","), "]".repeat(100));
        let text = format!("{{\"{}\": {deep}}}", "n".repeat(5_000));
        let places = Places::of(&text);
        assert_eq!(places.nodes.len(), 1_000_101);
        assert!(size_of::<Node>() <= 20);
        let path = format!("{}{}[999999]", "n".repeat(5_000), "[0]".repeat(99));
        let span = places.get(&path).unwrap();
        assert_eq!(&text[span.clone()], "0");
        assert_eq!(places.around(span.start), Some((path, span)));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\[\\]{}\",:\\\\a1é \n]{0,64}") {
            let places = Places::of(&text);
            for node in &places.nodes {
                prop_assert!(text.get(node.span()).is_some() || !text.is_char_boundary(node.end as usize));
            }
            for offset in 0..text.len() {
                if let Some((path, span)) = places.around(offset) {
                    let _ = places.get(&path);
                    prop_assert!(span.contains(&offset));
                }
            }
        }
    }
}
