//! The judgement as JSON, for scripts.
//!
//! Start at [`to_string`]. Durations are in nanoseconds; `null` if there is none, and `{"over": ns}` if it did not end.

use serde_json::{Value, json};

use super::judge::{Judgement, Pace, RunJudgement, TimeJudgement, TraceJudgement};
use super::times::Lapse;
use crate::percentile::Percentile;

/// Version of this document.
pub const VERSION: u32 = 1;

/// Pretty JSON, ending with a line break.
pub fn to_string(judgement: &Judgement) -> String {
    let scenarios: Vec<Value> = judgement
        .scenarios
        .iter()
        .map(|scenario| {
            json!({
                "scenario": scenario.scenario,
                "file": scenario.file,
                "outcome": scenario.outcome().label(),
                "compared": !scenario.incomparable,
                "runs": scenario.runs.iter().map(run).collect::<Vec<_>>(),
                "times": scenario.times.iter().map(time).collect::<Vec<_>>(),
            })
        })
        .collect();
    let budgets: serde_json::Map<String, Value> = Percentile::ALL
        .into_iter()
        .map(|which| (which.label().to_owned(), judgement.budgets.of(which).to_string().into()))
        .collect();
    let document = json!({
        "version": VERSION,
        "outcome": judgement.outcome().label(),
        "exit_code": judgement.outcome().exit_code(),
        "engine": { "baseline": judgement.engine_before, "now": judgement.engine_now },
        "budgets": budgets,
        "scenarios": scenarios,
    });
    format!("{document:#}\n")
}

fn run(run: &RunJudgement) -> Value {
    let trace = match run.trace {
        TraceJudgement::Same => "same",
        TraceJudgement::WithEngine => "changed-with-engine",
        TraceJudgement::Unexplained { .. } => "changed",
        TraceJudgement::OtherTimes => "same-with-other-times",
        TraceJudgement::OtherPlan => "other-plan",
        TraceJudgement::NotMade => "not-made",
    };
    json!({
        "seed": run.seed,
        "outcome": run.outcome().label(),
        "verdict": { "baseline": run.before, "now": run.now },
        "trace": trace,
        "evidence": run.note.headline,
        "evidence_lines": run.note.evidence,
        "replay": run.note.replay,
    })
}

fn time(time: &TimeJudgement) -> Value {
    let lapse = |lapse: Option<Lapse>| match lapse {
        None => Value::Null,
        Some(lapse) => json!(lapse),
    };
    let pace = match time.pace {
        Pace::Improved => "improved",
        Pace::Same => "same",
        Pace::Within => "within-budget",
        Pace::Slower => "slower",
    };
    json!({
        "measure": time.measure,
        "percentile": time.percentile.label(),
        "values": { "baseline": time.counts.0, "now": time.counts.1 },
        "ns": { "baseline": lapse(time.before), "now": lapse(time.now) },
        "pace": pace,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::fixtures::judgements;

    #[test]
    fn the_document_of_a_slower_gate() {
        let (_, judgement) = judgements().remove(1);
        insta::assert_snapshot!(to_string(&judgement));
    }
}
