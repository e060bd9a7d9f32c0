//! What the value of each key looks like. This gives the readers of this folder as data, for the JSON schema that
//! editors use.
//!
//! Start at [`form`], which has an entry for every key of [`SECTIONS`](super::SECTIONS). The keys of a kind of fault
//! come from the catalogue ([`of_param`]). A test gives reader and schema the same values, key by key, and both must
//! agree.

use flowquake_engine::config::{BackendKind, RestartStrategy, TriggerSchedule};

use super::{expect, tune};
use crate::faults::{FILE_KINDS, Family, Kind, Param, message_kinds};
use crate::reader::{node::ROLES, value::NODES_MAX};

/// The form of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scenario) enum Form {
    /// Text that is not empty.
    Text,
    /// Lower-case words joined by hyphens.
    KebabCase,
    /// `true` or `false`.
    Boolean,
    /// A whole number up to this.
    Whole(u64),
    /// A whole number from the first to the second.
    Between(u64, u64),
    /// A number above 0, at most this.
    Number(u64),
    /// One of these.
    Words(Vec<&'static str>),
    /// A registered job.
    Job,
    /// A generator of a registered job.
    Generator,
    /// An event of the protocol.
    Event,
    /// A node, by name or role.
    Node,
    /// Two ends; `sets`: each may be a set of nodes; `arrow`: a direction may be given.
    Link { sets: bool, arrow: bool },
    /// A duration with its unit.
    Duration,
    /// A duration or a range of them.
    DurationRange,
    /// A range of durations; a single duration for both ends is refused.
    Spread,
    /// A number of bytes.
    Size,
    /// Bytes per second.
    Bandwidth,
    /// A duration per second, of either sign.
    Drift,
    /// Records per second.
    Rate,
    /// A number of failovers, or `"unlimited"`.
    Attempts,
    /// `"< 5s"`.
    Below,
    /// A share of something, such as `"20%"`.
    Percent,
    /// `"within 5%"`.
    Within,
    /// How a job ends.
    JobEnd,
    /// Parameters of a job.
    Params,
    /// A number with three decimals at most, not negative.
    Factor,
    /// Parameters of a job, each with a list of values.
    Choices,
    /// A table of whole numbers, each by one of these words.
    Counts(Vec<&'static str>),
    /// The table of this section.
    Table(&'static str),
    /// A list with at least this many values of this form.
    List(usize, Box<Form>),
    /// Two values of this form.
    Pair(Box<Form>),
    /// One of several forms.
    Either(Vec<Form>),
}

/// The form of a key, and whether the key is required. `None`: the section has no such key, or its form depends on the
/// kind of fault.
pub(in crate::scenario) fn form(section: &str, key: &str) -> Option<(Form, bool)> {
    use Form::*;
    let u16 = || Whole(u16::MAX.into());
    let u32 = || Whole(u32::MAX.into());
    let u64 = || Whole(i64::MAX as u64);
    let backends = || BackendKind::ALL.iter().map(|kind| kind.name()).collect();
    let one_or_more = |form: Form| Either(vec![form.clone(), List(1, Box::new(form))]);
    let optional = |form| Some((form, false));
    let required = |form| Some((form, true));
    match (section, key) {
        ("the top level", "name") => required(KebabCase),
        ("the top level", "why") => required(Text),
        ("the top level", "time_limit" | "heal_at") => optional(Duration),
        ("the top level", "job") => required(Table("[job]")),
        ("the top level", "cluster") => optional(Table("[cluster]")),
        ("the top level", "checkpointing") => optional(Table("[checkpointing]")),
        ("the top level", "engine") => optional(Table("[engine]")),
        ("the top level", "fault") => optional(List(0, Box::new(Table("[[fault]]")))),
        ("the top level", "swarm") => optional(Table("[swarm]")),
        ("the top level", "tune") => optional(Table("[tune]")),
        ("the top level", "expect") => optional(Table("[expect]")),

        ("[job]", "name") => required(Job),
        ("[job]", "params") => optional(Params),
        ("[job]", "input") => required(Table("input")),
        ("[job]", "parallelism") => optional(u16()),
        ("input", "file") => optional(Text),
        ("input", "generator") => optional(Generator),
        ("input", "repeat" | "splits") => optional(u32()),
        ("input", "records") => optional(u64()),
        ("input", "rate") => optional(Rate),

        ("[cluster]", "job_managers" | "task_managers" | "slots" | "cores" | "store_streams") => {
            optional(Whole(NODES_MAX.into()))
        }
        ("[cluster]", "latency" | "store_latency") => optional(DurationRange),
        ("[cluster]", "bandwidth" | "store_throughput" | "store_read_throughput") => optional(Bandwidth),
        ("[cluster]", "send_buffer") => optional(Size),
        ("[cluster]", "cost_profile") => optional(Text),
        ("[cluster]", "record_weight" | "state_weight") => optional(u64()),

        ("[checkpointing]", "interval" | "min_pause" | "timeout") => optional(Duration),
        ("[checkpointing]", "schedule") => {
            optional(Words(TriggerSchedule::ALL.iter().map(|kind| kind.name()).collect()))
        }
        ("[checkpointing]", "retained" | "tolerable_failed" | "max_concurrent") => optional(u32()),
        ("[checkpointing]", "verify_uploads") => optional(Boolean),
        ("[checkpointing]", "backend") => optional(Words(backends())),

        ("[engine]", "heartbeat_interval" | "heartbeat_timeout" | "restart_delay" | "slot_stabilization") => {
            optional(Duration)
        }
        ("[engine]", "buffer_timeout" | "sink_flush_interval" | "notify_retry" | "connect_timeout") => {
            optional(Duration)
        }
        ("[engine]", "lease" | "rpc_timeout") => optional(Duration),
        ("[engine]", "restart_strategy") => optional(Words(RestartStrategy::NAMES.to_vec())),
        ("[engine]", "max_failures_per_interval") => optional(u32()),
        ("[engine]", "failure_rate_interval" | "initial_backoff" | "max_backoff" | "reset_backoff_threshold") => {
            optional(Duration)
        }
        ("[engine]", "backoff_multiplier" | "jitter_factor") => optional(Factor),
        ("[engine]", "attempts_before_reset_backoff") => optional(Attempts),
        ("[engine]", "heartbeat_rpc_failure_threshold") => optional(u32()),
        ("[engine]", "restart_attempts") => optional(Attempts),
        ("[engine]", "buffer_size" | "sink_chunk") => optional(Size),
        ("[engine]", "credits" | "max_parallelism") => optional(u16()),

        ("[[fault]]", "at" | "every" | "delay") => optional(Duration),
        ("[[fault]]", "on") => optional(Table("on")),
        ("[[fault]]", "each") => optional(Table("each")),
        ("[[fault]]", "repeat") => optional(u32()),
        ("[[fault]]", "do") => required(Words(Kind::ALL.iter().map(|kind| kind.name()).collect())),
        ("on", "event") => required(Event),
        ("on" | "each", "checkpoint") => optional(u64()),
        ("on" | "each", "vertex" | "subtask") => optional(u16()),
        ("on" | "each", "node") => optional(Node),
        ("on" | "each", "attempt" | "nth" | "after_fault") => optional(u32()),
        ("on" | "each", "after") => optional(Event),
        ("on" | "each", "not_before") => optional(Duration),
        ("each", "apart") => optional(Duration),
        ("file", "checkpoint") => optional(u64()),
        ("file", "kind") => optional(Words(FILE_KINDS.to_vec())),
        ("file", "index") => optional(u32()),

        ("[swarm]", "faults") => optional(Either(vec![u32(), Pair(Box::new(u32()))])),
        ("[swarm]", "kinds") => {
            let families = Family::ALL.iter().map(|family| family.name());
            let names = families.chain(Kind::ALL.iter().map(|kind| kind.name())).collect();
            optional(List(0, Box::new(Words(names))))
        }
        ("[swarm]", "until") => required(Duration),
        ("[swarm]", "heal_after") => optional(DurationRange),
        ("[swarm]", "nodes_down") => optional(u32()),
        ("[swarm]", "records") => optional(Pair(Box::new(u64()))),
        ("[swarm]", "vary") => optional(Boolean),
        ("[swarm]", "params") => optional(Choices),
        ("[swarm]", "min_hurt") => optional(Counts(Kind::ALL.iter().map(|kind| kind.name()).collect())),

        ("[tune]", "intervals") => optional(Either(vec![Spread, List(3, Box::new(Duration))])),
        ("[tune]", "states") => optional(one_or_more(Size)),
        ("[tune]", "backends") => optional(one_or_more(Words(backends()))),
        ("[tune]", "loads") => optional(one_or_more(Number(1))),
        ("[tune]", "failures_every") => optional(one_or_more(Duration)),
        ("[tune]", "failures") => optional(Between(1, 1_000)),
        ("[tune]", "fault") => optional(Words(tune::FAULTS.to_vec())),
        ("[tune]", "restart_after" | "duration") => optional(Duration),
        ("[tune]", "moving") => optional(Rate),
        ("[tune]", "lateness_weight") => optional(Number(1_000_000_000)),

        ("[expect]", "job") => optional(JobEnd),
        ("[expect]", "output") => optional(Words(expect::OUTPUTS.to_vec())),
        ("[expect]", "recovers_within") => optional(Duration),
        ("[expect]", "failovers" | "aborted_checkpoints_min") => optional(u32()),
        ("[expect]", "falls_back") => optional(Boolean),
        ("[expect]", "checkpoint_duration_p50" | "checkpoint_duration_p99" | "checkpoint_duration_max") => {
            optional(Below)
        }
        ("[expect]", "outage_max" | "recovery_max" | "lateness_max") => optional(Below),
        ("[expect]", "backpressure_min") => optional(Percent),
        ("[expect]", "recovery_prediction") => optional(Within),
        _ => None,
    }
}

/// The form of a key of a kind of fault, from the catalogue.
pub(in crate::scenario) fn of_param(param: &Param) -> Option<Form> {
    Some(match param.form {
        "node" => Form::Node,
        "[nodes]" => Form::List(0, Box::new(Form::Node)),
        "duration" => Form::Duration,
        "duration range" => Form::DurationRange,
        "number" => Form::Whole(if param.name == "position" { i64::MAX as u64 } else { u32::MAX.into() }),
        "bandwidth" => Form::Bandwidth,
        "kind" => Form::Words(message_kinds()),
        "table" => Form::Table("file"),
        "true|false" => Form::Boolean,
        "\"50ms/s\" or \"-50ms/s\"" => Form::Drift,
        link if link.starts_with("\"tm-") => Form::Link { sets: link.contains(','), arrow: link.contains("->") },
        words if words.contains('|') => Form::Words(words.split('|').collect()),
        _ => return None,
    })
}

/// Roles that can be written in place of a node's name.
pub(in crate::scenario) fn roles() -> Vec<&'static str> {
    ROLES.iter().map(|(name, _)| *name).collect()
}
