//! What planted bugs make of the file sink. Exists only under the feature `mutations`; a bug changes nothing unless it is
//! switched on.

use super::file_sink::is_commit;
use crate::env::{Env, Put};
use crate::mutation::Mutation;

/// [`Mutation::CommitAborted`]: whatever was decided before counts as `commit`.
pub(super) fn decision(env: &Env, put: Put) -> Put {
    match put {
        Put::Differs(found) if !is_commit(&found) && env.mutated(Mutation::CommitAborted) => Put::Written,
        put => put,
    }
}

/// [`Mutation::RemoveLaterLeftovers`]: the name below which pending chunks count as those of earlier attempts.
pub(super) fn own_chunks(env: &Env, mine: String) -> String {
    if env.mutated(Mutation::RemoveLaterLeftovers) { char::MAX.into() } else { mine }
}
