//! O3: every retained checkpoint can be restored from, at every instant.
//!
//! Only while a run goes on is it known what was where, so this is watched write by write; the statement stands with whoever does
//! that, [`RetainedFiles`](crate::outcome::RetainedFiles). Here is its entry. Planted bug: `subsume-newest`.

use super::Oracle;
use crate::outcome::Section;

/// The entry of O3.
pub const ORACLE: Oracle = Oracle {
    id: "O3",
    property: "every file of every retained checkpoint is there as recorded",
    unit: "files",
    rank: 2,
    needs: &[Section::Stores],
    prefers: &[],
    judge: |case| case.outcome.retained_files.finding(),
};
