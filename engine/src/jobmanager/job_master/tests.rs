//! Stories of one job, without a runtime.
