//! What planted bugs make of writing. Exists only under the feature `mutations`; a bug changes nothing unless it is switched on.

use super::Answer;
use crate::env::{Env, StoreError};
use crate::mutation::Mutation;

/// [`Mutation::TrustWrites`]: what was acknowledged is not read back.
pub(super) fn verifies(env: &Env, verify: bool) -> bool {
    verify && !env.mutated(Mutation::TrustWrites)
}

/// [`Mutation::TrustWriteErrors`]: the error after which nothing is taken to be written.
pub(super) fn believed(env: &Env, answer: &Answer) -> Option<StoreError> {
    match answer {
        Answer::WriteFailed(error) if env.mutated(Mutation::TrustWriteErrors) => Some(error.clone()),
        _ => None,
    }
}
