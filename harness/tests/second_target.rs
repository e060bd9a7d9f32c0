//! A second target, small and scripted. It compiles and runs without any line about it in the oracles, the recorder or
//! the nemesis. It shows only events, can kill, cannot change a clock, and does not promise the same trace twice.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use flowquake::cli::catalogue;
use flowquake::director::Director;
use flowquake::environment::Environment;
use flowquake::faults::Kind;
use flowquake::jobs::Jobs;
use flowquake::nemesis::{Cluster, Processes, Receipt};
use flowquake::outcome::{Outcome, Section, StoreCopy};
use flowquake::plan::{Disk, RunPlan};
use flowquake::scenario::Scenario;
use flowquake::session::{Depth, try_execute};
use flowquake::stage::Stage;
use flowquake::target::{NotRepeatable, Offers, Target, require_repeatable};
use flowquake_engine::env::StoreKind;
use flowquake_engine::env::sim::{Gauge, NetworkTotals};
use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::fault::Death;
use flowquake_engine::ids::{Attempt, CheckpointId, Term};
use flowquake_engine::time::Time;
use flowquake_reports::record::{RunRecord, Verdict};

/// A cluster with one TaskManager that can be killed.
struct Puppets {
    tm_1_lives: Cell<bool>,
}

impl Cluster for Puppets {
    fn is_alive(&self, node: &str) -> bool {
        node != "tm-1" || self.tm_1_lives.get()
    }

    fn harm(&self, _: &Gauge) -> u64 {
        0
    }

    fn processes(&self) -> Option<&dyn Processes> {
        Some(self)
    }
}

impl Processes for Puppets {
    fn kill(&self, _: &str, _: Death) -> Receipt {
        match self.tm_1_lives.replace(false) {
            true => Receipt::Unproved("puppets say nothing".into()),
            false => Receipt::InVain,
        }
    }

    fn restart(&self, _: &str, _: Disk) -> Receipt {
        Receipt::Unproved("puppets stay where they fell".into())
    }

    fn pause(&self, _: &str) -> Receipt {
        Receipt::InVain
    }

    fn resume(&self, _: &str) -> Receipt {
        Receipt::InVain
    }
}

impl Stage for Puppets {
    fn unread_records(&self) -> Vec<u64> {
        Vec::new()
    }

    fn network_totals(&self) -> NetworkTotals {
        NetworkTotals::default()
    }

    fn read(&self, _: StoreKind, _: &str) -> Option<Bytes> {
        None
    }

    fn list(&self, _: StoreKind, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// A target that plays the same events every time: a checkpoint, then the end.
struct Stub;

impl Target for Stub {
    fn name(&self) -> &'static str {
        "stub"
    }

    fn offers(&self, _: &RunPlan) -> Offers {
        Offers {
            faults: BTreeSet::from([Kind::Kill]),
            resumes: false,
            repeats: false,
            sections: BTreeSet::from([Section::Trace]),
            ..Offers::everything()
        }
    }

    fn run(
        &self,
        plan: &RunPlan,
        _: &Jobs,
        _: Option<&StoreCopy>,
        mut director: Director,
    ) -> Result<Outcome, Environment> {
        let puppets = Puppets { tm_1_lives: Cell::new(true) };
        director.begin_life("jm-1", Time::ZERO);
        director.begin_life("tm-1", Time::ZERO);
        director.begin(Time::ZERO);
        let (attempt, checkpoint, term) = (Attempt(1), CheckpointId(1), Term(1));
        let piece = [
            Event::LeadershipGranted { term },
            Event::CheckpointTriggered { attempt, checkpoint, last: true },
            Event::CheckpointCompleted { attempt, checkpoint, bytes: 0 },
            Event::JobFinished { attempt },
        ];
        for (second, event) in (1..).zip(piece) {
            let at = Time(second * 1_000_000_000);
            let record = EventRecord { at, node: "jm-1".into(), incarnation: 1, event };
            director.on_event(&puppets, &record);
        }
        director.close(&puppets, Time(5_000_000_000));
        let mut outcome = director.take_outcome();
        outcome.show_only(&self.offers(plan).sections);
        Ok(outcome)
    }
}

fn scenario(fault: &str) -> Scenario {
    let text = format!(
        "name = \"stub\"\nwhy = \"a second target\"\n[job]\nname = \"keyed-count\"\ninput = {{ generator = \"orders\", records = 10 }}\n\
         [cluster]\ntask_managers = 1\n[[fault]]\n{fault}\n"
    );
    Scenario::parse(&text, Path::new("stub.toml"), &catalogue(&Jobs::builtin())).expect("it is a scenario")
}

fn run(fault: &str) -> RunRecord {
    let (plan, jobs) = (scenario(fault).plan(1), Jobs::builtin());
    try_execute(&Stub, Depth::Full, &plan, &jobs, String::new()).expect("nothing is wrong here").0
}

#[test]
fn what_a_target_does_not_show_is_not_judged_and_what_it_strikes_is_told() {
    let record = run("on = { event = \"checkpoint-triggered\" }\ndo = \"kill\"\ntarget = \"tm-1\"");
    let judged: Vec<&str> =
        record.oracles.iter().filter(|oracle| oracle.not_judged.is_none()).map(|oracle| oracle.id.as_str()).collect();
    assert_eq!(judged, ["O7", "O8"]);
    assert_eq!(record.oracles[0].not_judged.as_deref(), Some("the target does not show its output"));
    assert_eq!(record.faults[0].struck_at_ns, Some(2_000_000_000));
    assert_eq!(record.target, "stub");
}

#[test]
fn what_a_target_does_not_offer_is_never_tried_and_never_a_pass() {
    let verdict = run("at = \"1s\"\ndo = \"clock-forward\"\ntarget = \"tm-1\"\nby = \"3s\"").verdict;
    assert_eq!(verdict, Verdict::NotOffered { target: "stub".into(), what: "fault 1: `clock-forward`".into() });
    assert_eq!(verdict.class().exit_code(), 10);
}

#[test]
fn runs_of_a_target_that_repeats_none_are_not_compared() {
    let plan = scenario("at = \"1s\"\ndo = \"kill\"\ntarget = \"tm-1\"").plan(1);
    for by in ["gate", "--verify-determinism"] {
        let refused = require_repeatable("stub", &Stub.offers(&plan), by).unwrap_err();
        assert_eq!(refused, NotRepeatable { by, target: "stub" });
        let said = format!("{by} compares runs of one plan, and the target `stub` gives another trace each time");
        assert_eq!(refused.to_string(), said);
        assert_eq!(require_repeatable("sim", &Offers::everything(), by), Ok(()));
    }
}
