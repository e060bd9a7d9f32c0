//! When faults strike.

use super::*;

/// Which of [`events`] a fault with this trigger strikes at.
fn due_at(trigger: Trigger, repeat: u32) -> Vec<usize> {
    let mut nemesis = nemesis(vec![FaultPlan { repeat, ..kill(1, trigger) }]);
    let fake = Fake::default();
    (0..).zip(events()).filter(|(_, record)| !nemesis.due(&fake, record).is_empty()).map(|(index, _)| index).collect()
}

fn strikes_at(trigger: EventTrigger) -> Vec<usize> {
    due_at(Trigger::On(trigger), 1)
}

#[test]
fn a_trigger_matches_every_given_field_and_strikes_once() {
    let any = || on("snapshot-sync-begun");
    assert_eq!(strikes_at(any()), [0]);
    assert_eq!(strikes_at(on("snapshot-sync-ended")), [0; 0]);
    assert_eq!(strikes_at(EventTrigger { checkpoint: Some(2), ..any() }), [3]);
    assert_eq!(strikes_at(EventTrigger { vertex: Some(1), ..any() }), [1]);
    assert_eq!(strikes_at(EventTrigger { subtask: Some(1), ..any() }), [2]);
    assert_eq!(strikes_at(EventTrigger { node: Some("tm-2".into()), ..any() }), [2]);
    assert_eq!(strikes_at(EventTrigger { attempt: Some(2), ..any() }), [4]);
    assert_eq!(strikes_at(EventTrigger { vertex: Some(1), subtask: Some(1), nth: 2, ..any() }), [4]);
    assert_eq!(strikes_at(EventTrigger { checkpoint: Some(1), attempt: Some(2), ..any() }), [0; 0]);
    assert_eq!(strikes_at(EventTrigger { nth: 3, ..any() }), [2]);
    assert_eq!(strikes_at(EventTrigger { nth: 6, ..any() }), [0; 0]);
}

#[test]
fn a_repeated_trigger_strikes_at_the_matches_that_follow() {
    let second = EventTrigger { nth: 2, ..on("snapshot-sync-begun") };
    assert_eq!(due_at(Trigger::On(second), 3), [1, 2, 3]);
}

#[test]
fn an_event_without_the_field_never_matches() {
    let trigger = Trigger::On(EventTrigger { subtask: Some(0), ..on("job-running") });
    let mut nemesis = nemesis(vec![kill(1, trigger)]);
    assert_eq!(nemesis.due(&Fake::default(), &at(0, "jm-1", Event::JobRunning { attempt: Attempt(1) })), [0; 0]);
}

#[test]
fn each_kind_of_event_is_struck_once_and_the_end_of_the_job_never() {
    let each = |nth| EventTrigger { nth, ..EventTrigger::default() };
    let running = || at(0, "jm-1", Event::JobRunning { attempt: Attempt(1) });
    let finished = || at(0, "jm-1", Event::JobFinished { attempt: Attempt(1) });
    let records: Vec<_> = events().into_iter().chain([running(), running(), finished(), finished()]).collect();
    for (nth, expected) in [(1, [0, 5]), (2, [1, 6])] {
        let mut nemesis = nemesis(vec![kill(1, Trigger::Each(each(nth)))]);
        let due = |record| !nemesis.due(&Fake::default(), record).is_empty();
        let struck: Vec<usize> =
            records.iter().map(due).enumerate().filter(|(_, due)| *due).map(|(index, _)| index).collect();
        assert_eq!(struck, expected);
    }
}

#[test]
fn strikes_that_must_be_apart_wait_for_the_next_occurrence() {
    let trigger = EventTrigger { nth: 1, apart: Some(secs(1)), ..EventTrigger::default() };
    let mut nemesis = nemesis(vec![kill(1, Trigger::Each(trigger))]);
    let running = |ms| at(ms, "jm-1", Event::JobRunning { attempt: Attempt(1) });
    let ready = |ms| at(ms, "jm-1", Event::RestartReady { attempt: Attempt(1) });
    let canceled = |ms| at(ms, "jm-1", Event::TasksCanceled { attempt: Attempt(1) });
    let records = [
        running(0),
        ready(10),
        running(900),
        running(1_200),
        ready(1_300),
        canceled(2_299),
        ready(2_400),
        canceled(2_500),
    ];
    let due = |record| !nemesis.due(&Fake::default(), record).is_empty();
    let struck: Vec<usize> =
        records.iter().map(due).enumerate().filter(|(_, due)| *due).map(|(index, _)| index).collect();
    assert_eq!(struck, [0, 4, 7], "each kind once, at least a second after the one before");
}

#[test]
fn matches_count_only_once_the_fault_before_has_struck() {
    let second = EventTrigger { nth: 2, after_fault: Some(1), ..on("snapshot-sync-begun") };
    let faults = vec![kill(1, Trigger::At(secs(1))), kill(2, Trigger::On(second))];
    let (mut nemesis, fake) = (nemesis(faults), Fake::default());
    let [first, second, third, ..] = events();
    assert_eq!(nemesis.due(&fake, &first), [0; 0]);
    nemesis.on_time(&fake, ms(1_000));
    assert_eq!(nemesis.due(&fake, &second), [0; 0]);
    assert_eq!(nemesis.due(&fake, &third), [1]);
}

/// Neither the events before that event count, nor the event itself.
#[test]
fn matches_count_only_once_the_event_before_was_seen() {
    let after = |event: &str| EventTrigger { after: Some(event.into()), ..on("snapshot-sync-begun") };
    assert_eq!(strikes_at(after("job-running")), [0; 0]);
    assert_eq!(strikes_at(after("snapshot-sync-begun")), [1]);
    // If the trigger also waits for a fault, the event must come after that fault.
    let trigger = EventTrigger { after_fault: Some(1), ..after("snapshot-sync-begun") };
    let (mut nemesis, fake) =
        (nemesis(vec![kill(1, Trigger::At(secs(1))), kill(2, Trigger::On(trigger))]), Fake::default());
    let [first, second, third, ..] = events();
    assert_eq!(nemesis.due(&fake, &first), [0; 0]);
    nemesis.on_time(&fake, ms(1_000));
    assert_eq!(nemesis.due(&fake, &second), [0; 0]);
    assert_eq!(nemesis.due(&fake, &third), [1]);
}

#[test]
fn matches_count_only_from_a_time_on() {
    // The events are a millisecond apart.
    let records: Vec<_> = (0..).map(ms).zip(events()).map(|(at, record)| EventRecord { at, ..record }).collect();
    let strikes = |from: u64, nth| {
        let not_before = Some(Duration::from_millis(from));
        let mut nemesis =
            nemesis(vec![kill(1, Trigger::On(EventTrigger { not_before, nth, ..on("snapshot-sync-begun") }))]);
        let struck = |record| !nemesis.due(&Fake::default(), record).is_empty();
        records.iter().map(struck).position(|struck| struck)
    };
    assert_eq!([0, 1, 3].map(|from| strikes(from, 1)), [0, 1, 3].map(Some));
    assert_eq!((strikes(1, 3), strikes(1, 5), strikes(60_000, 1)), (Some(3), None, None));
}

#[test]
fn a_fault_at_a_time_is_tried_once_and_says_why_it_missed() {
    let faults = [7, 3].map(|at| kill(1, Trigger::At(secs(at)))).to_vec();
    let (mut nemesis, fake) = (nemesis(faults), Fake::default());
    assert_eq!(nemesis.next_time(), Some(ms(3_000)));
    nemesis.on_time(&fake, ms(3_000));
    assert_eq!(nemesis.next_time(), Some(ms(7_000)));
    nemesis.on_time(&fake, ms(7_000));
    assert_eq!(nemesis.next_time(), None);
    let [late, early] = nemesis.strikes() else { panic!() };
    assert_eq!((early.struck_at(), early.target().as_str()), (Some(ms(3_000)), "tm-1"));
    assert_eq!((late.struck_at(), late.detail()), (None, "tm-1 was down already"));
}

#[test]
fn a_fault_by_the_clock_strikes_again_after_each_period() {
    let trigger = Trigger::Every { first: secs(2), period: secs(5) };
    let action = FaultAction::Reset { target: node("tm-1"), peer: None, one: false };
    let plan = FaultPlan { repeat: 3, trigger, delay: Duration::from_millis(500), ..fault(1, action) };
    let (mut nemesis, fake) = (nemesis(vec![plan]), Fake { connections: 2, ..Fake::default() });
    assert_eq!(run_to(&mut nemesis, &fake, 100_000).len(), 3);
    let times: Vec<_> = nemesis.strikes()[0].hits.iter().map(|hit| hit.at).collect();
    assert_eq!(times, [ms(2_500), ms(7_500), ms(12_500)]);
}

#[test]
fn a_delayed_strike_comes_by_the_clock_and_remembers_the_emitter() {
    let emitter = |delay| FaultPlan {
        delay,
        action: FaultAction::Pause { target: NodeTarget::Emitter, resume_after: Some(secs(1)) },
        ..kill(1, Trigger::On(on("snapshot-sync-begun")))
    };
    let (mut nemesis, fake) = (nemesis(vec![emitter(secs(2)), emitter(Duration::ZERO)]), Fake::default());
    let record = &events()[2];
    assert_eq!(nemesis.due(&fake, record), [0, 1]);
    nemesis.strike(0, &fake, record);
    nemesis.strike(1, &fake, record);
    assert_eq!(fake.done(), ["pause tm-2"]);
    assert_eq!(run_to(&mut nemesis, &fake, 10_000), ["resume tm-2", "pause tm-2", "resume tm-2"]);
    let [delayed, at_once] = nemesis.strikes() else { panic!() };
    assert_eq!((delayed.hits[0].at, delayed.hits[0].position.as_str()), (ms(2_000), ""));
    assert_eq!((at_once.hits[0].at, at_once.hits[0].position.as_str()), (ms(0), "snapshot-sync-begun"));
    assert_eq!((delayed.healed_at(), at_once.healed_at()), (Some(ms(3_000)), Some(ms(1_000))));
}

#[test]
fn a_trigger_is_described_as_it_is_written() {
    assert_eq!(describe(&Trigger::At(Duration::from_millis(2_500))), "at 2s 500ms");
    assert_eq!(describe(&Trigger::Every { first: secs(2), period: secs(1) }), "at 2s, then every 1s");
    assert_eq!(describe(&Trigger::On(on("fell-back"))), "on fell-back");
    let each = EventTrigger { attempt: Some(2), nth: 1, ..EventTrigger::default() };
    assert_eq!(describe(&Trigger::Each(each)), "at each kind of event attempt=2");
    let full = EventTrigger {
        event: "sink-committed".into(),
        checkpoint: Some(3),
        vertex: Some(1),
        subtask: Some(0),
        node: Some("tm-2".into()),
        attempt: Some(2),
        nth: 4,
        after_fault: Some(1),
        after: Some("restore-begun".into()),
        not_before: Some(secs(90)),
        apart: None,
    };
    let expected = "on sink-committed checkpoint=3 vertex=1 subtask=0 node=tm-2 attempt=2 nth=4 after-fault=1 \
                    after=restore-begun not-before=1m 30s";
    assert_eq!(describe(&Trigger::On(full)), expected);
}
