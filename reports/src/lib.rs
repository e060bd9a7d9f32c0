//! Run records in, documents out. Pure: no engine, no clock, no network; the only I/O is the writing of files asked for.
//!
//! Start at [`record::RunRecord`], the data every document is made from, then [`folder::write_report_folder`], which makes
//! them all. [`timing`] compares what was measured with [`formulas`], [`distributions`] gathers it over many runs, [`curves`]
//! lays it over the checkpoint period, [`gate`] judges it beside a committed baseline, [`diff`] holds a failing run against a
//! passing one; [`tables`] decides what is shown; [`terminal`], [`html`], [`spacetime`] and [`svg`] decide how. [`export`] makes
//! files for the tools of others, [`comparison`] lays runs on several targets side by side. [`tuning`] has data of its own: which checkpoint interval to choose; so has [`museum`]: which
//! planted bug is found by what.

pub mod ansi;
pub mod bounded;
pub mod capacity;
pub mod class;
pub mod comparison;
pub mod coverage;
pub mod curves;
pub mod diff;
pub mod distributions;
pub mod exhaust;
pub mod export;
pub mod folder;
pub mod formulas;
pub mod gate;
pub mod history;
pub mod html;
pub mod json;
pub mod junit;
pub mod museum;
pub mod percentile;
pub mod prediction;
pub mod probability;
pub mod record;
pub mod spacetime;
pub mod svg;
pub mod table;
pub mod tables;
pub mod terminal;
pub mod timeline;
pub mod timing;
pub mod tuning;
pub mod units;

mod graph;
pub mod markdown;
mod numbers;
mod page;

#[cfg(test)]
mod fixtures;
