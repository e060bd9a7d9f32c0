use std::collections::BTreeMap;
use std::fmt::Debug;

use flowquake::jobs::{
    Consumed, Job, JobContext, Jobs, Objection, Param, RecordId, Reference, Refusal, index_of, number_in,
};
use flowquake_engine::connectors::lines::LineSource;
use flowquake_engine::env::InputFiles;
use flowquake_engine::graph::stream::StreamBuilder;
use flowquake_engine::graph::{InputKind, JobError, JobGraph, JobSpec};
use serde::{Deserialize, Serialize};

pub fn jobs() -> Jobs {
    Jobs::builtin().with("shout", SHOUT)
}

const MARKS: Param = Param { name: "marks", default: "1", meaning: "exclamation marks behind a line" };

const SHOUT: Job = Job {
    description: "writes every line in upper case",
    params: &[MARKS],
    generators: &[],
    accepts_file: true,
    vertices: 2,
    keyed_vertex: None,
    model: None, // What records and state weigh: needed for predictions and `tune` only.
    texts: None, // Its input as lines: needed where Apache Flink runs a twin of it.
    build,
    reference: |spec, files| {
        let (lines, marks) = (lines(spec, files)?, number_in(spec, &MARKS, 0..=9)?);
        Ok(Box::new(Shouted { lines, marks, splits: spec.input.splits as usize }))
    },
};

/// A record of the job. Whatever implements serde's two traits can travel between subtasks.
#[derive(Serialize, Deserialize)]
struct Shout {
    text: String,
    marks: u64,
}

/// The program. `context.source` is what lets faults strike in user code.
fn build(spec: &JobSpec, context: &JobContext<'_>) -> Result<JobGraph, JobError> {
    let marks = number_in(spec, &MARKS, 0..=9)?;
    let job = StreamBuilder::new();
    job.source("lines", context.source(spec, lines(spec, context.files())?))
        .map(move |line: String| Shout { text: line.to_uppercase(), marks })
        .rebalance()
        .sink("shouts", |shout: &Shout, out| {
            out.extend_from_slice(shout.text.as_bytes());
            out.extend((0..shout.marks).map(|_| b'!'));
            out.push(b'\n');
        });
    Ok(job.build())
}

fn lines(spec: &JobSpec, files: &InputFiles) -> Result<LineSource, JobError> {
    match &spec.input.kind {
        InputKind::File { path, repeat } => Ok(LineSource::new(files.lines(path)?, *repeat)),
        InputKind::Generator { name, .. } => {
            Err(JobError::Refused { job: spec.program.clone(), what: format!("there is no generator `{name}`") })
        }
    }
}

/// The reference: what the output must be, from the definition of the job alone and without the program.
struct Shouted {
    lines: LineSource,
    marks: u64,
    splits: usize,
}

impl Reference for Shouted {
    fn input_len(&self) -> u64 {
        flowquake_engine::graph::source::Source::len(&self.lines)
    }

    fn accept(&mut self, consumed: &Consumed, lines: &[&str], partial: bool) -> Result<(), Vec<Refusal>> {
        let mut due: BTreeMap<String, Vec<RecordId>> = BTreeMap::new();
        for (split, positions) in consumed.iter().enumerate() {
            for position in positions.clone() {
                let index = index_of(position, split, self.splits);
                let marks = "!".repeat(self.marks as usize);
                let line = format!("{}{marks}", self.lines.line(index).to_uppercase());
                due.entry(line).or_default().push(RecordId::of_index(index, self.splits));
            }
        }
        let mut refused = Vec::new();
        for line in lines {
            if due.get_mut(*line).and_then(Vec::pop).is_none() {
                let objection = Objection::from(format!("`{line}` came out once too often")).seen_in([*line]);
                refused.push(Refusal::Content(objection));
            }
        }
        for (line, records) in due.into_iter().filter(|(_, records)| !partial && !records.is_empty()) {
            refused.push(Refusal::Content(Objection::from(format!("`{line}` is missing")).about(records)));
        }
        if refused.is_empty() { Ok(()) } else { Err(refused) }
    }

    /// This job has no keyed state.
    fn for_each_state(&self, _: &mut dyn FnMut(&str, &dyn Debug, &dyn Debug)) {}
}
