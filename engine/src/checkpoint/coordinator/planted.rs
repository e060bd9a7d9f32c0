//! What planted bugs read and change in a coordinator. Compiled only under the feature `mutations`.

use super::*;

impl Coordinator {
    /// Failures counted so far.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Sets the number of failures counted so far.
    pub(crate) fn count_failures(&mut self, failures: u32) {
        self.failures = failures;
    }

    /// Subtasks that have reached the end of their input.
    pub(crate) fn at_end(&self) -> BTreeSet<SubtaskId> {
        self.at_end.clone()
    }

    /// Marks subtasks as having reached the end of their input in this attempt.
    pub(crate) fn remember_end(&mut self, of: BTreeSet<SubtaskId>) {
        self.at_end.extend(of);
    }
}
