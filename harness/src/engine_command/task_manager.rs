//! The TaskManager process: offers its slots to the JobManager that leads until it is stopped.

use flowquake_engine::env::Env;
use flowquake_engine::taskmanager::{self, TaskManagerConfig};

use super::{FAILED, FINISHED};
use crate::jobs::Jobs;

/// Returns the exit code; only if the TaskManager cannot work at all.
pub(super) async fn run(env: Env, config: TaskManagerConfig, jobs: &Jobs) -> u8 {
    match taskmanager::run(env, config, jobs.builder()).await {
        Ok(()) => FINISHED,
        Err(error) => {
            eprintln!("error: {error}");
            FAILED
        }
    }
}
