//! `flowquake exhaust` and `flowquake merge` as a user sees them: a search that was stopped continues, shards are
//! merged, and inputs that cannot be right are refused.

mod common;

use std::fs;
use std::path::Path;

use common::Folder;
use flowquake_reports::class::Class;
use flowquake_reports::exhaust::{ExhaustSet, read};

impl Folder {
    /// A working folder with the smallest scenario, after this change.
    fn short(change: impl Fn(String) -> String) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/exhaust/reference-short.toml");
        Self::new().with(SHORT, change(fs::read_to_string(file).unwrap()))
    }

    /// What a command said on standard output and on standard error.
    #[track_caller]
    fn says(&self, args: &[&str], code: i32) -> String {
        self.flowquake(args, code).all()
    }

    fn search(&self, name: &str) -> ExhaustSet {
        read(&self.at(name)).unwrap()
    }
}

fn run(set: &ExhaustSet) -> usize {
    set.strikes.iter().filter(|strike| strike.result.is_some()).count()
}

const SHORT: &str = "reference-short.toml";

#[test]
fn a_search_that_is_stopped_goes_on_and_draws_its_picture() {
    let folder = Folder::short(|text| text);
    let said = folder.says(&["exhaust", SHORT, "--budget", "20", "--json", "1.json"], 0);
    assert!(said.contains("not finished: the budget is spent"), "{said}");
    let first = folder.search("1.json");
    assert_eq!(run(&first), 20);
    assert!(first.strikes_total > 1_000 && first.classes_total < first.strikes_total, "{}", first.theorem);
    let said = folder.says(&["exhaust", SHORT, "--budget", "15", "--resume", "--json", "2.json"], 0);
    assert!(said.contains("going on: 20 runs are made"), "{said}");
    let second = folder.search("2.json");
    assert_eq!(run(&second), 35);
    let of_first = first.strikes.iter().filter(|strike| strike.result.is_some());
    assert!(of_first.into_iter().all(|strike| second.strikes.contains(strike)), "what was made stays as it was");
    assert!(second.strikes.iter().all(|strike| {
        strike.result.as_ref().is_none_or(|result| matches!(result.verdict, Class::Passed | Class::Vacuous))
    }));
    let page = fs::read_to_string(folder.at("target/flowquake/exhaust/reference-short.html")).unwrap();
    assert!(page.contains("svg class=\"strikes\""));
    // The command that the picture gives for one of its squares.
    let number = second.strikes.iter().find(|strike| strike.result.is_some()).unwrap().number.to_string();
    let said = folder.says(&["exhaust", SHORT, "--strike", &number], exit_code(&second, &number));
    assert!(said.contains(&format!("strike {number}: ")), "{said}");
    let plan = format!("flowquake-failures/reference-short-strike-{number}.json");
    folder.says(&["replay", &plan, "--hash-only"], 0);
}

fn exit_code(set: &ExhaustSet, number: &str) -> i32 {
    let strike = set.strikes.iter().find(|strike| strike.number.to_string() == number).unwrap();
    strike.result.as_ref().unwrap().verdict.exit_code().into()
}

#[test]
fn shards_are_put_together_and_none_may_be_missing() {
    let folder = Folder::short(|text| text);
    for shard in ["1/2", "2/2"] {
        let json = format!("{}.json", &shard[..1]);
        folder.says(&["exhaust", SHORT, "--shard", shard, "--budget", "8", "--json", &json], 0);
    }
    let said = folder.says(&["merge", "1.json", "2.json", "--json", "all.json", "--output", "all.html"], 0);
    assert!(said.contains("not finished"), "{said}");
    let all = folder.search("all.json");
    assert_eq!((run(&all), all.strikes.len() as u64), (16, all.strikes_total));
    assert!(folder.says(&["merge", "2.json"], 2).contains("shard 1 of 2 is missing"));
    assert!(folder.says(&["merge", "1.json", "1.json"], 2).contains("overlap: both are shard 1/2"));
    fs::write(folder.at("other.json"), "{}").unwrap();
    assert!(folder.says(&["merge", "other.json"], 2).contains("no result of `flowquake exhaust --json`"));
}

#[test]
fn a_covering_array_says_what_its_runs_cover() {
    let folder = Folder::short(|text| text);
    for shard in ["1/2", "2/2"] {
        let json = format!("{}.json", &shard[..1]);
        let args = ["exhaust", SHORT, "--pairs", "cover", "--shard", shard, "--budget", "12", "--json", &json];
        let said = folder.says(&args, 0);
        assert!(said.contains("two kinds, phase of the first") && said.contains("cannot be: "), "{said}");
    }
    folder.says(&["merge", "1.json", "2.json", "--json", "all.json"], 0);
    let covered = |name: &str| folder.search(name).covering.unwrap().sorts.iter().map(|sort| sort.covered).sum::<u64>();
    let [one, other, all] = ["1.json", "2.json", "all.json"].map(covered);
    assert!(one.max(other) < all && all <= one + other, "{one} and {other} make {all}");
    let set = folder.search("all.json");
    let covering = set.covering.as_ref().unwrap();
    assert_eq!(covering.pairs.len(), set.strikes.len());
    assert!(covering.sorts.iter().all(|sort| sort.covered <= sort.possible && sort.possible < sort.all));
    assert!(set.theorem.contains("24 runs with two faults each"), "{}", set.theorem);
}

#[test]
fn a_scenario_that_fails_by_itself_is_told_first() {
    let folder = Folder::short(|text| text + "\n[expect]\nfailovers = 3\n");
    let said = folder.says(&["exhaust", SHORT], 1);
    assert!(said.contains("the scenario itself does not pass") && said.contains("expect.failovers"), "{said}");
}

#[test]
fn a_journal_of_another_plan_is_refused_by_name() {
    let folder = Folder::short(|text| text);
    folder.says(&["exhaust", SHORT, "--budget", "2"], 0);
    let said = folder.says(&["exhaust", SHORT, "--budget", "2", "--resume", "--no-cut", "next-step"], 2);
    assert!(said.contains("reference-short.jsonl") && said.contains("another choice of cuts"), "{said}");
    let text = fs::read_to_string(folder.at(SHORT)).unwrap();
    fs::write(folder.at(SHORT), text.replace("records = 300", "records = 400")).unwrap();
    let said = folder.says(&["exhaust", SHORT, "--budget", "2", "--resume"], 2);
    assert!(said.contains("another plan"), "{said}");
    let said = folder.says(&["exhaust", SHORT, "--strike", "99999999"], 2);
    assert!(said.contains("there is no such strike"), "{said}");
}

#[test]
fn faults_of_the_scenario_are_the_base() {
    let fault = "\n[[fault]]\non = { event = \"checkpoint-triggered\", checkpoint = 1 }\ndo = \"latency\"\n\
                 link = \"leader - tm-1\"\nlatency = \"20ms\"\nheal_after = \"100ms\"\n";
    let folder = Folder::short(|text| text + fault);
    folder.says(&["exhaust", SHORT, "--budget", "4", "--json", "1.json"], 0);
    let set = folder.search("1.json");
    let number = set.strikes.iter().find(|strike| strike.result.is_some()).unwrap().number.to_string();
    folder.says(&["exhaust", SHORT, "--strike", &number], exit_code(&set, &number));
    let plan =
        fs::read_to_string(folder.at(&format!("flowquake-failures/reference-short-strike-{number}.json"))).unwrap();
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert!(plan["faults"].as_array().unwrap().len() >= 2);
    assert!(plan["faults"][0]["action"]["link"].is_object(), "{plan}");
}
