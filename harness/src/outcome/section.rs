//! The sections of an outcome: parts that a target can either show completely or not at all.
//!
//! The simulator shows everything. A real cluster shows less: if only its final output is read, nothing is known about
//! when each part became visible. Every oracle and every measurement says which sections it needs.

use std::collections::BTreeSet;
use std::fmt;

use super::{Outcome, RetainedFiles};
use crate::trace::Trace;

/// A part of an [`Outcome`] that is known completely or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Every event, in order: [`Outcome::trace`].
    Trace,
    /// The leadership log: [`Outcome::log`], [`Outcome::torn_entries`], [`Outcome::log_offences`].
    Log,
    /// Manifests and state of completed checkpoints: [`Outcome::sealed`].
    Checkpoints,
    /// Every change of the durable stores at its instant: [`Outcome::retained_files`], [`Outcome::claims`],
    /// [`Outcome::decisions`], [`Outcome::overruled`], [`Outcome::sweep`], [`Outcome::orphans`], [`Outcome::files_left`].
    Stores,
    /// Committed output with the instant at which it became visible: [`Outcome::visible`], [`Outcome::retracted`].
    Output,
    /// Committed output as it was when the run was over and nothing changed any more: [`Outcome::visible`]. Where
    /// [`Section::Output`] is missing, only names and contents of the parts are known.
    FinalOutput,
    /// Copies of the stores from which the job can be restored: [`Outcome::copies`].
    Copies,
    /// What was in progress: [`Outcome::network`], [`Outcome::flow`].
    Flow,
}

impl Section {
    /// All of them.
    pub const ALL: [Section; 8] = [
        Section::Trace,
        Section::Log,
        Section::Checkpoints,
        Section::Stores,
        Section::Output,
        Section::FinalOutput,
        Section::Copies,
        Section::Flow,
    ];

    /// All of them, as a set.
    pub fn all() -> BTreeSet<Section> {
        Self::ALL.into_iter().collect()
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trace => "the events of the run",
            Self::Log => "the leadership log",
            Self::Checkpoints => "the contents of its checkpoints",
            Self::Stores => "the changes of its stores",
            Self::Output => "its output as it became visible",
            Self::FinalOutput => "its output",
            Self::Copies => "copies of its stores",
            Self::Flow => "what was under way",
        })
    }
}

impl Outcome {
    /// Removes every section that a target does not show.
    pub fn show_only(&mut self, shown: &BTreeSet<Section>) {
        Section::ALL.iter().filter(|section| !shown.contains(section)).for_each(|section| self.forget(*section));
    }

    /// Removes a section, as if the target could not show it.
    pub fn forget(&mut self, section: Section) {
        self.sections.remove(&section);
        let nothing = Outcome::nothing();
        match section {
            Section::Trace => self.trace = Trace::default(),
            Section::Log => {
                (self.log, self.torn_entries, self.log_offences) =
                    (nothing.log, nothing.torn_entries, nothing.log_offences);
            }
            Section::Checkpoints => self.sealed = nothing.sealed,
            Section::Stores => {
                self.retained_files = RetainedFiles::default();
                (self.claims, self.decisions, self.overruled) = (nothing.claims, nothing.decisions, nothing.overruled);
                (self.sweep, self.orphans, self.files_left) = (nothing.sweep, nothing.orphans, nothing.files_left);
            }
            // Both sections use the same list; a target that shows less gives no times in it.
            Section::Output | Section::FinalOutput => {
                let left = [Section::Output, Section::FinalOutput].map(|section| self.sections.contains(&section));
                if !left[0] {
                    self.retracted = nothing.retracted;
                }
                if left == [false; 2] {
                    self.visible = nothing.visible;
                }
            }
            Section::Copies => self.copies = nothing.copies,
            Section::Flow => (self.network, self.flow) = (nothing.network, nothing.flow),
        }
    }
}
