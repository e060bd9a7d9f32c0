//! A run as a log with vector clocks for ShiViz, which shows which event could have known of which.
//!
//! Start at [`log`]. The record has no clocks. They follow from the protocol, which allows only this order:
//!
//! ```text
//! trigger ─► first barrier at a source ─► last barrier downstream ─► snapshot taken ─► acknowledged ─► completed ─► committed
//!            (the coordinator's order)    (from every subtask        (on its node)     (at the          (all were    (the notice
//!                                          upstream)                                    coordinator)     counted)     arrived)
//! ```
//!
//! and an attempt's deployment comes before its subtasks load state. An event on a node also follows all events before
//! it on that node. Messages that the record does not hold (heartbeats, credits, records) are missing, so two events
//! without an order here may have had one; two events with an order here did have it. Hosts are nodes, because the
//! events of a node share one clock. An edge that contradicts the times of the record is left out.
//!
//! The first lines are what ShiViz needs: a regular expression that parses the other lines, and the separator of
//! executions.

use std::collections::BTreeMap;

use crate::ansi::clean;
use crate::graph::Graph;
use crate::record::{CheckpointEnd, RunRecord, TimelineKind};
use crate::units;

/// How ShiViz parses an event: two lines, host and clock first.
const PARSER: &str = r"(?<host>\S*) (?<clock>{.*})\n(?<event>.*)";

/// The log.
pub fn log(run: &RunRecord) -> String {
    let mut events = Events::of(run);
    events.timeline();
    events.checkpoints();
    events.restores();
    events.render()
}

struct Event<'a> {
    at_ns: u64,
    /// Orders events of the same instant as the protocol does.
    step: u8,
    node: &'a str,
    text: String,
    /// Indices of events on other nodes that came before it.
    after: Vec<usize>,
}

struct Events<'a> {
    run: &'a RunRecord,
    all: Vec<Event<'a>>,
    /// Deployments of attempts.
    deployments: Vec<(u32, usize)>,
    /// Commits of checkpoints, by the line of the timeline.
    commits: Vec<usize>,
}

impl<'a> Events<'a> {
    fn of(run: &'a RunRecord) -> Self {
        Events { run, all: Vec::new(), deployments: Vec::new(), commits: Vec::new() }
    }

    fn add(&mut self, at_ns: u64, step: u8, node: &'a str, text: String, after: Vec<usize>) -> usize {
        self.all.push(Event { at_ns, step, node, text, after });
        self.all.len() - 1
    }

    fn is_node(&self, name: &str) -> bool {
        self.run.nodes.iter().any(|node| node.name == name)
    }

    /// Events that have a line of their own. Checkpoints are added below, step by step. Faults are left out, because
    /// they are done to nodes, not by them.
    fn timeline(&mut self) {
        for entry in &self.run.timeline {
            let told = matches!(entry.kind, TimelineKind::Checkpoint | TimelineKind::Fault | TimelineKind::Heal);
            if told || !self.is_node(&entry.node) {
                continue;
            }
            let event = self.add(entry.at_ns, 5, &entry.node, entry.text.clone(), Vec::new());
            if entry.kind == TimelineKind::Commit {
                self.commits.push(event);
            }
            if entry.kind == TimelineKind::Restore {
                let deployed = self.run.course.attempts.iter().find(|attempt| attempt.deployed_at_ns == entry.at_ns);
                self.deployments.extend(deployed.map(|attempt| (attempt.attempt, event)));
            }
        }
    }

    fn checkpoints(&mut self) {
        let graph = Graph::of(self.run);
        for checkpoint in &self.run.checkpoints {
            let id = checkpoint.id;
            let trigger = self
                .run
                .timeline
                .iter()
                .find(|entry| entry.kind == TimelineKind::Checkpoint && entry.at_ns == checkpoint.triggered_at_ns);
            let fallback = self.run.nodes.first().map_or("", |node| node.name.as_str());
            let home = trigger.map_or(fallback, |entry| entry.node.as_str());
            if !self.is_node(home) {
                continue;
            }
            let text = format!("triggers checkpoint {id} of attempt {}", checkpoint.attempt);
            let triggered = self.add(checkpoint.triggered_at_ns, 0, home, text, Vec::new());
            let tasks = checkpoint.subtasks.iter().filter(|task| self.is_node(&task.node)).collect::<Vec<_>>();
            let mut passed: Vec<(&str, usize)> = Vec::new();
            let mut acknowledged = Vec::new();
            for task in &tasks {
                let Some(at) = task.first_barrier_ns else { continue };
                let text = format!("{}: first barrier of checkpoint {id}", task.subtask);
                let after = if graph.is_source(&task.subtask) { vec![triggered] } else { Vec::new() };
                let first = self.add(at, 1, &task.node, text, after);
                if graph.is_source(&task.subtask) {
                    passed.push((&task.subtask, first));
                }
            }
            // In the order of their alignment, so that upstream subtasks are added first.
            let mut aligned: Vec<_> = tasks.iter().filter(|task| !graph.is_source(&task.subtask)).collect();
            aligned.sort_by_key(|task| task.aligned_ns);
            for task in aligned {
                let Some(at) = task.aligned_ns else { continue };
                let after = passed.iter().filter(|(from, _)| graph.feeds(from, &task.subtask)).map(|(_, event)| *event);
                let after = after.collect();
                let text = format!("{}: all barriers of checkpoint {id}", task.subtask);
                let event = self.add(at, 2, &task.node, text, after);
                passed.push((&task.subtask, event));
            }
            for task in &tasks {
                let Some(at) = task.async_end_ns else { continue };
                let text = format!("{}: snapshot of checkpoint {id}, {}", task.subtask, units::bytes(task.state_bytes));
                let taken = self.add(at, 3, &task.node, text, Vec::new());
                let Some(at) = task.acknowledged_ns else { continue };
                let text = format!("counts the acknowledgement of {} for checkpoint {id}", task.subtask);
                acknowledged.push(self.add(at, 4, home, text, vec![taken]));
            }
            let Some(at) = checkpoint.ended_at_ns else { continue };
            let text = match &checkpoint.end {
                CheckpointEnd::Completed => format!("checkpoint {id} is complete"),
                // The timeline has this event already.
                _ => continue,
            };
            let completed = self.add(at, 6, home, text, acknowledged);
            let words = format!("checkpoint {id}");
            let commits = self.commits.iter().filter(|event| {
                let event = &self.all[**event];
                event.at_ns >= at && event.text.ends_with(&words)
            });
            let commits: Vec<usize> = commits.copied().collect();
            for commit in commits {
                self.all[commit].after.push(completed);
            }
        }
    }

    fn restores(&mut self) {
        for attempt in &self.run.course.attempts {
            let deployed = self.deployments.iter().find(|(of, _)| *of == attempt.attempt).map(|(_, event)| *event);
            for task in attempt.subtasks.iter().filter(|task| self.is_node(&task.node)).collect::<Vec<_>>() {
                let Some(at) = task.restoring_ns else { continue };
                let text = format!("{}: loads its state, attempt {}", task.subtask, attempt.attempt);
                self.add(at, 1, &task.node, text, deployed.into_iter().collect());
            }
        }
    }

    /// The events in an order in which their clocks can be computed, each with its clock.
    fn render(self) -> String {
        let mut order: Vec<usize> = (0..self.all.len()).collect();
        order.sort_by_key(|event| (self.all[*event].at_ns, self.all[*event].step, *event));
        let mut clocks: Vec<Option<BTreeMap<&str, u64>>> = vec![None; self.all.len()];
        let mut now: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        let mut text = format!("{PARSER}\n\n");
        for index in order {
            let event = &self.all[index];
            let mut clock = now.remove(event.node).unwrap_or_default();
            // An event without a clock so far comes later in the record, so this event cannot depend on it.
            for before in event.after.iter().filter_map(|before| clocks[*before].as_ref()) {
                for (node, ticks) in before {
                    let own = clock.entry(node).or_default();
                    *own = (*own).max(*ticks);
                }
            }
            *clock.entry(event.node).or_default() += 1;
            let json = serde_json::to_string(&clock).expect("a map of strings and numbers is JSON");
            let host: String = clean(event.node).split_whitespace().collect::<Vec<_>>().join("_");
            let line = format!("{} s: {}", units::instant(event.at_ns), clean(&event.text));
            text.push_str(&format!("{host} {json}\n{line}\n"));
            now.insert(event.node, clock.clone());
            clocks[index] = Some(clock);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;

    /// Host, clock and text of each event.
    fn events(log: &str) -> Vec<(String, BTreeMap<String, u64>, String)> {
        let lines: Vec<&str> = log.lines().skip(2).collect();
        let event = |pair: &[&str]| {
            let (host, clock) = pair[0].split_once(' ').unwrap();
            (host.to_owned(), serde_json::from_str(clock).unwrap(), pair[1].to_owned())
        };
        lines.chunks(2).map(event).collect()
    }

    fn is_before(one: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>) -> bool {
        one != other && one.iter().all(|(node, ticks)| other.get(node).is_some_and(|own| own >= ticks))
    }

    #[test]
    fn a_short_run_as_a_log() {
        let mut run = fixtures::passed();
        run.checkpoints.truncate(1);
        run.timeline.truncate(3);
        run.course.attempts.truncate(1);
        insta::assert_snapshot!("shiviz", log(&run));
    }

    #[test]
    fn every_host_counts_its_own_events_one_by_one() {
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        for (host, clock, text) in events(&log(&fixtures::passed())) {
            let ticks = seen.entry(host.clone()).or_default();
            *ticks += 1;
            assert_eq!(clock[&host], *ticks, "{text}");
        }
    }

    #[test]
    fn a_checkpoint_is_complete_after_all_that_it_consists_of_and_parallel_work_has_no_order() {
        let events = events(&log(&fixtures::passed()));
        let clock = |text: &str| {
            let found = events.iter().find(|(.., line)| line.contains(text));
            &found.unwrap_or_else(|| panic!("no event says {text}")).1
        };
        let completed = clock("checkpoint 1 is complete");
        for step in [
            "triggers checkpoint 1 ",
            "source#0: first barrier of checkpoint 1",
            "count#1: all barriers of checkpoint 1",
            "count#0: snapshot of checkpoint 1,",
            "counts the acknowledgement of count#0 for checkpoint 1",
        ] {
            assert!(is_before(clock(step), completed), "{step}");
        }
        let (one, other) = (clock("count#0: snapshot of checkpoint 1,"), clock("count#1: snapshot of checkpoint 1,"));
        assert!(!is_before(one, other) && !is_before(other, one));
        assert!(is_before(clock("source#0: first barrier of checkpoint 1"), one));
    }

    proptest! {
        #[test]
        fn arbitrary_runs_have_a_log_with_growing_clocks(run in fixtures::any_run()) {
            let log = log(&run);
            prop_assert_eq!(log.lines().skip(2).count() % 2, 0);
        }
    }
}
