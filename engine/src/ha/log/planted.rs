//! What planted bugs change in the leadership log. Compiled only under the feature `mutations`; a bug that is not
//! switched on changes nothing.

use super::Found;
use crate::env::Env;
use crate::mutation::Mutation;

/// [`Mutation::BelieveLogWrites`] and [`Mutation::IgnoreRivalEntries`]: what a writer takes the found object for.
pub(super) fn found(env: &Env, found: Found) -> Found {
    match found {
        Found::Nothing if env.mutated(Mutation::BelieveLogWrites) => Found::Mine,
        Found::Others if env.mutated(Mutation::IgnoreRivalEntries) => Found::Mine,
        found => found,
    }
}
