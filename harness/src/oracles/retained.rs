//! O3: every retained checkpoint can be restored from, at every instant.
//!
//! Which file existed at which instant is known only while the run goes on, so this is judged write by write. The
//! statement stands where that is done, at [`RetainedFiles`](crate::outcome::RetainedFiles); this file has the entry.
//! Planted bug: `subsume-newest`.

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
