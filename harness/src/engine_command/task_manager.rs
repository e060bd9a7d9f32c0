//! The TaskManager process: offers its slots to the leading JobManager until it is stopped.

use flowquake_engine::env::Env;
use flowquake_engine::taskmanager::{self, TaskManagerConfig};

use super::{FAILED, FINISHED};
use crate::jobs::{Jobs, UserCode};

/// Returns the exit code; only if the TaskManager cannot work at all.
pub(super) async fn run(env: Env, config: TaskManagerConfig, jobs: &Jobs, user_code: &UserCode) -> u8 {
    // Whoever oversees user code knows the node.
    match taskmanager::run(env, config, jobs.builder_for("", user_code)).await {
        Ok(()) => FINISHED,
        Err(error) => {
            eprintln!("error: {error}");
            FAILED
        }
    }
}
