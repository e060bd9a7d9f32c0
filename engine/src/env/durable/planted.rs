//! What planted bugs change in durable writes. Compiled only under the feature `mutations`; a bug that is not switched
//! on changes nothing.

use super::Answer;
use crate::env::{Env, StoreError};
use crate::mutation::Mutation;

/// [`Mutation::TrustWrites`]: acknowledged writes are not read back.
pub(super) fn verifies(env: &Env, verify: bool) -> bool {
    verify && !env.mutated(Mutation::TrustWrites)
}

/// [`Mutation::TrustWriteErrors`]: the error after which the write is taken to have had no effect.
pub(super) fn believed(env: &Env, answer: &Answer) -> Option<StoreError> {
    match answer {
        Answer::WriteFailed(error) if env.mutated(Mutation::TrustWriteErrors) => Some(error.clone()),
        _ => None,
    }
}
