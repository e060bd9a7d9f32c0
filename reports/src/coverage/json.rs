//! The grid as JSON, for other programs: first the counts, then every cell that a fault struck, then the empty cells.

use serde::Serialize;

use super::activation::ActiveKind;
use super::settings::SettingTried;
use super::{Cell, CellId, Coverage, Tally};
use crate::class::Class;
use crate::json::pretty;

#[derive(Serialize)]
struct Document<'a> {
    runs: u64,
    meaningful: u64,
    hit: u64,
    percent: f64,
    by_the_clock: u64,
    by_fault_kind: Vec<Part<'a>>,
    by_event: Vec<Part<'a>>,
    cells: Vec<CellDocument>,
    empty: Vec<CellDocument>,
    outside: Vec<CellDocument>,
    settings: Vec<SettingTried>,
    activation: Vec<ActiveKind<'a>>,
}

#[derive(Serialize)]
struct Part<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<&'a str>,
    meaningful: u64,
    hit: u64,
}

#[derive(Serialize)]
struct CellDocument {
    event: String,
    fault: String,
    role: String,
    hits: u64,
    runs: u64,
    verdict: Option<Class>,
}

/// Pretty JSON, ending with a line break.
pub fn to_string(coverage: &Coverage) -> String {
    let Tally { hit, meaningful } = coverage.tally();
    let document = Document {
        runs: coverage.runs(),
        meaningful,
        hit,
        percent: if meaningful == 0 { 0.0 } else { hit as f64 * 100.0 / meaningful as f64 },
        by_the_clock: coverage.by_the_clock(),
        by_fault_kind: coverage
            .kinds()
            .into_iter()
            .map(|kind| part(&kind.name, Some(&kind.family), coverage.of_kind(kind)))
            .collect(),
        by_event: coverage.events().map(|event| part(event, None, coverage.of_event(event))).collect(),
        cells: coverage
            .meaningful()
            .into_iter()
            .filter_map(|id| coverage.cells.get(&id).map(|cell| cell_document(&id, cell)))
            .collect(),
        empty: coverage
            .empty()
            .iter()
            .map(|id| cell_document(id, coverage.cells.get(id).unwrap_or(&Cell::default())))
            .collect(),
        outside: coverage.outside().map(|(id, cell)| cell_document(id, cell)).collect(),
        settings: coverage.settings().tried(),
        activation: coverage.activation(),
    };
    pretty(&document)
}

fn part<'a>(name: &'a str, family: Option<&'a str>, Tally { hit, meaningful }: Tally) -> Part<'a> {
    Part { name, family, meaningful, hit }
}

fn cell_document(id: &CellId, cell: &Cell) -> CellDocument {
    CellDocument {
        event: id.event.clone(),
        fault: id.fault.clone(),
        role: id.role.clone(),
        hits: cell.hits,
        runs: cell.verdicts.values().sum(),
        verdict: cell.verdict(),
    }
}
