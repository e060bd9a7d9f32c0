//! Rules for triggers: each must be able to happen, and its filters able to match.

use std::time::Duration;

use flowquake_engine::event::{Carried, Event};

use crate::checker::{self, Emitter, Finding, Rules};
use crate::plan::{EventTrigger, Trigger};
use crate::reader::suggest;
use crate::units;

/// Most strikes of one fault.
const STRIKES_MAX: u64 = 100_000;

impl Rules<'_> {
    pub(super) fn trigger(&mut self) {
        let fault = self.fault;
        if fault.repeat == 0 {
            let help = "write 1 to strike once; in a scenario it may be left out";
            let finding = Finding::new("counts-from-one", "`repeat` cannot be 0", help);
            self.push(finding.at(format!("{}.repeat", self.path), "counts from 1"));
        }
        match &fault.trigger {
            Trigger::At(at) => {
                self.strikes_once("a time comes once", "write every = \"1s\" beside `at`, or leave `repeat` out");
                self.within_limit(*at, "trigger.at");
            }
            Trigger::Every { first, period } => {
                let last = period.saturating_mul(fault.repeat.saturating_sub(1)).saturating_add(*first);
                self.within_limit(last, "trigger.every.first");
            }
            Trigger::On(on) => self.event_trigger(on, format!("{}.on", self.trigger_path())),
            Trigger::Each(each) => {
                let why = "it strikes at every kind of event, once at each";
                self.strikes_once(why, "leave `repeat` out");
                let path = format!("{}.each", self.trigger_path());
                if !each.event.is_empty() {
                    let message = "`each` strikes at every kind of event, but one is named";
                    let help = "remove the event, or write `on` in place of `each`";
                    self.push(
                        Finding::new("never-matches", message, help).at(format!("{path}.event"), "must be empty"),
                    );
                }
                self.filters(each, &path);
            }
        }
    }

    /// Every strike is recorded with what it hit. This many already fill a report; more would fill the memory.
    pub(super) fn strikes(&mut self) {
        let repeat = self.fault.repeat;
        let all = u64::from(repeat) * u64::from(self.rounds.map_or(1, |(times, _)| times));
        if all <= STRIKES_MAX {
            return;
        }
        let help = format!("let it strike {STRIKES_MAX} times at most");
        let finding = Finding::new("too-many-strikes", format!("the fault would strike {all} times"), help);
        let (repeated, looped) = (format!("{}.repeat", self.path), self.rounds.map(|(_, below)| self.at(below)));
        self.push(match looped {
            Some(looped) if repeat > 1 => finding.at(looped, "so often at each strike").at(repeated, "so many strikes"),
            Some(looped) => finding.at(looped, "too often"),
            None => finding.at(repeated, "too often"),
        });
    }

    fn strikes_once(&mut self, why: &str, help: &str) {
        if self.fault.repeat > 1 {
            let message = format!("`repeat` is {}, but {why}", self.fault.repeat);
            let finding = Finding::new("bad-repeat", message, help).at(format!("{}.repeat", self.path), "not possible");
            self.push(finding.given(self.trigger_path()));
        }
    }

    /// The last strike by the clock must come before the run is stopped.
    fn within_limit(&mut self, last: Duration, path: &str) {
        let last = last.saturating_add(self.fault.delay);
        if last < self.plan.time_limit {
            return;
        }
        let (at, limit) = (units::format_duration(last), units::format_duration(self.plan.time_limit));
        let which = if self.fault.repeat > 1 { "for the last time " } else { "" };
        let message = format!("the fault strikes {which}at {at}, but the run is stopped at {limit}");
        let help = "let it strike earlier, or raise `time_limit`";
        let finding = Finding::new("never-strikes", message, help).at(format!("{}.{path}", self.path), "after the end");
        let finding = finding.given(format!("{}.delay", self.path)).given(format!("{}.repeat", self.path));
        // If the scenario sets no limit, its input decides when the run ends.
        self.push(finding.at("time_limit", "the end").given(self.trigger_path()).given("job.input"));
    }

    fn event_trigger(&mut self, on: &EventTrigger, path: String) {
        match Event::CATALOGUE.iter().any(|(name, _)| *name == on.event) {
            true => {
                self.carried_fields(on, &path);
                self.emitted(&on.event, format!("{path}.event"));
                self.emitted_there(on, &path);
            }
            false => self.push(unknown_event(&on.event, format!("{path}.event"))),
        }
        self.filters(on, &path);
    }

    /// Rules for the filters of any trigger.
    fn filters(&mut self, on: &EventTrigger, path: &str) {
        let from_one = [
            ("checkpoint", on.checkpoint == Some(0), "checkpoints are numbered from 1"),
            (
                "attempt",
                on.attempt == Some(0),
                "attempts are numbered from 1; the first one runs until the first failover",
            ),
            ("nth", on.nth == 0, "write 1 for the first match, 2 for the second; in a scenario it may be left out"),
        ];
        for (field, _, help) in from_one.into_iter().filter(|(_, zero, _)| *zero) {
            let finding = Finding::new("counts-from-one", format!("`{field}` cannot be 0"), help);
            self.push(finding.at(format!("{path}.{field}"), "counts from 1"));
        }
        let job = &self.plan.job.name;
        if let (Some(vertex), Some(entry)) = (on.vertex, self.entry)
            && vertex >= entry.vertices
        {
            let message = format!("job `{job}` has no vertex {vertex}");
            let help = match entry.vertices {
                1 => "its only vertex is 0".to_owned(),
                n => format!("its {n} vertices are numbered from 0 (the sources) to {}", n.saturating_sub(1)),
            };
            let finding = Finding::new("no-such-vertex", message, help).at(format!("{path}.vertex"), "no such vertex");
            self.push(finding.given("job.name"));
        }
        let parallelism = self.plan.job.config.parallelism;
        if let Some(subtask) = on.subtask.filter(|subtask| *subtask >= parallelism) {
            let message = format!("there is no subtask {subtask} at parallelism {parallelism}");
            let help = format!("subtasks are numbered from 0 to {}", parallelism.saturating_sub(1));
            let finding =
                Finding::new("no-such-subtask", message, help).at(format!("{path}.subtask"), "no such subtask");
            self.push(finding.given("job.config.parallelism"));
        }
        if let Some(node) = &on.node {
            self.node_exists(node, format!("{path}.node"));
        }
        if let Some(after) = on.after_fault {
            self.after_fault(after, format!("{path}.after_fault"));
        }
        if let Some(after) = &on.after {
            let path = format!("{path}.after");
            match Event::CATALOGUE.iter().any(|(name, _)| name == after) {
                true => self.emitted(after, path),
                false => self.push(unknown_event(after, path)),
            }
        }
        if let Some(from) = on.not_before {
            self.not_before(from, format!("{path}.not_before"));
        }
        if let Some(pause) = on.apart.filter(|pause| *pause >= self.plan.time_limit) {
            let (pause, limit) = (units::format_duration(pause), units::format_duration(self.plan.time_limit));
            let message =
                format!("the second strike would come {pause} after the first, but the run is stopped at {limit}");
            let finding = Finding::new("never-strikes", message, "let strikes be nearer, or raise `time_limit`");
            self.push(
                finding.at(format!("{path}.apart"), "after the end").at("time_limit", "the end").given("job.input"),
            );
        }
    }

    /// The first match must come before the run is stopped.
    fn not_before(&mut self, from: Duration, path: String) {
        if from < self.plan.time_limit {
            return;
        }
        let (at, limit) = (units::format_duration(from), units::format_duration(self.plan.time_limit));
        let message = format!("no match counts before {at}, but the run is stopped at {limit}");
        let help = "let matches count earlier, or raise `time_limit`";
        let finding = Finding::new("never-strikes", message, help).at(path, "after the end");
        self.push(finding.at("time_limit", "the end").given("job.input"));
    }

    /// Refuses filters on fields that the event does not carry: they would never match.
    fn carried_fields(&mut self, on: &EventTrigger, path: &str) {
        let Some(row) = Event::row(&on.event) else { return };
        let filters = [
            ("checkpoint", on.checkpoint.is_some(), row.checkpoint != Carried::Never),
            ("vertex", on.vertex.is_some(), row.subtask != Carried::Never),
            ("subtask", on.subtask.is_some(), row.subtask != Carried::Never),
            ("attempt", on.attempt.is_some(), row.attempt != Carried::Never),
        ];
        let carried: Vec<&str> = filters.iter().filter(|(_, _, has)| *has).map(|(field, _, _)| *field).collect();
        for (field, _, _) in filters.iter().filter(|(_, asked, has)| *asked && !*has) {
            let message = format!("event `{}` belongs to no {field}, so this trigger would never match", on.event);
            let help = match carried.as_slice() {
                [] => format!("remove `{field}`; this event can be told apart by `node` and `nth` only"),
                carried => {
                    format!("remove `{field}`; besides `node` and `nth` this event takes {}", suggest::quoted(carried))
                }
            };
            let finding =
                Finding::new("never-matches", message, help).at(format!("{path}.{field}"), "not part of this event");
            self.push(finding.given(format!("{path}.event")));
        }
    }

    /// The job must be able to emit the event.
    fn emitted(&mut self, event: &str, path: String) {
        if let Some((why, given)) = checker::never_emitted(event, self.plan, self.entry) {
            let message = format!("event `{event}` never comes: {why}");
            let help = "choose another event; `flowquake list events` shows them all";
            self.push(Finding::new("never-emitted", message, help).at(path, "never emitted").given(given));
        }
    }

    /// The vertex or node that is asked for must be one that emits the event.
    fn emitted_there(&mut self, on: &EventTrigger, path: &str) {
        let event = &on.event;
        if on.vertex == Some(0) && checker::needs_inputs(event) && self.entry.is_some_and(|entry| entry.vertices > 1) {
            let message = format!("event `{event}` belongs to subtasks with inputs, but vertex 0 holds the sources");
            let help = "name a vertex from 1, or strike at `barrier-injected`";
            let finding =
                Finding::new("never-matches", message, help).at(format!("{path}.vertex"), "sources have no inputs");
            self.push(finding.given(format!("{path}.event")));
        }
        let Some(node) = &on.node else { return };
        let (is_job_manager, emitter) = (node.starts_with("jm-"), checker::emitter(event));
        let wanted = match emitter {
            Emitter::Leader | Emitter::JobManager if !is_job_manager => "a JobManager",
            Emitter::TaskManager if is_job_manager => "a TaskManager",
            _ => return,
        };
        let message = format!("event `{event}` is emitted by {wanted}, never by {node}");
        let finding = Finding::new("never-matches", message, format!("remove `node`, or name {wanted}"));
        self.push(finding.at(format!("{path}.node"), "does not emit it").given(format!("{path}.event")));
    }

    fn after_fault(&mut self, after: u32, path: String) {
        let (id, last) = (self.id, self.plan.faults.len());
        let what = if after == id {
            format!("fault {id} waits for itself")
        } else if after == 0 || u64::from(after) > last as u64 {
            format!("fault {id} waits for fault {after}, but there are {last}, numbered from 1")
        } else if after > id {
            format!("fault {id} waits for fault {after}, which comes later")
        } else {
            return;
        };
        let help = match id {
            1 => "the first fault has none before it: remove `after_fault`".to_owned(),
            2 => "write 1, the only fault before it".to_owned(),
            id => format!("write 1 to {}, a fault that stands before this one", id - 1),
        };
        self.push(Finding::new("bad-order", what, help).at(path, "not a fault before this one").given("faults"));
    }
}

fn unknown_event(name: &str, path: String) -> Finding {
    let names: Vec<&str> = Event::CATALOGUE.iter().map(|(name, _)| *name).collect();
    let guess = suggest::nearest(name, &names);
    let meaning = Event::CATALOGUE.iter().find(|(name, _)| Some(*name) == guess).map(|(_, meaning)| meaning.trim());
    let help = match (guess, meaning) {
        (Some(guess), Some(meaning)) => format!("did you mean `{guess}`? {meaning}"),
        _ => format!("accepted: {}", suggest::quoted(&names)),
    };
    Finding::new("unknown-event", format!("no event is called `{name}`"), help).at(path, "unknown event")
}
