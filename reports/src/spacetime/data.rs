//! Packs a record into the few numbers that the picture needs: arrays instead of objects, differences instead of times,
//! tables for values that repeat. `model.js` unpacks them; start at [`pack`], and read `decode` there beside it.
//!
//! Times are whole microseconds; the tables of the page have nanoseconds. A time that follows another is written as the
//! difference to it, or as `null` if that step did not happen.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::graph::Graph;
use crate::record::{
    AttemptRecord, CheckpointEnd, CheckpointRecord, FaultRecord, HitRecord, RunRecord, SubtaskRecord, TimelineKind,
};

/// The data of one picture.
pub(super) fn pack(run: &RunRecord) -> Value {
    let mut packer = Packer::of(run);
    let attempts: Vec<Value> = attempts(run).iter().map(|attempt| packer.attempt(attempt)).collect();
    let mut before = 0;
    let checkpoints: Vec<Value> = run
        .checkpoints
        .iter()
        .map(|checkpoint| {
            let packed = packer.checkpoint(run, checkpoint, before);
            before = us(checkpoint.triggered_at_ns);
            packed
        })
        .collect();
    json!({
        "end": end_us(run),
        "nodes": run.nodes.iter().map(|node| {
            let spans = node.up.iter().flat_map(|(from, to)| [us(*from), us(*to)]);
            json!([node.name, differences(spans)])
        }).collect::<Vec<_>>(),
        "terms": run.course.terms.iter().map(|term| {
            json!([term.term, packer.node(&term.node), us(term.from_ns), term.to_ns.map(us)])
        }).collect::<Vec<_>>(),
        "attempts": attempts,
        "checkpoints": checkpoints,
        "recoveries": run.recoveries.iter().map(recovery).collect::<Vec<_>>(),
        "faults": run.faults.iter().map(|fault| packer.fault(fault)).collect::<Vec<_>>(),
        "flow": packer.flow(run),
        "timeline": packer.timeline(run),
        "edges": packer.graph.edges,
        "subtasks": packer.graph.subtasks,
        "places": packer.places,
    })
}

fn us(ns: u64) -> i64 {
    // At most u64::MAX / 1,000, which fits.
    (ns / 1_000) as i64
}

/// The right end of the time axis: the end of the run, or the latest time in the record, because a record that was cut
/// off may lack its length.
fn end_us(run: &RunRecord) -> i64 {
    let checkpoints = run.checkpoints.iter().map(|c| c.ended_at_ns.unwrap_or(c.triggered_at_ns));
    let faults = run.faults.iter().filter_map(|f| f.healed_at_ns.or(f.struck_at_ns));
    let timeline = run.timeline.iter().map(|entry| entry.at_ns);
    let last = checkpoints.chain(faults).chain(timeline).chain([run.totals.virtual_ns]).max();
    us(last.unwrap_or(0)).max(1)
}

fn differences(times: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut before = 0;
    times.map(|at| at - std::mem::replace(&mut before, at)).collect()
}

/// Consecutive steps, each as the difference to the last step before it that happened. Steps at the end that did not
/// happen are left out.
fn steps<const N: usize>(start: i64, times: [Option<u64>; N]) -> Vec<Value> {
    let mut before = start;
    let packed = times.map(|at| at.map(us).map(|at| at - std::mem::replace(&mut before, at)));
    let reached = packed.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    packed[..reached].iter().map(|step| json!(step)).collect()
}

/// The attempts of a run; if the record has none, what the checkpoints show of them.
fn attempts(run: &RunRecord) -> Vec<AttemptRecord> {
    if !run.course.attempts.is_empty() {
        return run.course.attempts.clone();
    }
    let mut attempts: BTreeMap<u32, AttemptRecord> = BTreeMap::new();
    for checkpoint in &run.checkpoints {
        let at = checkpoint.triggered_at_ns;
        let attempt = attempts.entry(checkpoint.attempt).or_insert_with(|| AttemptRecord {
            attempt: checkpoint.attempt,
            deployed_at_ns: at,
            running_at_ns: Some(at),
            ..AttemptRecord::default()
        });
        attempt.deployed_at_ns = attempt.deployed_at_ns.min(at);
        for seen in &checkpoint.subtasks {
            if attempt.subtasks.iter().all(|known| known.subtask != seen.subtask) {
                attempt.subtasks.push(SubtaskRecord {
                    subtask: seen.subtask.clone(),
                    node: seen.node.clone(),
                    running_ns: Some(at),
                    ..SubtaskRecord::default()
                });
            }
        }
    }
    attempts.into_values().collect()
}

fn recovery(recovery: &crate::record::RecoveryRecord) -> Value {
    json!([
        recovery.attempt,
        recovery.cause,
        us(recovery.failed_at_ns),
        recovery.parts.map(|parts| parts.named().map(|(_, ns)| us(ns))),
        recovery.caught_up_at_ns.map(us),
        recovery.restored_checkpoint,
        us(recovery.unended_ns.unwrap_or(0)),
        recovery.superseded.iter().map(|one| one.attempt).collect::<Vec<_>>(),
        u8::from(recovery.is_stall()),
    ])
}

/// Tables of values that repeat.
struct Packer<'a> {
    nodes: Vec<&'a str>,
    graph: Graph<'a>,
    /// Lists of subtasks with their nodes, flattened.
    places: Vec<Vec<i64>>,
}

impl<'a> Packer<'a> {
    fn of(run: &'a RunRecord) -> Self {
        let nodes = run.nodes.iter().map(|node| node.name.as_str()).collect();
        Packer { nodes, graph: Graph::of(run), places: Vec::new() }
    }

    /// Number of a node; -1: not a node of the record.
    fn node(&self, name: &str) -> i64 {
        self.nodes.iter().position(|node| *node == name).map_or(-1, |index| index as i64)
    }

    fn subtask(&self, name: &str) -> i64 {
        self.graph.place(name).map_or(-1, |index| index as i64)
    }

    /// Nodes that occur as words in a text: one node, both ends of a link, or a set.
    fn named(&self, text: &str) -> Vec<i64> {
        let mut named = Vec::new();
        for word in text.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')) {
            let node = self.node(word);
            if node >= 0 && !named.contains(&node) {
                named.push(node);
            }
        }
        named
    }

    /// Number of a list of subtasks with their nodes.
    fn place<'b>(&mut self, list: impl Iterator<Item = (&'b str, &'b str)>) -> usize {
        let place: Vec<i64> = list.flat_map(|(subtask, node)| [self.subtask(subtask), self.node(node)]).collect();
        self.places.iter().position(|known| *known == place).unwrap_or_else(|| {
            self.places.push(place);
            self.places.len() - 1
        })
    }

    fn attempt(&mut self, attempt: &AttemptRecord) -> Value {
        let place = self.place(attempt.subtasks.iter().map(|s| (s.subtask.as_str(), s.node.as_str())));
        let deployed = us(attempt.deployed_at_ns);
        let of = |s: &SubtaskRecord| {
            // These steps do not all follow each other, but all follow the deployment.
            let times =
                [s.restoring_ns, s.restored_ns, s.running_ns, s.first_record_ns, s.end_of_input_ns, s.failed_ns];
            times.map(|at| at.map(|at| us(at) - deployed))
        };
        json!([
            attempt.attempt,
            deployed,
            attempt.running_at_ns.map(|at| us(at) - deployed),
            attempt.ended_at_ns.map(|at| us(at) - deployed),
            place,
            attempt.subtasks.iter().map(of).collect::<Vec<_>>(),
        ])
    }

    fn checkpoint(&mut self, run: &RunRecord, checkpoint: &CheckpointRecord, before: i64) -> Value {
        let place = self.place(checkpoint.subtasks.iter().map(|s| (s.subtask.as_str(), s.node.as_str())));
        let triggered = us(checkpoint.triggered_at_ns);
        // The timeline's line about the trigger names the JobManager.
        let trigger = run
            .timeline
            .iter()
            .find(|entry| entry.kind == TimelineKind::Checkpoint && entry.at_ns == checkpoint.triggered_at_ns);
        let (end, reason) = match &checkpoint.end {
            CheckpointEnd::Completed => (0, None),
            CheckpointEnd::Aborted { reason } => (1, Some(reason)),
            CheckpointEnd::Unfinished => (2, None),
        };
        let subtasks: Vec<Value> = checkpoint
            .subtasks
            .iter()
            .map(|s| {
                let times = [s.first_barrier_ns, s.aligned_ns, s.sync_end_ns, s.async_end_ns, s.acknowledged_ns];
                Value::Array(steps(triggered, times))
            })
            .collect();
        json!([
            checkpoint.id,
            checkpoint.attempt,
            u8::from(checkpoint.kind == "final"),
            trigger.map_or(-1, |entry| self.node(&entry.node)),
            triggered - before,
            // A checkpoint that was abandoned is over, although no event says so: its subtasks went on with their work.
            checkpoint.ended_at_ns.or_else(|| run.course.abandoned_ns(checkpoint)).map(|at| us(at) - triggered),
            end,
            reason,
            checkpoint.state_bytes,
            place,
            subtasks,
        ])
    }

    fn fault(&self, fault: &FaultRecord) -> Value {
        let hit = |hit: &HitRecord| {
            let at = us(hit.struck_at_ns);
            json!([self.named(&hit.target), hit.target, at, hit.healed_at_ns.map(|healed| us(healed) - at)])
        };
        let mut hits: Vec<Value> = fault.hits.iter().map(hit).collect();
        if let (true, Some(struck)) = (hits.is_empty(), fault.struck_at_ns) {
            let (at, healed) = (us(struck), fault.healed_at_ns.map(us));
            hits.push(json!([self.named(&fault.target), fault.target, at, healed.map(|healed| healed - at)]));
        }
        json!([fault.id, fault.kind, fault.detail, hits])
    }

    /// The timeline: kinds as one letter each, times as differences, and the nodes of each entry.
    fn timeline(&self, run: &RunRecord) -> Value {
        let letter = |kind: TimelineKind| match kind {
            TimelineKind::Fault => 'f',
            TimelineKind::Heal => 'h',
            TimelineKind::Checkpoint => 'c',
            TimelineKind::Abort => 'a',
            TimelineKind::Commit => 'o',
            TimelineKind::Failover => 'r',
            TimelineKind::Restore => 's',
            TimelineKind::Job => 'j',
        };
        let nodes = |text: &str| match *self.named(text) {
            [] => json!(-1),
            [node] => json!(node),
            ref several => json!(several),
        };
        json!([
            run.timeline.iter().map(|entry| letter(entry.kind)).collect::<String>(),
            differences(run.timeline.iter().map(|entry| us(entry.at_ns))),
            run.timeline.iter().map(|entry| nodes(&entry.node)).collect::<Vec<_>>(),
        ])
    }

    /// Times, committed sums, and the backlog of each node, all as differences from sample to sample.
    fn flow(&self, run: &RunRecord) -> Value {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let samples = &run.course.flow;
        let backlog = |node: usize| {
            differences(samples.iter().map(move |sample| number(sample.waiting_bytes.get(node).copied().unwrap_or(0))))
        };
        json!([
            differences(samples.iter().map(|sample| us(sample.at_ns))),
            differences(samples.iter().map(|sample| number(sample.records_committed))),
            (0..if samples.is_empty() { 0 } else { self.nodes.len() }).map(backlog).collect::<Vec<_>>(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::record::{Course, TermRecord};

    #[test]
    fn a_run_in_a_few_numbers() {
        let mut run = fixtures::passed();
        run.checkpoints.drain(4..);
        insta::assert_snapshot!("packed", serde_json::to_string_pretty(&pack(&run)).unwrap().replace("\n      ", " "));
    }

    #[test]
    fn a_record_without_its_course_is_drawn_from_its_checkpoints() {
        let run = RunRecord { course: Course::default(), ..fixtures::passed() };
        let packed = pack(&run);
        let numbers: Vec<&Value> = packed["attempts"].as_array().unwrap().iter().map(|attempt| &attempt[0]).collect();
        assert_eq!(numbers, [1, 2]);
        assert_eq!(packed["edges"], json!([[0, 1]]));
        assert_eq!(packed["flow"], json!([[], [], []]));
    }

    #[test]
    fn a_checkpoint_whose_leader_died_ends_there() {
        let mut run = fixtures::passed();
        let (at, died) = (run.checkpoints[0].triggered_at_ns, run.checkpoints[0].triggered_at_ns + 1_500_000);
        (run.checkpoints[0].end, run.checkpoints[0].ended_at_ns) = (CheckpointEnd::Unfinished, None);
        run.course.terms = vec![TermRecord { term: 1, node: "jm-1".into(), from_ns: 0, to_ns: Some(died) }];
        let checkpoint = &pack(&run)["checkpoints"][0];
        assert_eq!((&checkpoint[5], &checkpoint[6]), (&json!(us(died) - us(at)), &json!(2)));
        run.course = Course::default();
        assert_eq!(pack(&run)["checkpoints"][0][5], Value::Null, "without its course it goes on to the end");
    }

    #[test]
    fn a_step_that_was_left_out_does_not_shift_the_next() {
        assert_eq!(steps(5, [Some(8_000), None, Some(10_000), None]), [json!(3), Value::Null, json!(2)]);
    }
}
