//! Roles of victims, as the catalogue of faults, records and coverage name them.

/// Role of a victim: the JobManager that leads.
pub const LEADER: &str = "leader";
/// Role of a victim: a JobManager that does not lead.
pub const STANDBY: &str = "standby";
/// Role of a victim: a TaskManager.
pub const TASK_MANAGER: &str = "task-manager";
/// Role of a victim: a link between a JobManager and a TaskManager.
pub const LEADER_LINK: &str = "leader-link";
/// Role of a victim: a link between TaskManagers.
pub const TASK_LINK: &str = "task-link";
/// Role of a victim: the durable store of checkpoints and of the job's facts.
pub const CHECKPOINT_STORE: &str = "checkpoint-store";
/// Role of a victim: the durable store of output.
pub const OUTPUT_STORE: &str = "output-store";
