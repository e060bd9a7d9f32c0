//! Makes documents from run records. Pure: no engine, no clock, no network; the only I/O is writing the files that were
//! asked for.
//!
//! Start at [`record::RunRecord`], the data that every document is made from, then at [`folder::write_report_folder`],
//! which makes all of them. [`timing`] compares measured times with [`formulas`], [`distributions`] collects them over
//! many runs, [`curves`] shows them over the checkpoint period, [`gate`] compares them with a committed baseline, and
//! [`diff`] compares a failing run with a passing one. [`tables`] decides what is shown; [`terminal`], [`html`],
//! [`spacetime`] and [`svg`] decide how. [`export`] writes files for other tools,
//! [`comparison`] lays runs on several targets side by side. Two have data of their own:
//! [`tuning`] (which checkpoint interval to choose) and [`museum`] (which check finds which planted bug).

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
