//! Calls into the job's own code, which may return an error or panic. A panic there fails the task as an error does,
//! and neither the process nor its other tasks. Whatever the panic interrupted may be half done.
//!
//! Invariants: (U4) after the program's code has panicked, nothing of it is called again but its destructors.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::error::ProgramError;

/// The job's own code in one subtask.
#[derive(Debug, Default)]
pub(super) struct Program {
    panicked: bool,
}

impl Program {
    /// Calls the job's own code and turns a panic into an error.
    pub(super) fn call<T, E: Into<ProgramError>>(
        &mut self,
        call: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, ProgramError> {
        assert!(!self.panicked, "U4: the program is called after it panicked");
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(result) => result.map_err(Into::into),
            Err(panic) => {
                self.panicked = true;
                Err(ProgramError::panicked(&*panic))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::chain::ChainError;

    #[test]
    fn a_program_that_returned_an_error_may_be_called_again_and_one_that_panicked_may_not() {
        let mut program = Program::default();
        let refused = ChainError::user("no");
        assert_eq!(program.call(|| Err::<(), _>(refused.clone())), Err(refused.into()));
        assert_eq!(program.call(|| Ok::<_, ChainError>(7)), Ok(7));
        let panicked = program.call(|| -> Result<(), ChainError> { panic!("half done") });
        assert_eq!(panicked, Err(ProgramError::Panicked("half done".into())));
        let again = catch_unwind(AssertUnwindSafe(|| program.call(|| Ok::<_, ChainError>(8))));
        assert!(again.unwrap_err().downcast_ref::<&str>().is_some_and(|text| text.starts_with("U4")));
    }
}
