//! A tuning set with its analysis as one JSON file. What was measured can be read back and analysed again.
//!
//! Start at [`to_string`] and [`read`]. The analysis is in the file for scripts; this program computes it again when it
//! reads the file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::analysis::{Advice, Recommendation};
use super::findings::Findings;
use super::{TUNING_VERSION, TuningSet};
use crate::json::{ReadError, pretty, read_document};

/// The fields of the file, in order.
#[derive(Serialize)]
struct Document<'f> {
    tuning_version: u32,
    advice: &'f [Advice],
    recommendations: &'f [Recommendation],
    set: &'f TuningSet,
}

/// Pretty JSON, ending with a line break; times in seconds, sizes in bytes, shares as fractions.
pub fn to_string(findings: &Findings<'_>) -> String {
    let document = Document {
        tuning_version: findings.set.tuning_version,
        advice: &findings.advice,
        recommendations: &findings.recommendations,
        set: findings.set,
    };
    pretty(&document)
}

/// Reads the set in `file`.
pub fn read(file: &Path) -> Result<TuningSet, ReadError> {
    #[derive(Deserialize)]
    struct Kept {
        set: TuningSet,
    }
    read_document(file, "tuning set", "tuning", TUNING_VERSION).map(|Kept { set }| set)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tuning::fixtures;

    #[test]
    fn the_document_of_one_curve() {
        let mut set = fixtures::set();
        set.curves.drain(..7);
        set.curves[0].points.truncate(4);
        set.mtbf.truncate(1);
        insta::assert_snapshot!("document", to_string(&Findings::of(&set)));
    }

    #[test]
    fn what_was_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tuning.json");
        let set = fixtures::set();
        fs::write(&file, to_string(&Findings::of(&set))).unwrap();
        assert_eq!(read(&file).unwrap(), set);
    }

    #[test]
    fn other_versions_and_other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.json");
        assert!(matches!(read(&file), Err(ReadError::Unreadable { .. })));
        // Whatever else changed: only the version may be read.
        fs::write(&file, r#"{"tuning_version": 999, "set": "none"}"#).unwrap();
        let message = read(&file).unwrap_err().to_string();
        assert_eq!(message, format!("{} has tuning version 999, expected {TUNING_VERSION}", file.display()));
        fs::write(&file, r#"{"schema_version": 1}"#).unwrap();
        assert!(matches!(read(&file), Err(ReadError::Malformed { .. })));
    }
}
