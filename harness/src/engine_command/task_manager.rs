//! The TaskManager process: offers its slots to the leading JobManager until it is stopped.

use flowquake_engine::env::Env;
use flowquake_engine::taskmanager::{self, TaskManagerConfig};

use super::{FAILED, FINISHED};
use crate::jobs::Jobs;

/// Returns the exit code; returns only if the TaskManager cannot work at all.
pub(super) async fn run(env: Env, config: TaskManagerConfig, jobs: &Jobs) -> u8 {
    match taskmanager::run(env, config, jobs.builder()).await {
        Ok(()) => FINISHED,
        Err(error) => {
            eprintln!("error: {error}");
            FAILED
        }
    }
}
