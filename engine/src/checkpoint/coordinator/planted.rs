//! What planted bugs know and change of a coordinator. Exists only under the feature `mutations`.

use super::*;

impl Coordinator {
    /// Failures counted so far.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// As if so many had been counted.
    pub(crate) fn count_failures(&mut self, failures: u32) {
        self.failures = failures;
    }

    /// Subtasks that have reached the end of their input.
    pub(crate) fn at_end(&self) -> BTreeSet<SubtaskId> {
        self.at_end.clone()
    }

    /// As if these had reached it in this attempt, too.
    pub(crate) fn remember_end(&mut self, of: BTreeSet<SubtaskId>) {
        self.at_end.extend(of);
    }
}
