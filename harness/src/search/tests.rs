//! Tries the catalogue on the clean run of a small scenario: every strike is a plan that may run, and strikes where the
//! catalogue says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use flowquake_engine::config::BackendKind;
use flowquake_reports::record::{RunRecord, Verdict};

use super::cover::{Slot, Strength};
use super::cut::{Cut, Cuts};
use super::ground::{Ground, Scope, firsts_by_phase, ground_of, grounds, grounds_of_recoveries};
use super::measured::{assumed, sound};
use super::position::Phase;
use super::signature::Signature;
use super::strike::Catalogue;
use super::survey::Survey;
use super::surveyed::{Site, Surveyed};
use crate::cli::catalogue as job_catalogue;
use crate::faults::{Kind, Victim, strikes};
use crate::jobs::Jobs;
use crate::nemesis::{LEADER, STANDBY, TASK_MANAGER};
use crate::plan::{ClusterPlan, RunPlan};
use crate::run::Simulator;
use crate::scenario::{Scenario, plan_problems};
use crate::session::{Depth, try_execute};

/// The smallest scenario of `flowquake exhaust`.
fn base() -> RunPlan {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/exhaust/reference-short.toml");
    Scenario::load(&file, &job_catalogue(&Jobs::builtin())).unwrap().plan(1)
}

fn survey(plan: &RunPlan) -> Survey {
    let target = Simulator::default().noting(true);
    let (record, outcome) = try_execute(&target, Depth::Quick, plan, &Jobs::builtin(), String::new()).unwrap();
    assert_eq!(record.verdict, Verdict::Passed);
    Survey::of(outcome.trace.events, outcome.traffic)
}

/// As `surveyed`, for a ground whose fault may hurt nothing or whose run may not pass.
fn surveyed_if_passed(ground: Ground) -> Option<Surveyed> {
    let base = base();
    let target = Simulator::default().noting(true);
    let plan = ground.plan(&base);
    let (record, outcome) = try_execute(&target, Depth::Quick, &plan, &Jobs::builtin(), String::new()).unwrap();
    let survey = Survey::of(outcome.trace.events, outcome.traffic);
    (record.verdict == Verdict::Passed).then(|| Surveyed::new(&base, ground, survey))
}

fn surveyed(ground: Ground) -> Surveyed {
    let base = base();
    let survey = survey(&ground.plan(&base));
    Surveyed::new(&base, ground, survey)
}

fn catalogue(cuts: &Cuts) -> Catalogue {
    Catalogue::new(base(), true, vec![surveyed(Ground::itself())], cuts)
}

fn all_cuts() -> Cuts {
    Cuts::without(&[])
}

fn run(catalogue: &Catalogue, number: u32) -> (RunRecord, Signature) {
    let plan = catalogue.plan(number);
    let target = Simulator::default();
    let (record, outcome) = try_execute(&target, Depth::Quick, &plan, &Jobs::builtin(), String::new()).unwrap();
    let signature = Signature::of(&plan, &outcome, &record.verdict);
    (record, signature)
}

/// When a strike struck.
fn struck_at(catalogue: &Catalogue, number: u32) -> Option<u64> {
    run(catalogue, number).0.faults[catalogue.faults_before(number)].struck_at_ns
}

/// This many of the strikes that fit, spread over all of them.
fn some(catalogue: &Catalogue, count: usize, fits: impl Fn(u32) -> bool) -> Vec<u32> {
    let fitting: Vec<u32> = (0..catalogue.strikes().len() as u32).filter(|number| fits(*number)).collect();
    let step = (fitting.len() / count).max(1);
    fitting.into_iter().step_by(step).take(count).collect()
}

/// Tries FAULTS-C2: every kind has strikes, where the plan has what the kind needs.
#[test]
fn every_kind_has_canonical_strikes() {
    let catalogue = catalogue(&all_cuts());
    let mut struck: BTreeSet<&str> = catalogue.strikes().iter().map(|strike| strike.kind.name()).collect();
    let mut plan = base();
    plan.job.config.backend = BackendKind::RocksDb;
    let node = |node: &str, role| Victim { node: node.into(), role, busy: role == TASK_MANAGER, emits: false };
    let nodes = [node("jm-1", LEADER), node("jm-2", STANDBY), node("tm-1", TASK_MANAGER)];
    let canon = crate::faults::Canon {
        plan: &plan,
        keyed: true,
        alone: true,
        place: crate::faults::Place::Event,
        nodes: &nodes,
    };
    struck.extend(Kind::ALL.iter().filter(|kind| !strikes(kind.spec(), &canon).is_empty()).map(|kind| kind.name()));
    let without: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).filter(|name| !struck.contains(name)).collect();
    assert_eq!(without, [] as [&str; 0]);
}

/// Tries STRIKE-K2, and that the plan of every strike can be saved and replayed.
#[test]
fn every_strike_is_a_plan_that_may_run() {
    let jobs = job_catalogue(&Jobs::builtin());
    let catalogue = catalogue(&all_cuts());
    for members in catalogue.classes() {
        let plan = catalogue.plan(members[0]);
        assert_eq!(plan_problems(&plan, &jobs), [] as [String; 0], "{:?}", catalogue.describe(members[0]));
        let fault = &plan.faults[0];
        assert_eq!(Kind::of(&fault.action), catalogue.strikes()[members[0] as usize].kind, "FAULTS-K1");
        assert_eq!(RunPlan { faults: vec![], expect: base().expect, prediction: None, ..plan }, base(), "STRIKE-K2");
    }
}

/// Tries POSITION-P1 in runs.
#[test]
fn a_strike_at_an_event_strikes_exactly_there() {
    let catalogue = catalogue(&all_cuts());
    let kills = |number: u32| catalogue.strikes()[number as usize].kind == Kind::Kill;
    for number in some(&catalogue, 12, kills) {
        let described = catalogue.describe(number);
        assert_eq!(struck_at(&catalogue, number), Some(described.at.0), "POSITION-P1: {described:?}");
    }
}

#[test]
fn a_strike_at_a_message_or_write_hurts_the_one_that_it_is_aimed_at() {
    let catalogue = catalogue(&all_cuts());
    let aimed = |number: u32| matches!(catalogue.strikes()[number as usize].site, Site::Message(_) | Site::Write(_));
    for number in some(&catalogue, 16, aimed) {
        let at = catalogue.aimed_at(number).unwrap();
        let described = catalogue.describe(number);
        assert_eq!(struck_at(&catalogue, number), Some(at.0), "{described:?}");
    }
}

/// Tries STRIKE-K1.
#[test]
fn each_cut_makes_fewer_classes_of_the_same_strikes() {
    let with = catalogue(&all_cuts());
    let numbered = |catalogue: &Catalogue| {
        let strikes = catalogue.strikes().iter();
        strikes.map(|strike| (strike.site, strike.kind)).collect::<Vec<_>>()
    };
    for cut in Cut::ALL {
        let without = catalogue(&Cuts::without(&[cut]));
        assert!(numbered(&without) == numbered(&with), "STRIKE-K1: {}", cut.name());
        // A run this short has no steady epochs, and only one TaskManager of each sort.
        let fewer = with.classes().len() < without.classes().len();
        // The lineage cut applies only to second faults.
        let not_here = matches!(cut, Cut::SteadyEpochs | Cut::SymmetricSubtasks | Cut::Lineage);
        assert!(fewer || not_here, "{}", cut.name());
        assert!(with.classes().len() <= without.classes().len(), "{}", cut.name());
    }
}

/// Messages that no clean run sends are hurt, too: cancellations, failures, aborts, and messages that are doubled into
/// the next attempt.
#[test]
fn every_kind_of_control_message_is_lost_and_doubled_late() {
    let base = base();
    let itself = catalogue(&all_cuts());
    let all: Vec<Surveyed> = grounds(&itself, &base, Scope::Messages).into_iter().map(surveyed).collect();
    assert!(all.len() >= 5, "{}", all.len());
    let grounds = itself.into_grounds().into_iter().chain(all).collect();
    let catalogue = Catalogue::new(base, true, grounds, &all_cuts());
    let mut labels: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for members in catalogue.classes() {
        let described = catalogue.describe(members[0]);
        labels.entry(described.kind).or_default().insert(described.label);
    }
    // When `finish` is sent the job has ended, and nothing strikes any more.
    for message in crate::faults::message_kinds().into_iter().filter(|message| *message != "finish") {
        for (kind, how) in [
            ("lose-message", "once"),
            ("lose-message", "with every repetition"),
            ("delay-message", "beyond every detector"),
            ("duplicate-message", "beyond every detector"),
        ] {
            let label = format!("{message} {how}");
            assert!(labels[kind].contains(&label), "{kind} {label}");
        }
    }
}

/// Tries FAULTS-C1, with a strike of every kind.
#[test]
fn a_correct_engine_survives_canonical_strikes() {
    let catalogue = catalogue(&all_cuts());
    for kind in Kind::ALL {
        for number in some(&catalogue, 2, |number| catalogue.strikes()[number as usize].kind == *kind) {
            let verdict = run(&catalogue, number).0.verdict;
            let survived = matches!(verdict, Verdict::Passed | Verdict::Vacuous { .. });
            assert!(survived, "FAULTS-C1: {:?}: {verdict:?}", catalogue.describe(number));
        }
    }
    // Where the job needs every TaskManager, none is taken for good.
    let tight = RunPlan { cluster: ClusterPlan { task_managers: 1, ..base().cluster }, ..base() };
    let node = |node: &str, role| Victim { node: node.into(), role, busy: role == TASK_MANAGER, emits: false };
    let nodes = [node("jm-1", LEADER), node("tm-1", TASK_MANAGER)];
    let canon = crate::faults::Canon {
        plan: &tight,
        keyed: true,
        alone: true,
        place: crate::faults::Place::Event,
        nodes: &nodes,
    };
    let of_task_manager = |strike: &crate::faults::Canonical| strike.role == TASK_MANAGER;
    let all = Kind::ALL.iter().flat_map(|kind| strikes(kind.spec(), &canon)).filter(of_task_manager);
    assert!(all.into_iter().all(|strike| !strike.label.contains("for good")), "FAULTS-C1");
}

/// After a kill in a recovery, every event of the following recovery is struck, and nothing before it.
#[test]
fn recoveries_of_recoveries_are_struck() {
    let base = base();
    let itself = catalogue(&all_cuts());
    let first = grounds(&itself, &base, Scope::Recovery).swap_remove(0);
    let once = Catalogue::new(base.clone(), true, vec![surveyed(Ground::itself()), surveyed(first)], &all_cuts());
    let deeper = grounds_of_recoveries(&once, &base);
    assert!(deeper.len() > 10, "{}", deeper.len());
    assert!(deeper.iter().all(|(of, ground)| (*of, ground.depth) == (1, 2)));
    let late = deeper.into_iter().map(|(_, ground)| ground).skip(5);
    let ground = late.into_iter().find_map(surveyed_if_passed).unwrap();
    let since = ground.ground().since;
    let twice = Catalogue::new(base, true, vec![surveyed(Ground::itself()).without_strikes(), ground], &all_cuts());
    let strikes = twice.strikes().len();
    assert!(strikes > 20, "{strikes}");
    let mut struck_again = 0;
    for number in some(&twice, 8, |_| true) {
        let described = twice.describe(number);
        assert!(["kill", "machine-loss"].contains(&described.kind) && described.at >= since, "{described:?}");
        let (record, _) = run(&twice, number);
        let struck = |fault: usize| record.faults[fault].struck_at_ns;
        assert!(struck(0).is_some(), "{described:?}");
        // A node that is already dead cannot be killed.
        let second = struck(twice.faults_before(number));
        assert!(second.is_none_or(|at| at == described.at.0), "{described:?}");
        struck_again += usize::from(second.is_some());
        let survived = matches!(record.verdict, Verdict::Passed | Verdict::Vacuous { .. });
        assert!(survived, "{described:?}: {:?}", record.verdict);
    }
    assert!(struck_again >= 4, "{struck_again}");
}

/// What a cut removes by itself is the difference that switching it off makes, and every sound cut removes something.
#[test]
fn every_cut_is_measured_by_itself() {
    let with = catalogue(&all_cuts());
    for cut in assumed(&with, &all_cuts(), &Cut::ALL) {
        let without = catalogue(&Cuts::without(&[Cut::from_name(&cut.name).unwrap()])).classes().len() as u64;
        assert_eq!((cut.of, cut.removes), (without, without - with.classes().len() as u64), "{}", cut.name);
    }
    assert!(assumed(&with, &Cuts::without(&Cut::ALL), &Cut::ALL).is_empty(), "what is not made removes nothing");
    let sound = sound(&with);
    assert!(sound.iter().all(|cut| 0 < cut.removes && cut.removes < cut.of), "{sound:?}");
    let strikes = with.strikes().len() as u64;
    let standby = sound.iter().find(|cut| cut.name.starts_with("standby")).unwrap();
    assert_eq!(standby.of - standby.removes, strikes);
}

/// Both faults of a pair of a covering array strike, and the second one where the clean run of the first predicts it.
#[test]
fn both_faults_of_a_covering_pair_strike_in_their_phases() {
    let base = base();
    let itself = catalogue(&all_cuts());
    let slots = firsts_by_phase(&itself);
    assert!(slots.len() > 100, "{}", slots.len());
    let some_slots = slots.into_iter().step_by(23).take(6);
    let firsts: Vec<(Slot, Surveyed)> = some_slots
        .filter_map(|(slot, numbers)| {
            surveyed_if_passed(ground_of(&itself, &base, numbers[0], Scope::Behind)).map(|ground| (slot, ground))
        })
        .collect();
    assert!(firsts.len() >= 3, "{}", firsts.len());
    let itself = itself.into_grounds().swap_remove(0);
    let (catalogue, pairs) = Catalogue::covering(base, true, itself, firsts, Strength::Three);
    assert_eq!(pairs.len(), catalogue.strikes().len());
    let is_kill = |number: u32| catalogue.strikes()[number as usize].kind == Kind::Kill;
    let at_events = |number: u32| matches!(catalogue.strikes()[number as usize].site, Site::Event(_));
    let mut kills = 0;
    let fits = |number: u32| at_events(number) && (number.is_multiple_of(7) || is_kill(number));
    for number in some(&catalogue, 16, fits) {
        let described = catalogue.describe(number);
        let ground = &catalogue.grounds()[usize::from(catalogue.strikes()[number as usize].ground)];
        let phase = Phase::ALL[usize::from(pairs[number as usize].second.phase)];
        assert_eq!(ground.positions()[described.event].phase, phase, "{described:?}");
        let (record, _) = run(&catalogue, number);
        assert!(record.faults[0].struck_at_ns.is_some(), "{described:?}");
        // A rule that is armed at its event strikes later, or never.
        let struck = record.faults[catalogue.faults_before(number)].struck_at_ns;
        assert!(struck.is_none_or(|at| at >= described.at.0), "{described:?}: {struck:?}");
        kills += usize::from(catalogue.strikes()[number as usize].kind == Kind::Kill && struck == Some(described.at.0));
        let survived = matches!(record.verdict, Verdict::Passed | Verdict::Vacuous { .. });
        assert!(survived, "{described:?}: {:?}", record.verdict);
    }
    assert!(kills > 0, "nobody was killed");
}

/// Tries SIGNATURE-S1.
#[test]
fn the_same_plan_has_the_same_signature() {
    let catalogue = catalogue(&all_cuts());
    for number in some(&catalogue, 8, |_| true) {
        let [(one, signature), (other, again)] = [0, 1].map(|_| run(&catalogue, number));
        assert_eq!((one.trace_hash, &signature), (other.trace_hash, &again), "SIGNATURE-S1");
    }
}
