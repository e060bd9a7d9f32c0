//! The JobManager process: runs the job and tells the launcher everything that happens.

use flowquake_engine::env::Env;
use flowquake_engine::graph::JobSpec;
use flowquake_engine::jobmanager::{self, JobResult};

use super::process::{Report, report};
use super::{FAILED, FINISHED};
use crate::jobs::Jobs;

/// Returns the exit code.
pub(super) async fn run(env: Env, job: JobSpec, jobs: &Jobs) -> u8 {
    let listening = |address: &flowquake_engine::env::Address| {
        report(&Report::Listening(address.0.parse().expect("a bound socket has a socket's address")));
    };
    match jobmanager::run(env, job, jobs.builder(), listening).await {
        Ok(JobResult::Finished) => {
            report(&Report::Finished);
            FINISHED
        }
        Ok(JobResult::Failed(cause)) => {
            report(&Report::Failed(cause));
            FAILED
        }
        Err(error) => {
            report(&Report::Failed(error.to_string()));
            FAILED
        }
    }
}
