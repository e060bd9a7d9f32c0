//! Sleeping, and charged work.

use super::*;

#[test]
fn short_sleeps_take_their_time_and_no_more() {
    simulate(1, config(), |world| async move {
        let env = Idle::add(&world, "a").env();
        let ((), took) = timed(async {
            for _ in 0..1000 {
                env.sleep(Duration::from_micros(20)).await;
            }
        })
        .await;
        assert!(took >= ms(20) && took < Duration::from_micros(20_300), "{took:?}");
        let ((), took) = timed(env.sleep(Duration::ZERO)).await;
        assert_eq!(took, Duration::ZERO);
    });
}

#[test]
fn a_timer_can_be_set_again_while_it_is_waited_for() {
    simulate(1, config(), |world| async move {
        let env = Idle::add(&world, "a").env();
        let start = now();
        let mut timer = env.timer();
        assert_eq!(within(ms(1000), timer.wait()).await, None, "not set, it never fires");
        timer.set(Some(start + ms(5000)));
        assert_eq!(within(ms(10), timer.wait()).await, None);
        timer.set(Some(start + ms(2000)));
        timer.wait().await;
        assert_at(now(), start + ms(2000));
        assert_eq!(timer.deadline(), None);
        assert_eq!(within(ms(10_000), timer.wait()).await, None, "it fires once");
    });
}

#[test]
fn charges_queue_for_the_cores_of_their_node() {
    let mut config = config();
    config.rates.deploy_ns = 1e6;
    simulate(1, config, |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        let charge = async |env: Env| timed(env.charge(Work::Deploy)).await.1;
        let took = join_all([&a, &a, &a, &a, &b].map(|node| charge(node.env()))).await;
        for (took, expected) in took.into_iter().zip([1, 1, 2, 2, 1]) {
            assert_took(took, ms(expected));
        }
        let (_, took) = timed(a.env().charge(Work::Records { records: 1000, bytes: 1 << 20, state: None })).await;
        assert_eq!(took, Duration::ZERO, "what is free does not even yield");
    });
}
