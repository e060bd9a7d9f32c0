//! A source that emits the lines of a text file, once or several times over.

use std::sync::Arc;

use crate::env::Lines;
use crate::graph::source::Source;

/// Record `i` is line `i mod n` of the file.
pub struct LineSource {
    lines: Arc<Lines>,
    repeat: u32,
}

impl LineSource {
    /// Reads the file `repeat` times.
    pub fn new(lines: Arc<Lines>, repeat: u32) -> Self {
        Self { lines, repeat }
    }

    /// Record `index` as the file has it, `0..len()`.
    pub fn line(&self, index: u64) -> &str {
        self.lines.line(index % self.lines.len())
    }
}

impl Source for LineSource {
    type Out = String;

    fn len(&self) -> u64 {
        self.lines.len() * u64::from(self.repeat)
    }

    fn record(&self, index: u64) -> String {
        self.line(index).to_owned()
    }
}
