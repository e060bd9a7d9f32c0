//! Control messages that are lost, delayed or duplicated.

use super::*;
use crate::codec::{decode, encoded};
use crate::ids::{CheckpointId, Term};
use crate::message_kind::MessageKind;
use crate::wire::{Order, ToJobManager, ToTaskManager};

/// The connection of a TaskManager to its JobManager; the opener's end first.
async fn control(tm: &Idle, jm: &Idle) -> (Connection, Connection) {
    let mut listener = jm.env().listen(Port::Control).await.unwrap();
    let (env, to) = (tm.env(), listener.address());
    let (near, far) = join(env.connect(&to, ms(10_000)), listener.accept()).await;
    (near.unwrap(), far.unwrap())
}

fn order(order: Order) -> Frame {
    encoded(&ToTaskManager { term: Term(1), order }).into()
}

fn trigger(number: u32) -> Frame {
    order(Order::Trigger(Attempt(1), CheckpointId(number.into())))
}

fn canceled(number: u32) -> Frame {
    encoded(&ToJobManager::Canceled(Attempt(number))).into()
}

fn rule(kind: MessageKind, node: Option<&str>, fault: MessageFault, count: u32) -> MessageRule {
    MessageRule { kind, node: node.map(str::to_owned), fault, count }
}

async fn say(sender: &mut Sender, frame: Frame) {
    within(Duration::ZERO, sender.send(frame)).await.expect("there is room").unwrap();
}

/// The numbers of all triggers (heartbeats: 0) that arrive within a minute, with the time of each.
async fn orders(receiver: &mut Receiver) -> Vec<(u64, Time)> {
    let mut heard = Vec::new();
    while let Some(Ok(frame)) = within(ms(60_000), receiver.receive()).await {
        let message: ToTaskManager = decode(&mut &frame.body[..]).unwrap();
        let number = match message.order {
            Order::Trigger(_, checkpoint) => checkpoint.0,
            Order::Heartbeat => 0,
            other => panic!("nobody sent {other:?}"),
        };
        heard.push((number, now()));
    }
    heard
}

fn numbers(heard: &[(u64, Time)]) -> Vec<u64> {
    heard.iter().map(|(number, _)| *number).collect()
}

async fn jm_and_tm(world: &Arc<SimWorld>) -> (Idle, Idle, Connection, Connection) {
    let (jm, tm) = (Idle::add(world, "jm"), Idle::add(world, "tm"));
    let (near, far) = control(&tm, &jm).await;
    (jm, tm, near, far)
}

#[test]
fn lost_messages_never_arrive_and_fill_no_buffer() {
    let mut config = config();
    config.link.send_buffer = trigger(1).len() as u64;
    simulate(1, config, |world| async move {
        let (_jm, _tm, mut near, mut far) = jm_and_tm(&world).await;
        let number = world.add_message_rule(rule(MessageKind::Trigger, None, MessageFault::Lose, 3));
        assert_eq!(world.message_rule_hits(number), (0, None));
        for number in 1..=3 {
            pause(ms(1)).await;
            say(&mut far.sender, trigger(number)).await;
        }
        let last = now();
        say(&mut far.sender, trigger(4)).await;
        assert_eq!(within(ms(1000), far.sender.send(trigger(5))).await, None, "the buffer is as small as ever");
        let heard = orders(&mut near.receiver).await;
        assert_eq!(numbers(&heard), [4]);
        assert_eq!(world.message_rule_hits(number), (3, Some(last)));
        assert_eq!(world.message_rule_hits(number + 1), (0, None), "there is no such rule");
    });
}

#[test]
fn a_delayed_message_is_overtaken_and_arrives_when_it_is_due() {
    let mut config = config();
    config.link.send_buffer = 3 * trigger(1).len() as u64;
    config.link.bandwidth = 1 << 60;
    simulate(1, config, |world| async move {
        let (_jm, _tm, mut near, mut far) = jm_and_tm(&world).await;
        let rule = world.add_message_rule(rule(MessageKind::Trigger, Some("tm"), MessageFault::Delay(ms(500)), 2));
        let start = now();
        let saying = async {
            for number in 1..=4 {
                say(&mut far.sender, trigger(number)).await;
            }
            // Delayed messages are not in the buffer, so this one still finds room.
            say(&mut far.sender, trigger(5)).await;
            pause(ms(550)).await;
            say(&mut far.sender, trigger(6)).await;
        };
        let ((), heard) = join(saying, orders(&mut near.receiver)).await;
        assert_eq!(numbers(&heard), [3, 4, 5, 1, 2, 6], "NET-N1 but for the delayed ones");
        assert_at(heard[2].1, start + LATENCY);
        assert_at(heard[3].1, start + ms(500) + LATENCY);
        assert_at(heard[4].1, start + ms(500) + LATENCY);
        assert_eq!(world.message_rule_hits(rule), (2, Some(start)));
        for number in 7..=9 {
            say(&mut far.sender, trigger(number)).await;
        }
        assert_eq!(
            within(ms(1000), far.sender.send(trigger(10))).await,
            None,
            "neither did they free what was not theirs"
        );
    });
}

#[test]
fn a_duplicated_message_arrives_twice_in_a_row_and_leaves_the_buffer_empty() {
    let mut config = config();
    config.link.send_buffer = 4 * trigger(1).len() as u64;
    simulate(1, config, |world| async move {
        let (_jm, _tm, mut near, mut far) = jm_and_tm(&world).await;
        let rule = world.add_message_rule(rule(MessageKind::Trigger, Some("jm"), MessageFault::Duplicate, 1));
        say(&mut far.sender, trigger(1)).await;
        say(&mut far.sender, trigger(2)).await;
        let heard = orders(&mut near.receiver).await;
        assert_eq!(numbers(&heard), [1, 1, 2]);
        assert_at(heard[1].1, heard[0].1);
        assert_eq!(world.message_rule_hits(rule).0, 1);
        for number in 3..=6 {
            say(&mut far.sender, trigger(number)).await;
        }
        assert_eq!(within(ms(1000), far.sender.send(trigger(7))).await, None);
        assert_eq!(numbers(&orders(&mut near.receiver).await), [3, 4, 5, 6]);
    });
}

#[test]
fn a_message_that_is_doubled_late_arrives_in_time_and_once_more() {
    simulate(1, config(), |world| async move {
        let (_jm, _tm, mut near, mut far) = jm_and_tm(&world).await;
        let late = MessageFault::DuplicateLate(ms(500));
        let rule = world.add_message_rule(rule(MessageKind::Trigger, Some("jm"), late, 1));
        let start = now();
        say(&mut far.sender, trigger(1)).await;
        say(&mut far.sender, trigger(2)).await;
        let heard = orders(&mut near.receiver).await;
        assert_eq!(numbers(&heard), [1, 2, 1]);
        assert_at(heard[2].1, start + ms(500) + LATENCY);
        assert_eq!(world.message_rule_hits(rule).0, 1);
    });
}

#[test]
fn a_rule_knows_kind_node_and_direction() {
    simulate(1, config(), |world| async move {
        let (jm, _tm, mut near, mut far) = jm_and_tm(&world).await;
        let other = Idle::add(&world, "other");
        let (mut other_near, mut other_far) = control(&other, &jm).await;
        let heartbeats = world.add_message_rule(rule(MessageKind::Heartbeat, Some("tm"), MessageFault::Lose, 9));
        let reports = world.add_message_rule(rule(MessageKind::Canceled, None, MessageFault::Lose, 1));
        let nobody = world.add_message_rule(rule(MessageKind::Trigger, Some("nobody"), MessageFault::Lose, 9));
        let never = world.add_message_rule(rule(MessageKind::Trigger, None, MessageFault::Lose, 0));
        let heartbeat = || Frame::from(encoded(&ToJobManager::Heartbeat(None)));
        // Frames that are not messages pass, whatever bytes they hold.
        let noise = [Bytes::from_static(&[255; 9]), Bytes::new(), [&canceled(1).body[..], b"x"].concat().into()];
        for noise in noise.clone() {
            say(&mut near.sender, noise.into()).await;
        }
        say(&mut near.sender, heartbeat()).await;
        say(&mut near.sender, canceled(1)).await;
        say(&mut near.sender, canceled(2)).await;
        for noise in noise {
            assert_eq!(far.receiver.receive().await, Ok(noise.into()));
        }
        assert_eq!(far.receiver.receive().await, Ok(canceled(2)));
        say(&mut far.sender, order(Order::Heartbeat)).await;
        say(&mut far.sender, trigger(1)).await;
        assert_eq!(numbers(&orders(&mut near.receiver).await), [1]);
        say(&mut other_near.sender, heartbeat()).await;
        say(&mut other_far.sender, order(Order::Heartbeat)).await;
        assert_eq!(other_far.receiver.receive().await, Ok(heartbeat()));
        assert_eq!(numbers(&orders(&mut other_near.receiver).await), [0]);
        let hits = [heartbeats, reports, nobody, never].map(|rule| world.message_rule_hits(rule).0);
        assert_eq!(hits, [2, 1, 0, 0], "heartbeats go both ways");
    });
}

#[test]
fn data_connections_know_no_rules() {
    simulate(1, config(), |world| async move {
        let (_a, _b, mut near, mut far) = two(&world).await;
        let rule = world.add_message_rule(rule(MessageKind::Canceled, None, MessageFault::Lose, 9));
        say(&mut near.sender, canceled(1)).await;
        assert_eq!(far.receiver.receive().await, Ok(canceled(1)));
        assert_eq!(world.message_rule_hits(rule), (0, None));
    });
}

#[test]
fn of_two_rules_the_older_is_applied_until_it_ends() {
    simulate(1, config(), |world| async move {
        let (_jm, _tm, mut near, mut far) = jm_and_tm(&world).await;
        let twice = world.add_message_rule(rule(MessageKind::Trigger, None, MessageFault::Duplicate, 2));
        let lost = world.add_message_rule(rule(MessageKind::Trigger, None, MessageFault::Lose, 1));
        for number in 1..=4 {
            say(&mut far.sender, trigger(number)).await;
        }
        assert_eq!(numbers(&orders(&mut near.receiver).await), [1, 1, 2, 2, 4]);
        assert_eq!([twice, lost].map(|rule| world.message_rule_hits(rule).0), [2, 1]);
    });
}

#[test]
fn a_rule_that_is_taken_back_hurts_nothing_more_and_what_it_delayed_still_arrives() {
    simulate(1, config(), |world| async move {
        let (_jm, _tm, mut near, mut far) = jm_and_tm(&world).await;
        let lost = world.add_message_rule(rule(MessageKind::Trigger, None, MessageFault::Lose, 9));
        say(&mut far.sender, trigger(1)).await;
        let late = world.add_message_rule(rule(MessageKind::Trigger, None, MessageFault::Delay(ms(500)), 9));
        world.end_message_rule(lost);
        say(&mut far.sender, trigger(2)).await;
        // Withdrawing a rule twice, or one that does not exist, does nothing.
        [late, late, late + 1].into_iter().for_each(|rule| world.end_message_rule(rule));
        say(&mut far.sender, trigger(3)).await;
        assert_eq!(numbers(&orders(&mut near.receiver).await), [3, 2]);
        assert_eq!([lost, late].map(|rule| world.message_rule_hits(rule).0), [1, 1]);
    });
}

#[test]
fn a_delayed_message_does_not_cross_a_cut_and_keeps_its_delay_through_a_short_one() {
    for (cut_before_it_is_sent, outage, delay) in
        [(false, 100, 50), (true, 100, 50), (false, 100, 1000), (true, 100, 1000)]
    {
        simulate(1, config(), move |world| async move {
            let (_jm, _tm, mut near, mut far) = jm_and_tm(&world).await;
            world.add_message_rule(rule(MessageKind::Trigger, None, MessageFault::Delay(ms(delay)), 1));
            if cut_before_it_is_sent {
                world.cut("jm", "tm");
            }
            let start = now();
            say(&mut far.sender, trigger(1)).await;
            pause(ms(1)).await;
            say(&mut far.sender, trigger(2)).await;
            if !cut_before_it_is_sent {
                world.cut("jm", "tm");
            }
            let healing = async {
                pause(ms(outage)).await;
                world.heal("jm", "tm");
                now()
            };
            let (healed, heard) = join(healing, orders(&mut near.receiver)).await;
            let mut all = numbers(&heard);
            all.sort();
            assert_eq!(all, [1, 2], "both arrive once");
            assert!(heard.iter().all(|(_, at)| *at >= healed + LATENCY), "NET-N2");
            let delayed = heard.iter().find(|(number, _)| *number == 1).unwrap().1;
            if delay > outage {
                assert_at(delayed, start + ms(delay) + LATENCY);
            } else {
                assert!(delayed < healed + ms(outage) + LATENCY + SLACK);
            }
        });
    }
}

#[test]
fn a_delayed_message_dies_with_its_sender_and_is_not_for_the_next_life_of_its_receiver() {
    for death in [Death::Crash, Death::MachineLoss] {
        for victim in ["jm", "tm"] {
            simulate(1, config(), move |world| async move {
                let (jm, tm, mut near, mut far) = jm_and_tm(&world).await;
                world.add_message_rule(rule(MessageKind::Trigger, None, MessageFault::Delay(ms(500)), 1));
                say(&mut far.sender, trigger(1)).await;
                pause(ms(100)).await;
                world.kill(victim, death);
                pause(ms(10)).await;
                world.restart(victim);
                let (mut young, mut young_far) = control(&tm, &jm).await;
                say(&mut young_far.sender, trigger(2)).await;
                let (heard, old) = join(orders(&mut young.receiver), async {
                    if victim == "jm" { orders(&mut near.receiver).await } else { Vec::new() }
                })
                .await;
                assert_eq!(numbers(&heard), [2]);
                assert_eq!(old, [], "NET-N3");
            });
        }
    }
}

#[test]
fn a_delayed_message_does_not_come_behind_the_end_or_a_reset_of_its_connection() {
    for tear in [false, true] {
        simulate(1, config(), move |world| async move {
            let (_jm, _tm, mut near, mut far) = jm_and_tm(&world).await;
            world.add_message_rule(rule(MessageKind::Trigger, None, MessageFault::Delay(ms(500)), 1));
            say(&mut far.sender, trigger(1)).await;
            say(&mut far.sender, trigger(2)).await;
            pause(ms(100)).await;
            let end = if tear {
                world.reset_connections("jm", None, false);
                Err(NetError::Reset)
            } else {
                drop(far.sender);
                Err(NetError::Closed)
            };
            if !tear {
                assert_eq!(near.receiver.receive().await, Ok(trigger(2)));
            }
            assert_eq!(near.receiver.receive().await, end);
            pause(ms(1000)).await;
            assert_eq!(near.receiver.receive().await, end);
        });
    }
}

#[test]
fn a_half_open_connection_gets_neither_delayed_messages_nor_counts_for_a_rule() {
    simulate(1, config(), |world| async move {
        let (_jm, _tm, mut near, mut far) = jm_and_tm(&world).await;
        let delayed = world.add_message_rule(rule(MessageKind::Trigger, None, MessageFault::Delay(ms(500)), 1));
        let lost = world.add_message_rule(rule(MessageKind::Trigger, None, MessageFault::Lose, 1));
        say(&mut far.sender, trigger(1)).await;
        world.half_open("tm", "jm");
        say(&mut far.sender, trigger(2)).await;
        assert_eq!(near.receiver.receive().await, Err(NetError::Reset));
        assert_eq!(within(ms(60_000), far.receiver.receive()).await, None);
        assert_eq!(
            [delayed, lost].map(|rule| world.message_rule_hits(rule).0),
            [1, 0],
            "what vanishes anyway is no hit"
        );
    });
}
