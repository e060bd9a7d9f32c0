//! What the stores do, and how long it takes.

use super::*;

#[test]
fn a_store_takes_its_latency_and_each_node_has_one_way_to_it() {
    simulate(1, config(), |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        let (store, other) = (a.env().store(StoreKind::Checkpoints), b.env().store(StoreKind::Checkpoints));
        let thousand = Bytes::from(vec![7; 1000]);
        let (made, took) = timed(store.create("x", thousand.clone())).await;
        assert_eq!(made, Ok(true));
        assert_took(took, ms(1) + LATENCY);
        let (read, took) = timed(store.get("x")).await;
        assert_eq!(read, Ok(thousand.clone()));
        assert_took(took, ms(1) + LATENCY);

        let puts = [(&store, "1"), (&store, "2"), (&other, "3")]
            .map(|(store, path)| timed(store.create(path, thousand.clone())));
        let took: Vec<_> = join_all(puts).await.into_iter().map(|(_, took)| took).collect();
        for (took, expected) in took.into_iter().zip([1, 2, 1]) {
            assert_took(took, ms(expected) + LATENCY);
        }
        let gets = [(&store, "1"), (&store, "2"), (&other, "3")].map(|(store, path)| timed(store.get(path)));
        let took: Vec<_> = join_all(gets).await.into_iter().map(|(_, took)| took).collect();
        for (took, expected) in took.into_iter().zip([1, 2, 1]) {
            assert_took(took, ms(expected) + LATENCY);
        }
        assert_took(timed(store.delete("x")).await.1, LATENCY);
        assert_took(timed(store.list("")).await.1, LATENCY);
        assert!(other.get("x").await.is_err(), "all nodes see the same");
        assert!(world.stores().list(StoreKind::Output, "").is_empty(), "two stores");
    });
}

#[test]
fn as_many_transfers_run_at_once_as_a_node_has_streams() {
    let mut config = config();
    config.store.streams = 2;
    simulate(1, config, |world| async move {
        let a = Idle::add(&world, "a");
        let store = a.env().store(StoreKind::Checkpoints);
        let thousand = Bytes::from(vec![7; 1000]);
        let puts = ["1", "2", "3"].map(|path| timed(store.create(path, thousand.clone())));
        let took: Vec<_> = join_all(puts).await.into_iter().map(|(_, took)| took).collect();
        for (took, expected) in took.into_iter().zip([1, 1, 2]) {
            assert_took(took, ms(expected) + LATENCY);
        }
    });
}

#[test]
fn a_node_that_dies_while_it_writes_leaves_nothing_or_the_whole_object() {
    for killed_after in [0, 500, 1000, 1900, 1999, 2001, 2100, 2900, 3500] {
        let left = simulate(1, config(), move |world| async move {
            add_script(&world, "a", |env| async move {
                let store = env.store(StoreKind::Checkpoints);
                assert_eq!(store.create("x", Bytes::from(vec![7; 1000])).await, Ok(true));
            });
            pause(Duration::from_micros(killed_after)).await;
            world.kill("a", Death::Crash);
            pause(ms(1000)).await;
            world.stores().read(StoreKind::Checkpoints, "x").map(|bytes| bytes.len())
        });
        // One millisecond of transfer, then half of the latency.
        assert_eq!(left, (killed_after > 2000).then_some(1000), "killed after {killed_after} µs");
    }
}

#[test]
fn of_many_creators_of_an_object_one_wins() {
    simulate(1, config(), |world| async move {
        let nodes: Vec<_> = ["a", "b", "c"].map(|name| Idle::add(&world, name)).into();
        let stores: Vec<Store> = nodes.iter().map(|node| node.env().store(StoreKind::Output)).collect();
        let bodies = ["0", "1", "2"].map(|body| Bytes::from_static(body.as_bytes()));
        let creating = stores.iter().zip(&bodies).map(|(store, body)| store.create("decision", body.clone()));
        let won: Vec<_> = join_all(creating).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        let winner = won.iter().position(|won| *won).unwrap();
        assert_eq!(stores[0].get("decision").await, Ok(bodies[winner].clone()), "the losers changed nothing");
    });
}

#[test]
fn objects_are_renamed_listed_deleted_and_damaged_and_each_change_is_told() {
    simulate(1, config(), |world| async move {
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = told.clone();
        let tell = move |_: &Arc<SimWorld>, mutation: &StoreMutation| {
            telling.lock().unwrap().push(match mutation {
                StoreMutation::Put { path, bytes, .. } => format!("put {path} {}", bytes.len()),
                StoreMutation::Renamed { from, to, .. } => format!("rename {from} {to}"),
                StoreMutation::Deleted { path, .. } => format!("delete {path}"),
            });
        };
        world.observe(Box::new(Watcher(|_: &Arc<SimWorld>, _: &EventRecord| {}, tell)));
        let a = Idle::add(&world, "a");
        let store = a.env().store(StoreKind::Output);
        for path in ["f/b", "f/a", "g/a"] {
            store.create(path, Bytes::from(path)).await.unwrap();
        }
        assert_eq!(store.list("f").await, Ok(vec![("f/a".into(), 3), ("f/b".into(), 3)]));
        assert_eq!(store.publish("f/a", "done").await, Ok(true));
        assert_eq!(store.publish("f/b", "done").await, Ok(false), "the name is taken");
        assert!(matches!(store.publish("f/a", "again").await, Err(StoreError::NotFound { .. })));
        assert_eq!(store.get("done").await, Ok(Bytes::from_static(b"f/a")));
        assert!(matches!(store.get("f/a").await, Err(StoreError::NotFound { .. })));
        assert_eq!(store.delete("f/b").await, Ok(()));
        assert_eq!(store.delete("f/b").await, Ok(()), "gone is gone");
        let expected = ["put f/b 3", "put f/a 3", "put g/a 3", "rename f/a done", "delete f/b"];
        assert_eq!(*told.lock().unwrap(), expected, "one entry per change, none for what changed nothing");

        world.stores().damage(StoreKind::Output, "done", Some(Bytes::from_static(b"rot")));
        assert_eq!(store.get("done").await, Ok(Bytes::from_static(b"rot")));
        world.stores().damage(StoreKind::Output, "done", None);
        assert!(matches!(store.get("done").await, Err(StoreError::NotFound { .. })));
        assert_eq!(told.lock().unwrap().len(), 5, "damage is not the engine's doing");
    });
}
