//! What planted bugs change in the exchange of records. Compiled only under the feature `mutations`; a bug that is not
//! switched on changes nothing.

use crate::env::Env;
use crate::mutation::Mutation;

/// [`Mutation::ForgetWakeup`]: whether a grant wakes a channel that was waiting for credit (`starved`).
pub(super) fn wakes(env: &Env, starved: bool) -> bool {
    starved && !env.mutated(Mutation::ForgetWakeup)
}
