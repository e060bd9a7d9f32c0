//! What an oracle, or whoever looks for one at every instant, has found.

/// Evidence beyond this many lines of one oracle helps nobody.
pub(crate) const EVIDENCE_MAX: usize = 8;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which oracle found it.
    pub oracle: &'static str,
    /// What, naming the entity at fault; lines behind the first explain it.
    pub evidence: String,
}

/// What an oracle is and what it saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// How many things it judged.
    pub judged: u64,
    /// What it found.
    pub violations: Vec<Violation>,
}

impl Finding {
    /// What two parts of one oracle saw.
    pub(crate) fn and(mut self, other: Finding) -> Finding {
        self.judged += other.judged;
        self.violations.extend(other.violations);
        self
    }
}
