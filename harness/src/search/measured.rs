//! What each cut of a search removes by itself: measured with all other cuts made, and this one not.
//!
//! Start at [`assumed`] and [`sound`]. An assumed cut takes strikes to be the same, so it is measured in classes. A
//! sound cut keeps strikes that cannot matter out of the catalogue, so it is measured in what would have to be examined
//! without it; each names its unit.

use std::collections::{BTreeMap, BTreeSet};

use flowquake_reports::exhaust::MeasuredCut;

use super::cut::{Cut, Cuts};
use super::ground::Scope;
use super::strike::Catalogue;
use super::surveyed::Site;
use crate::faults::Kind;

/// How many classes each of these cuts removes, for the cuts that are made.
pub fn assumed(catalogue: &Catalogue, cuts: &Cuts, which: &[Cut]) -> Vec<MeasuredCut> {
    let with = catalogue.classes().len() as u64;
    let measured = |cut: &Cut| {
        let without: Vec<Cut> = Cut::ALL.into_iter().filter(|other| other == cut || !cuts.has(*other)).collect();
        let of = catalogue.count_classes(&Cuts::without(&without));
        MeasuredCut { name: cut.name().into(), sound: false, unit: "classes".into(), of, removes: of - with }
    };
    which.iter().filter(|cut| cuts.has(**cut)).map(measured).collect()
}

/// What each sound cut removes, on all grounds together.
pub fn sound(catalogue: &Catalogue) -> Vec<MeasuredCut> {
    let mut seen = Seen::default();
    for (number, ground) in catalogue.grounds().iter().enumerate() {
        if ground.ground().scope != Scope::Nothing {
            seen.look_at(catalogue, number);
        }
    }
    let cut = |name: &str, unit: &str, of: u64, removes: u64| MeasuredCut {
        name: name.into(),
        sound: true,
        unit: unit.into(),
        of,
        removes,
    };
    vec![
        cut("roles and plan", "kinds at nodes at events", seen.asked, seen.asked - seen.applied),
        cut("messages and writes", "rules at events", seen.rules_at_events, seen.rules_at_events - seen.rules_aimed),
        cut("standby reads the log", "strikes", seen.strikes + seen.of_standby, seen.of_standby),
        cut("end of the job", "strikes", seen.strikes + seen.behind_end, seen.behind_end),
    ]
}

#[derive(Default)]
struct Seen {
    /// Kinds of faults, counted for every node at every event.
    asked: u64,
    /// Those of them that can strike that node there.
    applied: u64,
    /// Rules about messages and writes, each counted as armed at every event.
    rules_at_events: u64,
    /// Rules that are aimed at a message or write that exists.
    rules_aimed: u64,
    /// Strikes in the catalogue.
    strikes: u64,
    /// Strikes at a standby between two entries of the log.
    of_standby: u64,
    /// Strikes at the job's last event.
    behind_end: u64,
}

impl Seen {
    fn look_at(&mut self, catalogue: &Catalogue, number: usize) {
        let mut rules: BTreeSet<(Kind, String, String)> = BTreeSet::new();
        let mut aimed = 0;
        let mut events: BTreeMap<u32, BTreeSet<(Kind, String)>> = BTreeMap::new();
        catalogue.each_made(number, &Cuts::without(&[]), |site, kind, made, skipped| {
            if skipped {
                self.of_standby += 1;
                return;
            }
            self.strikes += 1;
            let nodes = [&made.victim, &made.peer].into_iter().flatten().map(|victim| victim.node.clone());
            match site {
                Site::Event(at) => events.entry(at).or_default().extend(nodes.map(|node| (kind, node))),
                Site::Message(_) | Site::Write(_) => {
                    aimed += 1;
                    rules.insert((kind, made.label.clone(), nodes.collect::<Vec<_>>().join(" ")));
                }
                Site::Run => {}
            }
        });
        let (nodes, kinds) = catalogue.nodes_and_kinds(number);
        self.asked += events.len() as u64 * nodes * kinds;
        self.applied += events.values().map(|pairs| pairs.len() as u64).sum::<u64>();
        // An event at which nothing strikes still counts as a place.
        let places = catalogue.events_aimed_at(number).max(events.len() as u64);
        self.rules_at_events += (rules.len() as u64 * places).max(aimed);
        self.rules_aimed += aimed;
        self.behind_end += catalogue.strikes_at_end(number);
    }
}
