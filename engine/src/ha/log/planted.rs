//! What planted bugs make of the leadership log. Exists only under the feature `mutations`; a bug changes nothing unless it is
//! switched on.

use super::Found;
use crate::env::Env;
use crate::mutation::Mutation;

/// [`Mutation::BelieveLogWrites`] and [`Mutation::IgnoreRivalEntries`]: what a writer sees of what it finds.
pub(super) fn found(env: &Env, found: Found) -> Found {
    match found {
        Found::Nothing if env.mutated(Mutation::BelieveLogWrites) => Found::Mine,
        Found::Others if env.mutated(Mutation::IgnoreRivalEntries) => Found::Mine,
        found => found,
    }
}
