//! The report folder: every document of one set of runs, side by side.
//!
//! Start at [`write_report_folder`].

use std::io;
use std::path::{Path, PathBuf};

use crate::ansi::Color;
use crate::comparison::Comparison;
use crate::json::{to_string, write_atomically};
use crate::probability::FailureCurve;
use crate::record::{RunSet, Verdict};
use crate::{distributions, html, terminal};

/// Where runs on several targets are written, side by side.
pub const COMPARISON: &str = "comparison.json";

/// Writes `runs.json`, `distributions.json`, `report.html` and `verdicts.txt` into `folder`, creating it, and
/// [`COMPARISON`] if the runs ran on several targets; returns their paths in that order.
///
/// Each file appears as a whole or not at all. The data is written first, so that a full disk loses only what can be
/// made again. `curves` are drawn in the page, each with its run. Files with other names are left alone. `verdicts.txt`
/// has the verdict table, and explains each run that did not pass.
pub fn write_report_folder(folder: &Path, set: &RunSet, curves: &[FailureCurve]) -> io::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)?;
    let mut documents = vec![
        ("runs.json", to_string(set)),
        ("distributions.json", distributions::json::to_string(set)),
        ("report.html", html::report_with(set, curves)),
        ("verdicts.txt", verdicts(set)),
    ];
    match Comparison::of(set) {
        Some(comparison) => documents.push((COMPARISON, comparison.to_json())),
        // That of other runs would be taken for that of these.
        None => match std::fs::remove_file(folder.join(COMPARISON)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        },
    }
    let mut files = Vec::with_capacity(documents.len());
    for (name, text) in documents {
        let file = folder.join(name);
        write_atomically(&file, text.as_bytes())?;
        files.push(file);
    }
    Ok(files)
}

fn verdicts(set: &RunSet) -> String {
    let mut text = terminal::verdicts(set, Color::No);
    for run in set.runs.iter().filter(|run| run.verdict != Verdict::Passed) {
        text.push('\n');
        text.push_str(&terminal::failure(run, Color::No));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixtures, json};

    #[test]
    fn a_folder_holds_data_page_and_verdicts_and_can_be_written_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("reports/today");
        for _ in 0..2 {
            let files = write_report_folder(&folder, &fixtures::set(), &[]).unwrap();
            let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
            assert_eq!(names, ["runs.json", "distributions.json", "report.html", "verdicts.txt"]);
            assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 4);
        }
        assert_eq!(json::read(&folder.join("runs.json")).unwrap(), fixtures::set());
        let verdicts = std::fs::read_to_string(folder.join("verdicts.txt")).unwrap();
        assert!(verdicts.contains("--seed 7\n"), "the failure is explained with its replay command");
    }

    #[test]
    fn a_comparison_is_there_for_several_targets_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(COMPARISON);
        let set = crate::comparison::tests::set();
        assert!(write_report_folder(folder.path(), &set, &[]).unwrap().contains(&file));
        let text = std::fs::read_to_string(folder.path().join("verdicts.txt")).unwrap();
        assert!(text.contains("Where the protocol goes another way"), "{text}");
        write_report_folder(folder.path(), &fixtures::set(), &[]).unwrap();
        assert!(!file.exists(), "that of other runs is gone");
    }
}
