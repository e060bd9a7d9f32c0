//! What Flink's REST interface says of a job's checkpoints once its run is over: sizes that no line of its log names, and its own durations.
//!
//! Start at [`collect`]. [`accounts`] reads the answers and is pure; a test holds recorded answers of 2.2.1. Statistics explain a run and
//! decide nothing: where Flink does not answer, the record lacks them.
//!
//! The caches of the interface are turned off by `settings`: `rest.cache.checkpoint-statistics.timeout` would answer with the past, and
//! `web.checkpoints.history` would keep ten checkpoints.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use flowquake_engine::ids::{CheckpointId, SubtaskId, VertexId};
use serde_json::Value;

use super::rest::Rest;
use crate::outcome::{CheckpointAccount, SubtaskAccount};

/// How long a Flink may take to answer everything.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(20);
/// Checkpoints whose subtasks are asked for: the last ones. Each takes a request for each vertex.
const DETAILS_MAX: usize = 100;

/// Asks for everything. A Flink takes no step that nobody hears, so `hear` has to answer what it tells meanwhile, for as long as it is told.
pub(super) fn collect(rest: Rest, mut hear: impl FnMut(Duration)) -> BTreeMap<CheckpointId, CheckpointAccount> {
    let asking = std::thread::spawn(move || accounts(&|path| rest.get(path)));
    let begun = Instant::now();
    while !asking.is_finished() && begun.elapsed() < PATIENCE {
        hear(LOOK);
    }
    let answered = if asking.is_finished() {
        asking.join().unwrap_or_else(|_| Err("its reader panicked".into()))
    } else {
        Err(format!("no answer within {PATIENCE:?}"))
    };
    answered.unwrap_or_else(|why| {
        tracing::warn!("Flink's statistics of checkpoints are missing: {why}");
        BTreeMap::new()
    })
}

/// Reads what `get` answers of the only job of a cluster.
fn accounts(get: &dyn Fn(&str) -> Result<Value, String>) -> Result<BTreeMap<CheckpointId, CheckpointAccount>, String> {
    let jobs = get("/jobs")?;
    let job = jobs["jobs"][0]["id"].as_str().ok_or("it knows no job")?.to_owned();
    let vertices = get(&format!("/jobs/{job}"))?;
    // In the order of the graph, which is that of the numbers of vertices here.
    let vertices: Vec<String> =
        list(&vertices["vertices"]).iter().filter_map(|vertex| vertex["id"].as_str().map(str::to_owned)).collect();
    let statistics = get(&format!("/jobs/{job}/checkpoints"))?;
    let mut all: BTreeMap<CheckpointId, CheckpointAccount> =
        list(&statistics["history"]).iter().filter(|one| one["status"] == "COMPLETED").filter_map(checkpoint).collect();
    for (id, account) in all.iter_mut().rev().take(DETAILS_MAX) {
        for (number, vertex) in (0..).zip(&vertices) {
            let details = get(&format!("/jobs/{job}/checkpoints/details/{id}/subtasks/{vertex}"))?;
            let subtasks = list(&details["subtasks"]).iter().filter_map(|one| subtask(VertexId(number), one));
            account.subtasks.extend(subtasks);
        }
    }
    Ok(all)
}

fn checkpoint(one: &Value) -> Option<(CheckpointId, CheckpointAccount)> {
    let account = CheckpointAccount {
        duration: millis(&one["end_to_end_duration"])?,
        state_bytes: one["state_size"].as_u64()?,
        new_bytes: one["checkpointed_size"].as_u64()?,
        subtasks: BTreeMap::new(),
    };
    Some((CheckpointId(one["id"].as_u64()?), account))
}

fn subtask(vertex: VertexId, one: &Value) -> Option<(SubtaskId, SubtaskAccount)> {
    let index = u16::try_from(one["index"].as_u64()?).ok()?;
    let account = SubtaskAccount {
        state_bytes: one["state_size"].as_u64()?,
        sync: millis(&one["checkpoint"]["sync"])?,
        upload: millis(&one["checkpoint"]["async"])?,
        alignment: millis(&one["alignment"]["duration"])?,
        start_delay: millis(&one["start_delay"])?,
    };
    Some((SubtaskId { vertex, index }, account))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Flink writes −1 where it has measured nothing.
fn millis(value: &Value) -> Option<Duration> {
    Some(Duration::from_millis(u64::try_from(value.as_i64()?).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of a Flink 2.2.1 by their paths, taken while a job recovered from the death of a TaskManager.
    const RECORDED: &str = include_str!("recorded/2.2.1-rest.json");

    fn recorded(path: &str) -> Result<Value, String> {
        let all: BTreeMap<String, Value> = serde_json::from_str(RECORDED).unwrap();
        all.get(path).cloned().ok_or_else(|| format!("{path}: 404"))
    }

    #[test]
    fn recorded_answers_are_understood() {
        let all = accounts(&recorded).unwrap();
        // Checkpoint 7 failed, with the attempt.
        assert_eq!(all.keys().map(|id| id.0).collect::<Vec<_>>(), [1, 2, 9, 10, 11]);
        for account in all.values() {
            let subtasks: Vec<String> = account.subtasks.keys().map(SubtaskId::to_string).collect();
            assert_eq!(subtasks, ["0#0", "0#1", "1#0", "1#1"]);
            let sum: u64 = account.subtasks.values().map(|subtask| subtask.state_bytes).sum();
            assert_eq!(account.state_bytes, sum, "{account:?}");
            assert!(account.new_bytes <= account.state_bytes && account.state_bytes > 0);
            let parts = |of: fn(&SubtaskAccount) -> Duration| account.subtasks.values().map(of).max().unwrap();
            assert!(parts(|one| one.sync + one.upload) <= account.duration, "{account:?}");
        }
    }

    #[test]
    fn what_is_missing_is_told_and_a_strange_answer_is_no_statistic() {
        assert_eq!(accounts(&|_| Err("refused".into())), Err("refused".into()));
        assert_eq!(accounts(&|_| Ok(Value::Null)), Err("it knows no job".into()));
        let strange = |path: &str| match path {
            "/jobs" => recorded(path),
            path if path.ends_with("/checkpoints") => Ok(serde_json::json!({
                "history": [{"id": 1, "status": "COMPLETED"}, {"id": 2, "status": "FAILED"}, 7]
            })),
            _ => Ok(serde_json::json!({"vertices": "none"})),
        };
        assert_eq!(accounts(&strange), Ok(BTreeMap::new()));
        assert_eq!(millis(&serde_json::json!(-1)), Some(Duration::ZERO));
    }
}
