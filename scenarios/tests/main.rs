//! Tests of the whole: equal plans give equal traces, measured times equal the predicted ones, and oracles have
//! something to judge. `named.rs` tests that each scenario passes, and `flowquake museum` that each planted bug is
//! caught.

mod capacity;
mod costs;
mod determinism;
mod flink;
mod hunt;
mod hurt;
mod loops;
mod lost_work;
mod needs;
mod outages;
mod planted_bugs;
mod real_input;
mod scripted;
mod shrinking;
mod strikes;
mod weights;
mod when;

use std::path::{Path, PathBuf};

use flowquake::cli::catalogue;
use flowquake::jobs::Jobs;
use flowquake::scenario::{Scenario, discover};
use flowquake::session::{Depth, execute_to};
use flowquake_engine::mutation::Mutation;
use flowquake_reports::record::RunRecord;
use flowquake_scenarios::SCENARIOS;

fn all() -> Vec<Scenario> {
    let files = discover(&[PathBuf::from(SCENARIOS)]).expect("there are scenarios");
    Scenario::load_all(&files, &catalogue(&Jobs::builtin())).unwrap_or_else(|errors| {
        panic!("{}", errors.into_iter().map(|e| format!("{:?}\n", miette::Report::new(e))).collect::<String>())
    })
}

fn named(name: &str) -> Scenario {
    all().into_iter().find(|scenario| scenario.name() == name).unwrap_or_else(|| panic!("no scenario `{name}`"))
}

fn execute(scenario: &Scenario, seed: u64, mutations: &[Mutation]) -> RunRecord {
    let plan = scenario.plan(seed);
    let replay = format!("cargo run -- run {} --seed {seed}", scenario.file());
    execute_to(Depth::Full, &plan, &Jobs::builtin(), mutations, replay).0
}

/// The text of a scenario, read as if it were the content of a file with that name.
fn inline(name: &str, text: &str) -> Scenario {
    let path = Path::new(SCENARIOS).join(format!("{name}.toml"));
    Scenario::parse(text, &path, &catalogue(&Jobs::builtin()))
        .unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)))
}
