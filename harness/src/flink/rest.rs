//! Flink's REST interface, as far as a run needs it: slots that are offered, a job that is submitted, what it says of its end.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

/// The interface of one cluster.
pub(super) struct Rest {
    agent: Agent,
    base: String,
}

impl Rest {
    /// At this port of the loopback.
    pub(super) fn at(port: u16) -> Self {
        let config =
            Agent::config_builder().timeout_global(Some(Duration::from_secs(20))).http_status_as_error(false).build();
        Self { agent: config.into(), base: format!("http://127.0.0.1:{port}") }
    }

    /// What a path answers.
    pub(super) fn get(&self, path: &str) -> Result<Value, String> {
        let answer = self.agent.get(format!("{}{path}", self.base)).call();
        read(path, answer)
    }

    /// Slots that TaskManagers offer; `None`: nobody answers yet.
    pub(super) fn slots(&self) -> Option<u64> {
        self.get("/overview").ok()?.get("slots-total")?.as_u64()
    }

    /// Runs the archive of that name, which lies in the folder for uploads, and returns the id of the job.
    pub(super) fn run(&self, archive: &Path, entry: &str, arguments: &[String]) -> Result<String, String> {
        let name = archive.file_name().and_then(|name| name.to_str()).ok_or("the archive has no name")?;
        let path = format!("/jars/{name}/run");
        let body = json!({ "entryClass": entry, "programArgsList": arguments });
        let answer = self.agent.post(format!("{}{path}", self.base)).send_json(body);
        let answer = read(&path, answer)?;
        answer["jobid"].as_str().map(str::to_owned).ok_or_else(|| format!("{path} names no job: {answer}"))
    }
}

/// What an answer says, or why it says nothing.
fn read(path: &str, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, String> {
    let mut answer = answer.map_err(|error| format!("{path}: {error}"))?;
    let status = answer.status();
    let body: Value = answer.body_mut().read_json().map_err(|error| format!("{path}: {error}"))?;
    if status.is_success() {
        return Ok(body);
    }
    // Flink answers with the whole stack; the first line of the last cause is what helps.
    let text = body["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
    let cause = text
        .lines()
        .rfind(|line| line.contains("Caused by:"))
        .or_else(|| text.lines().next())
        .unwrap_or_default()
        .trim()
        .to_owned();
    Err(format!("{path}: {status}: {cause}"))
}
