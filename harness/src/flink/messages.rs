//! What a Flink logs at each step of its protocol: data, one table for each minor version.
//!
//! Start at [`table`]. Flink offers no list of its steps, but it logs every one, and each line is told by the thread that takes the step
//! (`harness/java/flowquake/LogLine.java`). A row names the logger, the message with its fields in braces, and the [`Step`]. Messages
//! change between versions, so a run in which a step that every run has to show was never read is an error of this table, never silence
//! ([`ALWAYS`]); a recorded log of each version is read in the tests.

use regex::{Captures, Regex};

/// A step of Flink's protocol, as far as it is an event here or tells one from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    /// A TaskManager was registered.
    Registered,
    /// A TaskManager was given up.
    TaskManagerLost,
    /// The job went from one state to another.
    JobSwitched,
    /// A task went from one state to another, as the JobManager has it.
    ExecutionSwitched,
    /// A task went from one state to another, where it runs.
    TaskSwitched,
    /// The job is restored from a checkpoint.
    Restoring,
    /// A checkpoint was triggered.
    Triggered,
    /// A subtask puts the barrier into its outputs.
    BarrierSent,
    /// A barrier arrived.
    BarrierReceived,
    /// The last barrier arrived.
    Aligned,
    /// A snapshot begins.
    SyncBegun,
    /// The synchronous part of a snapshot ended.
    SyncEnded,
    /// The asynchronous part of a snapshot ended.
    AsyncEnded,
    /// The sink's output of the epoch is closed.
    PartClosed,
    /// A subtask acknowledged.
    Acknowledged,
    /// A checkpoint is complete.
    Completed,
    /// A subtask declined a checkpoint.
    Declined,
    /// A checkpoint was not complete in time.
    Expired,
    /// A checkpoint could not be triggered, or was given up.
    Failed,
    /// The news of a complete checkpoint arrived at a TaskManager.
    Confirmed,
    /// A subtask is told of it.
    Notified,
    /// The files of a checkpoint are being removed.
    Cleaned,
    /// The JobManager asks whether a TaskManager is alive.
    Heartbeat,
    /// The job's own code tells of its first record.
    FirstRecord,
    /// It has read all that had arrived.
    CaughtUp,
    /// A source's snapshot: the positions of its splits.
    Positions,
}

/// Steps that every run comes to; a run without one of them was not understood.
pub(super) const ALWAYS: [Step; 12] = [
    Step::JobSwitched,
    Step::TaskSwitched,
    Step::Triggered,
    Step::BarrierSent,
    Step::BarrierReceived,
    Step::Aligned,
    Step::SyncEnded,
    Step::AsyncEnded,
    Step::Acknowledged,
    Step::Completed,
    Step::Confirmed,
    Step::Notified,
];

/// Step, logger, message: text with fields in braces, each of which is named in [`FIELDS`]. What follows the message does not matter.
type Row = (Step, &'static str, &'static str);

/// What a field looks like. A task is a vertex, the number of the subtask from 1, and where it runs also how often it was deployed before.
const FIELDS: &[(&str, &str)] = &[
    ("task", r"(?P<vertex>.+) \((?P<index>\d+)/\d+\)(?:#(?P<execution>\d+))?"),
    ("id", r"(?P<id>[0-9a-f_]+)"),
    ("checkpoint", r"(?P<checkpoint>\d+)"),
    ("channel", r"(?P<channel>\d+)"),
    ("bytes", r"(?P<bytes>\d+)"),
    ("number", r"\d+"),
    ("from", r"(?P<from>[A-Z]+)"),
    ("to", r"(?P<to>[A-Z]+)"),
    ("node", r"(?P<node>\S+)"),
    ("any", r".*"),
    ("rest", r"(?P<rest>.*)"),
];

/// What the job's own code tells, in every version.
const USER: &[Row] = &[
    (Step::FirstRecord, "user", "first-record"),
    (Step::CaughtUp, "user", "caught-up"),
    (Step::Positions, "user", "snapshot {checkpoint}{rest}"),
];

const FLINK_2_2: &[Row] = &[
    (Step::Registered, "StandaloneResourceManager", "Registering TaskManager with ResourceID {node} ("),
    (Step::TaskManagerLost, "JobMaster", "TaskManager with id {node} is no longer reachable."),
    (Step::TaskManagerLost, "JobMaster", "Heartbeat of TaskManager with id {node} timed out."),
    (Step::TaskManagerLost, "StandaloneResourceManager", "Closing TaskExecutor connection {node} because: {rest}"),
    (Step::JobSwitched, "ExecutionGraph", "Job {any} ({id}) switched from state {from} to {to}.{rest}"),
    (Step::ExecutionSwitched, "ExecutionGraph", "{task} ({id}) switched from {from} to {to}{rest}"),
    (Step::TaskSwitched, "Task", "{task} ({id}) switched from {from} to {to}{rest}"),
    (Step::Restoring, "CheckpointCoordinator", "Restoring job {id} from Checkpoint {checkpoint} @"),
    (Step::Triggered, "CheckpointCoordinator", "Triggering checkpoint {checkpoint} (type=CheckpointType"),
    (Step::BarrierSent, "SubtaskCheckpointCoordinatorImpl", "Task {task} broadcastEvent at "),
    (
        Step::BarrierReceived,
        "SingleCheckpointBarrierHandler",
        "{task} ({id}): Received barrier from channel InputChannelInfo{gateIdx={number}, inputChannelIdx={channel}} @ {checkpoint}.",
    ),
    (
        Step::Aligned,
        "SingleCheckpointBarrierHandler",
        "{task} ({id}): Triggering checkpoint {checkpoint} on the barrier announcement",
    ),
    (Step::SyncBegun, "StreamTask", "Starting checkpoint {checkpoint} {any} on task {task}"),
    (
        Step::SyncEnded,
        "SubtaskCheckpointCoordinatorImpl",
        "{task} - finished synchronous part of checkpoint {checkpoint}.",
    ),
    (Step::AsyncEnded, "AsyncCheckpointRunnable", "{task} - finished asynchronous part of checkpoint {checkpoint}."),
    (Step::PartClosed, "FileWriterBucket", "Closing in-progress part file for bucket id={any} on checkpoint."),
    (
        Step::Acknowledged,
        "CheckpointCoordinator",
        "Received acknowledge message for checkpoint {checkpoint} from task {id} of job",
    ),
    (Step::Completed, "CheckpointCoordinator", "Completed checkpoint {checkpoint} for job {id} ({bytes} bytes,"),
    (Step::Declined, "CheckpointCoordinator", "Decline checkpoint {checkpoint} by task {id} of job"),
    (Step::Expired, "CheckpointCoordinator", "Checkpoint {checkpoint} of job {id} expired before completing."),
    (
        Step::Failed,
        "CheckpointFailureManager",
        "Failed to trigger or complete checkpoint {checkpoint} for job {id}.{rest}",
    ),
    (Step::Confirmed, "TaskExecutor", "Confirm completed checkpoint {checkpoint}@"),
    (Step::Notified, "StreamTask", "Notify checkpoint {checkpoint} complete on task {task}"),
    (Step::Cleaned, "CheckpointsCleaner", "Clean checkpoint {checkpoint} parallel-mode={any} shouldDiscard=true"),
    (Step::Heartbeat, "TaskExecutor", "Received heartbeat request from {id}."),
];

/// Minor versions whose messages are known.
pub(super) const VERSIONS: &[(&str, &[Row])] = &[("1.20", FLINK_2_2), ("2.2", FLINK_2_2), ("2.3", FLINK_2_2)];

/// The messages of a version, made ready to be matched; `None`: nobody has read its logs yet.
pub(super) fn table(minor: &str) -> Option<Vec<Pattern>> {
    let (_, rows) = VERSIONS.iter().find(|(version, _)| *version == minor)?;
    Some(rows.iter().chain(USER).map(Pattern::of).collect())
}

/// A row, ready to be matched.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) step: Step,
    pub(super) logger: &'static str,
    message: Regex,
}

impl Pattern {
    fn of((step, logger, message): &Row) -> Self {
        let mut pattern = String::from("^");
        let mut rest = *message;
        // Braces that name no field are text: `InputChannelInfo{gateIdx=`.
        while let Some(at) = rest.find('{') {
            let field = FIELDS
                .iter()
                .find(|(name, _)| rest[at + 1..].strip_prefix(name).is_some_and(|end| end.starts_with('}')));
            let end = at + field.map_or(1, |(name, _)| name.len() + 2);
            let literal = if field.is_some() { &rest[..at] } else { &rest[..end] };
            pattern.push_str(&regex::escape(literal));
            pattern.push_str(field.map_or("", |(_, looks)| looks));
            rest = &rest[end..];
        }
        pattern.push_str(&regex::escape(rest));
        let message = Regex::new(&pattern).expect("the tests make every pattern");
        Self { step: *step, logger, message }
    }

    /// The fields of a message of this kind.
    pub(super) fn fields<'a>(&self, message: &'a str) -> Option<Fields<'a>> {
        self.message.captures(message).map(Fields)
    }
}

/// Fields of a message by name.
pub(super) struct Fields<'a>(Captures<'a>);

impl<'a> Fields<'a> {
    /// The text of a field; empty where the message has none.
    pub(super) fn text(&self, name: &str) -> &'a str {
        self.0.name(name).map_or("", |found| found.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.0.name(name)?.as_str().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(step: Step, message: &str, what: impl Fn(Fields<'_>) -> T) -> Option<T> {
        let table = table("2.2").unwrap();
        table.iter().filter(|pattern| pattern.step == step).find_map(|pattern| pattern.fields(message)).map(what)
    }

    #[test]
    fn fields_are_read_whatever_a_vertex_is_called() {
        let message =
            "Completed checkpoint 3 for job a581 (11783 bytes, checkpointDuration=368 ms, finalizationTime=77 ms).";
        let fields = read(Step::Completed, message, |fields| (fields.number("checkpoint"), fields.number("bytes")));
        assert_eq!(fields, Some((Some(3), Some(11_783))));
        let message = "a (b) -> sink (2/2)#4 (18_1_0): Received barrier from channel InputChannelInfo{gateIdx=0, inputChannelIdx=1} @ 7.";
        let fields = read(Step::BarrierReceived, message, |fields| {
            let numbers = ["index", "execution", "channel", "checkpoint"].map(|name| fields.number(name).unwrap());
            (fields.text("vertex").to_owned(), numbers)
        });
        assert_eq!(fields, Some(("a (b) -> sink".into(), [2, 4, 1, 7])));
        let message = "a (b) (2/2) (18_1_0) switched from RUNNING to FAILED on tm-1 @ localhost (dataPort=3). [cause]";
        let fields = read(Step::ExecutionSwitched, message, |fields| {
            (fields.text("vertex").to_owned(), fields.text("to").to_owned(), fields.number("execution"))
        });
        assert_eq!(fields, Some(("a (b)".into(), "FAILED".into(), None)));
    }

    #[test]
    fn other_messages_are_not_read() {
        assert!(read(Step::Completed, "Completed checkpoint", |_| ()).is_none());
        assert!(read(Step::Cleaned, "Clean checkpoint 1 parallel-mode=true shouldDiscard=false", |_| ()).is_none());
        assert!(read(Step::Cleaned, "Clean checkpoint 1 parallel-mode=true shouldDiscard=true", |_| ()).is_some());
    }

    #[test]
    fn every_version_knows_what_every_run_shows() {
        for (version, _) in VERSIONS {
            let table = table(version).unwrap();
            for step in ALWAYS {
                assert!(table.iter().any(|pattern| pattern.step == step), "{version}: {step:?}");
            }
        }
    }
}
