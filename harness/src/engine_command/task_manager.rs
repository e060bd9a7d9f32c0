//! The TaskManager process: offers its slots to the JobManager until it is stopped.

use std::time::Duration;

use flowquake_engine::env::{Address, Env};
use flowquake_engine::taskmanager::{self, TaskManagerConfig};

use super::{FAILED, FINISHED};
use crate::jobs::Jobs;

/// Pause between two attempts to reach a JobManager that does not answer.
const RETRY: Duration = Duration::from_millis(200);

/// Returns the exit code; only if the TaskManager cannot work at all.
pub(super) async fn run(env: Env, job_manager: Address, slots: u16, connect_timeout: Duration, jobs: &Jobs) -> u8 {
    let config = TaskManagerConfig { slots, job_managers: vec![job_manager], retry: RETRY, connect_timeout };
    match taskmanager::run(env, config, jobs.builder()).await {
        Ok(()) => FINISHED,
        Err(error) => {
            eprintln!("error: data port: {error}");
            FAILED
        }
    }
}
