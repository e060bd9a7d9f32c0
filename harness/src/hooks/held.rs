//! Answers that are held back: whoever waits for one stands still.

use super::Hooks;

/// Answers by the node that waits for them.
pub(crate) struct Held<A>(Vec<(String, A)>);

impl<A> Default for Held<A> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<A> Held<A> {
    /// The synchronous part of a snapshot begins: returns the answer if it may go on, and keeps it if it hangs.
    pub(crate) fn at_snapshot(&mut self, hooks: &Hooks, node: &str, answer: A) -> Option<A> {
        if !hooks.hangs(node) {
            return Some(answer);
        }
        hooks.note_hung(node);
        self.0.push((node.to_owned(), answer));
        None
    }

    /// Answers of those that hang no longer.
    pub(crate) fn released(&mut self, hooks: &Hooks) -> Vec<A> {
        self.0.extract_if(.., |(node, _)| !hooks.hangs(node)).map(|(_, answer)| answer).collect()
    }
}
