//! To which fault the counts of the world are attributed.

use super::*;

fn link(from: &str, to: &str) -> Gauge {
    Gauge::Held(from.into(), to.into())
}

impl Fake {
    /// The gauge counts this many more.
    fn hurts(&self, gauge: Gauge, more: u64) {
        *self.harms.borrow_mut().entry(gauge).or_default() += more;
    }
}

fn harms(nemesis: &Nemesis) -> Vec<Vec<(Harm, u64)>> {
    nemesis.strikes().iter().map(|strike| strike.harms.iter().map(|(harm, count)| (*harm, *count)).collect()).collect()
}

#[test]
fn what_a_link_holds_back_counts_for_every_cut_in_force_and_for_no_other() {
    let (fake, heal) = (Fake::default(), |after| Some(secs(after)));
    let mut nemesis = nemesis(vec![
        cut(1, &["tm-1"], &["tm-2"], true, heal(4)),
        FaultPlan { trigger: Trigger::At(secs(3)), ..cut(2, &["tm-1"], &["tm-2"], false, heal(4)) },
        cut(3, &["tm-3"], &["tm-2"], false, heal(4)),
    ]);
    fake.hurts(link("tm-1", "tm-2"), 100);
    run_to(&mut nemesis, &fake, 2_000);
    fake.hurts(link("tm-2", "tm-1"), 1);
    fake.hurts(link("tm-1", "tm-2"), 2);
    run_to(&mut nemesis, &fake, 4_000);
    fake.hurts(link("tm-1", "tm-2"), 4);
    run_to(&mut nemesis, &fake, 6_000);
    fake.hurts(link("tm-1", "tm-2"), 8);
    nemesis.finish(&fake, ms(6_500));
    let held = |count| vec![(Harm::FramesHeldBack, count)];
    assert_eq!(harms(&nemesis), [held(1 + 2 + 4), held(4 + 8), vec![]]);
}

fn bandwidth(id: u32, at: u64, rate: u64, heal_after: u64) -> FaultPlan {
    let (from, to, latency) = (node("tm-1"), node("tm-2"), None);
    let action = FaultAction::Link { from, to, latency, bandwidth: Some(rate), heal_after: Some(secs(heal_after)) };
    FaultPlan { trigger: Trigger::At(secs(at)), ..fault(id, action) }
}

/// Tries HARM-3.
#[test]
fn a_property_has_one_owner_at_a_time_and_whoever_sets_it_to_the_same_owns_nothing() {
    let fake = Fake::default();
    let speed = || Gauge::Bandwidth("tm-1".into(), "tm-2".into());
    let mut nemesis = nemesis(vec![bandwidth(1, 1, 10, 9), bandwidth(2, 2, 10, 9), bandwidth(3, 4, 5, 2)]);
    run_to(&mut nemesis, &fake, 3_000);
    fake.hurts(speed(), 1);
    run_to(&mut nemesis, &fake, 5_000);
    fake.hurts(speed(), 2);
    run_to(&mut nemesis, &fake, 7_000);
    fake.hurts(speed(), 4);
    run_to(&mut nemesis, &fake, 10_500);
    // The first fault has ended, so now the second one sets the property.
    fake.hurts(speed(), 8);
    run_to(&mut nemesis, &fake, 12_000);
    fake.hurts(speed(), 16);
    nemesis.finish(&fake, ms(13_000));
    let sent = |count| vec![(Harm::FramesOfOtherSpeed, count)];
    assert_eq!(harms(&nemesis), [sent(1 + 4), sent(8), sent(2)]);
}

#[test]
fn what_is_done_at_once_is_noted_at_once_and_a_node_that_never_goes_on_was_stopped() {
    let fake = Fake { connections: 2, ..Fake::default() };
    let pause = |id, target: &str, resume_after| fault(id, FaultAction::Pause { target: node(target), resume_after });
    let reset = FaultAction::Reset { target: node("tm-2"), peer: None, one: false };
    let jump = |id, by| {
        let (target, how) = (node("tm-2"), ClockFault::Forward(by));
        fault(id, FaultAction::Clock { target, how, heal_after: None })
    };
    let mut nemesis = nemesis(vec![
        FaultPlan { repeat: 1, ..kill(1, Trigger::At(secs(1))) },
        pause(2, "tm-3", None),
        fault(3, reset),
        jump(4, Duration::ZERO),
        jump(5, secs(1)),
        pause(6, "jm-2", Some(secs(1))),
    ]);
    run_to(&mut nemesis, &fake, 3_000);
    fake.hurts(Gauge::WrongClock("tm-2".into()), 7);
    // Seen only after the node has gone on.
    fake.hurts(Gauge::StoodStill("jm-2".into()), 3);
    nemesis.finish(&fake, ms(4_000));
    let expected = [
        vec![(Harm::NodesKilled, 1)],
        vec![(Harm::NodesStopped, 1)],
        vec![(Harm::ConnectionsReset, 2)],
        vec![],
        vec![(Harm::WrongClockReadings, 7)],
        vec![(Harm::StepsHeldBack, 3)],
    ];
    assert_eq!(harms(&nemesis), expected);
}

#[test]
fn a_rule_of_a_store_hurts_what_the_world_counts_for_it_and_not_what_it_applied_to() {
    let fake = Fake::default();
    let action = FaultAction::Store {
        store: Some(StoreName::Checkpoints),
        node: None,
        how: StoreFault::StaleRead(secs(1)),
        count: None,
        heal_after: Some(secs(1)),
    };
    let mut nemesis = nemesis(vec![fault(1, action)]);
    run_to(&mut nemesis, &fake, 1_000);
    fake.hurt(1, 5, 1_200);
    run_to(&mut nemesis, &fake, 3_000);
    nemesis.finish(&fake, ms(3_000));
    assert_eq!((nemesis.strikes()[0].hits.len(), harms(&nemesis)), (1, vec![vec![]]));
}

#[test]
fn words_begin_with_a_plural() {
    let all = [
        Harm::NodesKilled,
        Harm::NodesLost,
        Harm::StepsHeldBack,
        Harm::NodesStopped,
        Harm::WorkMadeLonger,
        Harm::RecordsRefused,
        Harm::FramesHeldBack,
        Harm::FramesOfOtherLatency,
        Harm::FramesOfOtherSpeed,
        Harm::FramesReadLate,
        Harm::ConnectionsReset,
        Harm::ConnectionsRefused,
        Harm::ConnectionsHalfOpen,
        Harm::MessagesLost,
        Harm::MessagesDelayed,
        Harm::MessagesDoubled,
        Harm::RequestsUnanswered,
        Harm::RequestsDelayed,
        Harm::RequestsThrottled,
        Harm::WritesFailed,
        Harm::WritesAnsweredWithErrors,
        Harm::WritesTorn,
        Harm::LostFilesMissed,
        Harm::DamagedFilesMet,
        Harm::ReadsOfThePast,
        Harm::ListingsOfThePast,
        Harm::LocalFilesDamaged,
        Harm::WrongClockReadings,
    ];
    for harm in all {
        assert!(harm.words().split(' ').next().is_some_and(|word| word.ends_with('s')), "{harm:?}");
    }
}
