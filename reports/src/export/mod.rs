//! Runs in the formats of other tools: a trace for Perfetto, a log for ShiViz, the timeline as an SVG file.
//!
//! Start at [`Format`]. Each exporter takes one record and returns one document. What the record lacks is left out,
//! never invented.

pub mod perfetto;
pub mod shiviz;

use crate::record::RunRecord;
use crate::svg;

/// A format that a run can be exported in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Chrome's trace events as JSON: Perfetto (ui.perfetto.dev) and `chrome://tracing` open it.
    Perfetto,
    /// A log with vector clocks for ShiViz, which draws which event could have known of which.
    Shiviz,
    /// The timeline as a picture of its own.
    Svg,
}

impl Format {
    /// The run as a document of this format.
    pub fn of(self, run: &RunRecord) -> String {
        match self {
            Format::Perfetto => perfetto::trace(run),
            Format::Shiviz => shiviz::log(run),
            Format::Svg => svg::standalone(run),
        }
    }
}
