//! What an oracle, or a check at every instant for an oracle, has found.

/// Most lines of evidence of one oracle; more would not help.
pub(crate) const EVIDENCE_MAX: usize = 8;

/// Something that must not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The oracle that found it.
    pub oracle: &'static str,
    /// What was found, naming the entity at fault; further lines explain it.
    pub evidence: String,
}

/// How much an oracle judged, and what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// How many things it judged.
    pub judged: u64,
    /// What it found.
    pub violations: Vec<Violation>,
}

impl Finding {
    /// Adds up what two parts of one oracle found.
    pub(crate) fn and(mut self, other: Finding) -> Finding {
        self.judged += other.judged;
        self.violations.extend(other.violations);
        self
    }
}
