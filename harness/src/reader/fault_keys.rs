//! The keys of one fault, as the fault's kind reads them.

use std::time::Duration;

use super::{Parse, Reader, Table, node, value};
use crate::plan::NodeTarget;

/// The keys of one fault. Their values are recorded under the path of the fault's action.
pub(crate) struct FaultKeys<'r, 't, 'd> {
    pub(crate) reader: &'r mut Reader,
    pub(crate) table: &'t Table<'d>,
    /// Path of the action, such as `faults[0].action`.
    pub(crate) path: String,
}

impl FaultKeys<'_, '_, '_> {
    /// The plan path of something below the action.
    pub(crate) fn at(&self, below: &str) -> String {
        format!("{}.{below}", self.path)
    }

    /// Reads a key that may be left out; `below` is where its value ends up below the action.
    pub(crate) fn may<T>(&mut self, key: &str, below: &str, parse: Parse<T>) -> Option<T> {
        let path = self.at(below);
        self.reader.read(self.table, key, &path, parse)
    }

    /// Reads a key that is required.
    pub(crate) fn must<T>(&mut self, key: &str, below: &str, help: &str, parse: Parse<T>) -> Option<T> {
        let path = self.at(below);
        self.reader.required(self.table, key, &path, help, parse)
    }

    /// Reads the node that is struck.
    pub(crate) fn target(&mut self, below: &str) -> Option<NodeTarget> {
        self.must("target", below, node::HELP, node::node)
    }

    /// Reads how long the fault lasts.
    pub(crate) fn heal_after(&mut self, below: &str) -> Option<Duration> {
        self.may("heal_after", below, value::duration)
    }

    /// Records that the value of `key` also stands for another place below the action.
    pub(crate) fn also(&mut self, key: &str, below: &str) {
        if let Some(value) = self.table.get(key) {
            let path = self.at(below);
            self.reader.place(&path, value.span());
        }
    }

    /// Reads both ends of a single link, recorded at `from` and `to` of the action called `name`.
    pub(crate) fn link(&mut self, name: &str) -> Option<(NodeTarget, NodeTarget)> {
        let ends = self.must("link", &format!("{name}.from"), node::LINK_HELP, node::link);
        self.also("link", &format!("{name}.to"));
        ends
    }
}
