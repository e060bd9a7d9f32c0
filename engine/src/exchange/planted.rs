//! What planted bugs make of the exchange of records. Exists only under the feature `mutations`; a bug changes nothing unless it is
//! switched on.

use crate::env::Env;
use crate::mutation::Mutation;

/// [`Mutation::ForgetWakeup`]: whether a grant wakes the channel that has `starved`.
pub(super) fn wakes(env: &Env, starved: bool) -> bool {
    starved && !env.mutated(Mutation::ForgetWakeup)
}
