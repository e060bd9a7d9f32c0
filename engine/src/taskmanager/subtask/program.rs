//! Calls into the job's own code, which may return an error or panic.
//!
//! Invariants: (U4) after the program's code has panicked, nothing of it is called again but its destructors.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::error::ProgramError;

/// Calls into the program. A panic there fails the task as an error does, not the process and the other tasks in it; what it
/// interrupted may be half done, and is not used again.
pub(super) fn user_code<T, E: Into<ProgramError>>(call: impl FnOnce() -> Result<T, E>) -> Result<T, ProgramError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(Into::into),
        Err(panic) => Err(ProgramError::panicked(&*panic)),
    }
}
