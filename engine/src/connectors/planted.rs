//! What planted bugs change in the file sink. Compiled only under the feature `mutations`; a bug that is not switched
//! on changes nothing.

use super::file_sink::is_commit;
use crate::env::{Env, Put};
use crate::mutation::Mutation;

/// [`Mutation::CommitAborted`]: any earlier decision counts as `commit`.
pub(super) fn decision(env: &Env, put: Put) -> Put {
    match put {
        Put::Differs(found) if !is_commit(&found) && env.mutated(Mutation::CommitAborted) => Put::Written,
        put => put,
    }
}

/// [`Mutation::RemoveLaterLeftovers`]: the path below which pending chunks count as left over from earlier attempts.
pub(super) fn own_chunks(env: &Env, mine: String) -> String {
    if env.mutated(Mutation::RemoveLaterLeftovers) { char::MAX.into() } else { mine }
}
