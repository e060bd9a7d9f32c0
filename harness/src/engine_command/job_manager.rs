//! A JobManager process: runs the job, as leader or standby, and reports everything that happens to the launcher.

use flowquake_engine::env::Env;
use flowquake_engine::graph::JobSpec;
use flowquake_engine::jobmanager::{self, JobResult, RunError};

use super::process::{Report, report};
use super::{FAILED, FINISHED};
use crate::jobs::Jobs;

/// Returns the exit code.
pub(super) async fn run(env: Env, job: JobSpec, jobs: &Jobs) -> u8 {
    match jobmanager::run(env, job, jobs.builder(), |_| report(&Report::Listening)).await {
        Ok(JobResult::Finished) => {
            report(&Report::Finished);
            FINISHED
        }
        Ok(JobResult::Failed(cause)) => {
            report(&Report::Failed(cause));
            FAILED
        }
        Err(RunError::Environment(error)) => {
            report(&Report::GaveUp(error.to_string()));
            FAILED
        }
        Err(error) => {
            report(&Report::Failed(error.to_string()));
            FAILED
        }
    }
}
