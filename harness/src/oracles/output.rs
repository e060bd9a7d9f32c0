//! O1 and O2: the committed output, checkpoint by checkpoint, is one that the job's reference accepts; so is keyed state.
//!
//! Statement. Let `c1 < c2 < …` be the completed checkpoints that the job did not fall back behind. The output visible under
//! epochs `(c(i-1), c(i)]` is accepted for the input between the source positions of the two manifests: nothing lost,
//! doubled or invented (O1), and per split and key in order (O2). So the output is right not only at the end, but as a prefix
//! at every checkpoint. The keyed state in manifest `c(i)` is the reference's at those positions (O2). If the job finished,
//! the last manifest's positions are the end of the input (O1). Output under an epoch that belongs to no such checkpoint is
//! invented (O1).
//!
//! Not every checkpoint's state is read back: small heap state always, RocksDB (whose files must be opened) only for the last
//! one. A checkpoint whose sinks had no time to commit (the job failed, or was stopped) is judged for what is visible.
//! Planted bugs: `no-barrier-alignment`, `skip-fencing`, `abort-on-checkpoint-failure`, `forget-commit`,
//! `replay-one-too-many` (O1);
//! `reorder-buffers` (O2).

use std::collections::{BTreeMap, BTreeSet};

use flowquake_engine::config::BackendKind;
use flowquake_engine::env::InputFiles;
use flowquake_engine::event::Event;
use flowquake_engine::ids::{CheckpointId, SplitId, SubtaskId};

use super::{Finding, Violation, lineage};
use crate::explain;
use crate::jobs::{Consumed, Jobs, Reference, Refusal};
use crate::plan::RunPlan;
use crate::run::{End, Outcome, Sealed, job_spec};
use crate::state_reader;

/// Keyed state of more bytes is read back only for the last checkpoint.
const STATE_BYTES_MAX: u64 = 256 * 1024;
/// Evidence beyond this many lines helps nobody.
const EVIDENCE_MAX: usize = 8;
/// Refusals that are traced through the run; the others are of the same kind.
const EXPLAINED_MAX: usize = 2;

/// Judges content (O1) and order (O2).
pub fn judge(plan: &RunPlan, outcome: &Outcome, jobs: &Jobs, inputs: &InputFiles) -> (Finding, Finding) {
    let (mut content, mut order) = (Finding::default(), Finding::default());
    let spec = job_spec(plan);
    let reference = jobs.get(&spec.program).and_then(|job| (job.reference)(&spec, inputs));
    let mut reference = match reference {
        Ok(reference) => reference,
        Err(error) => {
            content.violations.push(Violation { oracle: "O1", evidence: error.to_string() });
            return (content, order);
        }
    };
    let lineage = lineage(outcome);
    let committed = fully_committed(outcome);
    let splits = plan.job.input.splits as usize;
    let mut before = vec![0u64; splits];
    let mut previous = CheckpointId(0);
    for checkpoint in &lineage {
        let Some(sealed) = outcome.sealed.get(checkpoint) else {
            let evidence = format!("checkpoint {checkpoint} counts as complete, but its manifest was never written");
            content.violations.push(Violation { oracle: "O1", evidence });
            continue;
        };
        let positions = positions(sealed, splits);
        let consumed: Consumed = before.iter().zip(&positions).map(|(from, to)| *from..*to).collect();
        let parts = outcome.visible.iter().filter(|part| part.epoch > previous && part.epoch <= *checkpoint);
        let texts: Vec<_> = parts.map(|part| String::from_utf8_lossy(&part.bytes).into_owned()).collect();
        let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
        content.judged += lines.len() as u64;
        if let Err(refusals) = reference.accept(&consumed, &lines, *checkpoint > committed) {
            for refusal in refusals {
                let (finding, oracle, what) = match refusal {
                    Refusal::Content(what) => (&mut content, "O1", what),
                    Refusal::Order(what) => (&mut order, "O2", what),
                };
                let explained = match finding.violations.len() {
                    ..EXPLAINED_MAX => explain::objection(plan, outcome, reference.as_ref(), &what),
                    _ => String::new(),
                };
                let evidence = format!("epoch ({previous}, {checkpoint}]: {what}{explained}");
                finding.violations.push(Violation { oracle, evidence });
            }
        }
        let last = lineage.last() == Some(checkpoint);
        if last || (sealed.manifest.state_bytes() <= STATE_BYTES_MAX && plan.job.config.backend != BackendKind::RocksDb)
        {
            judge_state(sealed, reference.as_ref(), jobs, inputs, &mut order);
        }
        before = positions;
        previous = *checkpoint;
    }
    for part in outcome.visible.iter().filter(|part| part.epoch > previous) {
        let explained = explain::part(plan, outcome, part);
        let evidence = format!("{} is visible, but no checkpoint covers epoch {}{explained}", part.name, part.epoch);
        content.violations.push(Violation { oracle: "O1", evidence });
    }
    if outcome.end == End::Finished {
        judge_end(reference.as_ref(), &before, splits, &mut content);
    }
    content.violations.truncate(EVIDENCE_MAX);
    order.violations.truncate(EVIDENCE_MAX);
    (content, order)
}

/// Where every split stood.
fn positions(sealed: &Sealed, splits: usize) -> Vec<u64> {
    let all = sealed.manifest.subtasks.values().flat_map(|state| &state.positions);
    let by_split: BTreeMap<SplitId, u64> = all.map(|position| (position.split, position.emitted)).collect();
    (0..splits as u32).map(|split| by_split.get(&SplitId(split)).copied().unwrap_or(0)).collect()
}

/// The highest checkpoint up to which every sink is known to have committed.
fn fully_committed(outcome: &Outcome) -> CheckpointId {
    if outcome.end == End::Finished {
        return CheckpointId(u64::MAX);
    }
    let mut by_sink: BTreeMap<SubtaskId, CheckpointId> = BTreeMap::new();
    let mut sinks: BTreeSet<SubtaskId> = BTreeSet::new();
    for record in &outcome.trace.events {
        match &record.event {
            Event::SinkPreCommitted { subtask, .. } => drop(sinks.insert(*subtask)),
            Event::CommitAcknowledged { subtask, checkpoint, .. } => {
                let up_to = by_sink.entry(*subtask).or_default();
                *up_to = (*up_to).max(*checkpoint);
            }
            _ => {}
        }
    }
    sinks.iter().map(|sink| by_sink.get(sink).copied().unwrap_or_default()).min().unwrap_or_default()
}

fn judge_state(sealed: &Sealed, reference: &dyn Reference, jobs: &Jobs, inputs: &InputFiles, order: &mut Finding) {
    let checkpoint = sealed.manifest.checkpoint;
    let violation =
        |what: String| Violation { oracle: "O2", evidence: format!("state of checkpoint {checkpoint}: {what}") };
    let read = state_reader::read(&sealed.manifest, jobs, inputs, |path| sealed.files.get(path).cloned());
    let found = match read {
        Ok(found) => found,
        Err(error) => return order.violations.push(violation(error.to_string())),
    };
    let expected = reference.keyed_state();
    let mut seen = BTreeSet::new();
    for (subtask, entry) in found.iter().flat_map(|(subtask, entries)| entries.iter().map(move |e| (subtask, e))) {
        order.judged += 1;
        if !seen.insert(&entry.key) {
            order.violations.push(violation(format!("key {} is in two subtasks", entry.key)));
        }
        let wanted = expected.get(&entry.key);
        if wanted != Some(&entry.value) {
            let wanted = wanted.map_or("nothing", String::as_str);
            let what = format!("subtask {subtask}, key {}: expected {wanted}, found {}", entry.key, entry.value);
            order.violations.push(violation(what));
        }
    }
    if let Some((key, value)) = expected.iter().find(|(key, _)| !seen.contains(key)) {
        order.violations.push(violation(format!("key {key}: expected {value}, found nothing")));
    }
}

/// A finished job has read everything.
fn judge_end(reference: &dyn Reference, positions: &[u64], splits: usize, content: &mut Finding) {
    let read: u64 = positions.iter().sum();
    let due = reference.input_len();
    if read != due {
        let evidence = format!(
            "the job finished, but its last checkpoint covers {read} of {due} records (positions of {splits} splits: {positions:?})"
        );
        content.violations.push(Violation { oracle: "O1", evidence });
    }
}
