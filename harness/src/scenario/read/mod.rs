//! Reads the tables of a scenario file, and collects everything that is wrong instead of stopping at the first offence.
//!
//! Start at [`Reader::read`]: it takes one key of one [`Table`], and remembers under the key's *plan path* (where the value
//! ends up in the JSON of the `RunPlan`, such as `job.config.checkpoints.interval`) where it stood. So the rules, which only
//! see the plan, can be told with the place in the file.
//!
//! Invariants: (READ-R1) every key of every table is read, or reported as unknown; (READ-R2) a path whose value was refused is
//! tainted, so no rule complains about the stand-in value that took its place.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Problem, Span};
use super::suggest;

pub(super) mod expect;
pub(super) mod fault;
pub(super) mod forms;
pub(super) mod job;
pub(super) mod restart;
pub(super) mod settings;
pub(super) mod swarm;
pub(super) mod tune;
pub(super) mod value;

use value::{Parse, Refusal};

/// Every section with its keys: what each table accepts, and where a key belongs that stands in the wrong one.
pub(super) const SECTIONS: &[(&str, &[&str])] = &[
    (
        "the top level",
        &[
            "name",
            "why",
            "time_limit",
            "heal_at",
            "job",
            "cluster",
            "checkpointing",
            "engine",
            "fault",
            "swarm",
            "tune",
            "expect",
        ],
    ),
    ("[job]", &["name", "params", "input", "parallelism"]),
    ("input", &["file", "repeat", "generator", "records", "splits", "rate"]),
    (
        "[cluster]",
        &[
            "job_managers",
            "task_managers",
            "slots",
            "cores",
            "latency",
            "bandwidth",
            "send_buffer",
            "store_latency",
            "store_streams",
            "store_throughput",
            "store_read_throughput",
            "cost_profile",
            "record_weight",
            "state_weight",
        ],
    ),
    (
        "[checkpointing]",
        &[
            "interval",
            "min_pause",
            "schedule",
            "timeout",
            "retained",
            "tolerable_failed",
            "max_concurrent",
            "verify_uploads",
            "backend",
        ],
    ),
    (
        "[engine]",
        &[
            "heartbeat_interval",
            "heartbeat_timeout",
            "heartbeat_rpc_failure_threshold",
            "restart_strategy",
            "restart_delay",
            "restart_attempts",
            "max_failures_per_interval",
            "failure_rate_interval",
            "initial_backoff",
            "max_backoff",
            "backoff_multiplier",
            "reset_backoff_threshold",
            "jitter_factor",
            "attempts_before_reset_backoff",
            "slot_stabilization",
            "buffer_timeout",
            "buffer_size",
            "credits",
            "max_parallelism",
            "sink_flush_interval",
            "sink_chunk",
            "notify_retry",
            "connect_timeout",
            "lease",
            "rpc_timeout",
        ],
    ),
    (
        "[[fault]]",
        &[
            "on",
            "at",
            "every",
            "each",
            "delay",
            "repeat",
            "do",
            "target",
            "targets",
            "link",
            "restart_after",
            "resume_after",
            "heal_after",
            "disk",
            "factor",
            "times",
            "up",
            "down",
            "split",
            "position",
            "stores",
            "latency",
            "bandwidth",
            "message",
            "node",
            "count",
            "by",
            "rate",
            "age",
            "store",
            "file",
            "how",
        ],
    ),
    (
        "on",
        &["event", "checkpoint", "vertex", "subtask", "node", "attempt", "nth", "after_fault", "after", "not_before"],
    ),
    (
        "each",
        &["checkpoint", "vertex", "subtask", "node", "attempt", "nth", "after_fault", "after", "not_before", "apart"],
    ),
    ("file", &["checkpoint", "kind", "index"]),
    (
        "[tune]",
        &[
            "intervals",
            "states",
            "backends",
            "loads",
            "failures_every",
            "failures",
            "fault",
            "restart_after",
            "duration",
            "moving",
            "lateness_weight",
        ],
    ),
    ("[swarm]", &["faults", "kinds", "until", "heal_after", "nodes_down", "vary", "params"]),
    (
        "[expect]",
        &[
            "job",
            "output",
            "recovers_within",
            "failovers",
            "falls_back",
            "aborted_checkpoints_min",
            "checkpoint_duration_p50",
            "checkpoint_duration_p99",
            "checkpoint_duration_max",
            "outage_max",
            "recovery_max",
            "recovery_prediction",
        ],
    ),
];

/// One table of the file.
pub(super) struct Table<'d> {
    /// As [`SECTIONS`] calls it.
    pub(super) section: &'static str,
    /// Its header, or the whole of an inline table.
    pub(super) at: Span,
    /// Keys and values.
    pub(super) entries: &'d DeTable<'d>,
}

impl<'d> Table<'d> {
    /// The value under `key`.
    pub(super) fn get(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.entries.get(key)
    }

    /// Where the key itself stands.
    pub(super) fn key_span(&self, key: &str) -> Option<Span> {
        self.entries.get_key_value(key).map(|(key, _)| key.span())
    }
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Reader {
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// Plan path to place in the file.
    pub(super) spans: BTreeMap<String, Span>,
    /// Plan paths whose value was refused.
    pub(super) tainted: Vec<String>,
    /// Section and key of what unknown keys were probably meant to be: these count as refused, not as left out.
    misspelt: Vec<(&'static str, &'static str)>,
    /// Choices that the file left open, and how they were made.
    pub(super) options: Vec<(String, String)>,
}

impl Reader {
    /// Remembers where the value of `path` stands.
    pub(super) fn place(&mut self, path: &str, span: Span) {
        self.spans.insert(path.to_owned(), span);
    }

    /// Reports `problem`, and keeps the rules away from everything below `path`.
    pub(super) fn refuse(&mut self, path: &str, problem: Problem) {
        self.tainted.push(path.to_owned());
        self.problems.push(problem);
    }

    /// Takes `value` as the table `section`, and reports keys that it does not have.
    pub(super) fn table<'d>(
        &mut self,
        section: &'static str,
        value: &'d Spanned<DeValue<'d>>,
        path: &str,
    ) -> Option<Table<'d>> {
        self.place(path, value.span());
        let DeValue::Table(entries) = value.get_ref() else {
            let found = value::describe(value.get_ref());
            let problem = Problem::new("wrong-type", format!("{section} must be a table"), table_help(section));
            self.refuse(path, problem.at(value.span(), format!("this is {found}")));
            return None;
        };
        let table = Table { section, at: value.span(), entries };
        self.known_keys(&table);
        Some(table)
    }

    /// Reports the keys of `table` that its section does not have.
    pub(super) fn known_keys(&mut self, table: &Table) {
        let accepted = keys(table.section);
        for key in table.entries.keys().filter(|key| !accepted.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref().as_ref();
            let home = SECTIONS.iter().find(|(section, keys)| *section != table.section && keys.contains(&name));
            let guess = suggest::nearest(name, accepted);
            let help = match (guess, home) {
                (None, Some((section, _))) if *section == "the top level" => {
                    format!("`{name}` belongs to the top level: move it above the first [section]")
                }
                (None, Some((section, _))) => format!("`{name}` belongs to {section}: move it there"),
                _ => suggest::choose(name, accepted),
            };
            let guess = guess.filter(|_| suggest::absent(name).is_none());
            self.misspelt.extend(guess.map(|guess| (table.section, guess)));
            let message = format!("{} has no key `{name}`", table.section);
            self.problems.push(Problem::new("unknown-key", message, help).at(key.span(), "unknown key"));
        }
    }

    /// Reads `key`, if it is there and in order.
    pub(super) fn read<T>(&mut self, table: &Table, key: &str, path: &str, parse: Parse<T>) -> Option<T> {
        let Some(value) = table.get(key) else {
            if self.is_misspelt(table, key) {
                self.tainted.push(path.to_owned());
            }
            return None;
        };
        self.place(path, value.span());
        match parse(value.get_ref()) {
            Ok(read) => Some(read),
            Err(Refusal { code, message, label, help }) => {
                let problem = Problem::new(code, format!("`{key}` {message}"), help.replace("{key}", key));
                self.refuse(path, problem.at(value.span(), label));
                None
            }
        }
    }

    /// Reads `key`, which must be there; `help` says what to write.
    pub(super) fn required<T>(
        &mut self,
        table: &Table,
        key: &str,
        path: &str,
        help: &str,
        parse: Parse<T>,
    ) -> Option<T> {
        if table.get(key).is_none() {
            self.missing(table, &[key], path, help);
        }
        self.read(table, key, path, parse)
    }

    /// Reports that `table` lacks all of `keys`, of which it needs one; silent if one was misspelt and reported as that.
    pub(super) fn missing(&mut self, table: &Table, keys: &[&str], path: &str, help: &str) {
        if keys.iter().any(|key| self.is_misspelt(table, key)) {
            self.tainted.push(path.to_owned());
            return;
        }
        let keys = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" or ");
        let problem = Problem::new("missing-key", format!("{} lacks {keys}", table.section), help);
        self.refuse(path, problem.at(table.at.clone(), format!("{keys} is missing here")));
    }

    fn is_misspelt(&self, table: &Table, key: &str) -> bool {
        self.misspelt.contains(&(table.section, key))
    }

    /// Reads `key`, or takes `default` and notes that.
    pub(super) fn or_default<T>(
        &mut self,
        table: Option<&Table>,
        key: &str,
        path: &str,
        parse: Parse<T>,
        default: T,
        show: impl Fn(&T) -> String,
    ) -> T {
        match table.filter(|table| table.get(key).is_some() || self.is_misspelt(table, key)) {
            Some(table) => self.read(table, key, path, parse).unwrap_or(default),
            None => {
                self.options.push((key.to_owned(), format!("{} (default)", show(&default))));
                default
            }
        }
    }
}

/// The keys of a section.
pub(super) fn keys(section: &str) -> &'static [&'static str] {
    SECTIONS.iter().find(|(name, _)| *name == section).map_or(&[], |(_, keys)| keys)
}

/// How to write the table `section`.
fn table_help(section: &str) -> String {
    match section {
        "input" => "write input = { file = \"words.txt\" } or { generator = \"orders\", records = 1000 }".into(),
        "on" => "write on = { event = \"checkpoint-completed\", checkpoint = 3 }".into(),
        "each" => "write each = { attempt = 1 }, or each = {} for every kind of event".into(),
        "file" => "write file = { checkpoint = 3, kind = \"state\", index = 0 }".into(),
        section => format!("write {section} on a line of its own, and its keys below"),
    }
}
