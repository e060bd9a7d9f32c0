//! The distributions of a set as a section of the HTML report.
//!
//! Start at [`section`].

use maud::{Markup, html};

use super::tables;
use crate::page::titled;
use crate::record::RunSet;

/// A table over all runs; empty if nothing was measured.
pub fn section(set: &RunSet) -> Markup {
    let table = tables::table(&super::of(&set.runs));
    html! {
        @if !table.is_empty() {
            (titled("Distributions over all runs", tables::NOTE, &table))
            @if let Some(missing) = tables::missing(set) { p.dim { (missing) } }
        }
    }
}
