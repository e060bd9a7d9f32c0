//! Faults of the durable stores and of local disks, seen from a node and from outside.

use super::*;

const KIND: StoreKind = StoreKind::Output;

fn rule(fault: StoreFault) -> StoreRule {
    StoreRule { store: Some(KIND), node: Some("a".into()), fault, count: None }
}

/// Runs `script` with the stores of two nodes, `a` (which the rules of these tests hurt) and `b`.
fn with_stores<F>(script: impl FnOnce(Arc<SimWorld>, Store, Store) -> F + Send + 'static)
where
    F: Future<Output = ()>,
{
    simulate(1, config(), |world| async move {
        let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
        script(world, a.env().store(KIND), b.env().store(KIND)).await;
    });
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn fails<T: std::fmt::Debug>(result: Result<T, StoreError>, why: &str) {
    let error = result.unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

fn missing<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::NotFound { .. })), "{result:?}");
}

#[test]
fn a_store_that_is_not_available_answers_with_an_error_when_it_is_healed_or_the_client_gives_up() {
    with_stores(|world, a, b| async move {
        let outage = world.add_store_rule(rule(StoreFault::Unavailable));
        assert_eq!(b.create("other", text("x")).await, Ok(true), "only `a` is cut off");
        let start = now();
        let healing = async {
            pause(ms(5000)).await;
            world.end_store_rule(outage);
        };
        let (read, _) = join(timed(a.get("other")), healing).await;
        fails(read.0, "not available");
        assert_took(read.1, ms(5000) + LATENCY / 2);
        assert_eq!(a.get("other").await, Ok(text("x")), "healed");
        assert_eq!(world.store_rule_hits(outage).0, 1);
        assert_at(world.store_rule_hits(outage).1.unwrap(), start + LATENCY / 2);

        world.add_store_rule(rule(StoreFault::Unavailable));
        let (written, took) = timed(a.create("x", text("x"))).await;
        fails(written, "not available");
        assert!(took >= ms(30_000) && took < ms(30_003), "{took:?}");
        assert_eq!(world.stores().list(KIND, ""), ["other"], "what was not answered had no effect");
    });
}

#[test]
fn writes_fail_without_effect_or_with_and_space_may_be_gone() {
    with_stores(|world, a, _| async move {
        a.create("old", text("old")).await.unwrap();
        let full = world.add_store_rule(rule(StoreFault::NoSpace));
        fails(a.create("x", text("x")).await, "no space");
        fails(a.publish("old", "new").await, "no space");
        assert_eq!(a.get("old").await, Ok(text("old")));
        assert_eq!(a.delete("old").await, Ok(()), "room can be made");
        world.end_store_rule(full);

        world.add_store_rule(StoreRule { count: Some(1), ..rule(StoreFault::FailedWrite) });
        fails(a.create("x", text("x")).await, "failed");
        assert_eq!(a.create("x", text("x")).await, Ok(true), "nothing was written, and the rule is used up");

        let ambiguous = world.add_store_rule(rule(StoreFault::AmbiguousWrite));
        fails(a.create("y", text("y")).await, "before the answer");
        fails(a.publish("y", "z").await, "before the answer");
        assert_eq!(a.get("z").await, Ok(text("y")));
        fails(a.create("z", text("other")).await, "before the answer");
        assert_eq!(world.store_rule_hits(ambiguous).0, 3);
        world.end_store_rule(ambiguous);
        assert_eq!(a.create("z", text("other")).await, Ok(false), "the first one counts");
        assert_eq!(world.stores().list(KIND, ""), ["x", "z"]);
    });
}

#[test]
fn a_torn_write_is_acknowledged_and_told_as_it_is() {
    with_stores(|world, a, _| async move {
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = told.clone();
        let tell = move |_: &Arc<SimWorld>, mutation: &StoreMutation| telling.lock().unwrap().push(mutation.clone());
        world.observe(Box::new(Watcher(|_: &Arc<SimWorld>, _: &EventRecord| {}, tell)));
        let torn = world.add_store_rule(rule(StoreFault::TornWrite));
        assert_eq!(a.create("x", text("12345")).await, Ok(true));
        assert_eq!(a.get("x").await, Ok(text("12")));
        assert_eq!(a.publish("x", "y").await, Ok(true), "a name cannot be torn");
        assert_eq!(world.store_rule_hits(torn).0, 1);
        assert_eq!(world.store_rule_objects(torn), [(KIND, "x".into())]);
        let put = StoreMutation::Put { kind: KIND, path: "x".into(), bytes: text("12") };
        assert_eq!(
            *told.lock().unwrap(),
            [put, StoreMutation::Renamed { kind: KIND, from: "x".into(), to: "y".into() }]
        );
    });
}

#[test]
fn lost_writes_are_there_until_the_fault_ends_and_then_nobody_is_told() {
    with_stores(|world, a, b| async move {
        a.create("old", text("old")).await.unwrap();
        let told = Arc::new(AtomicUsize::new(0));
        let telling = told.clone();
        let tell = move |_: &Arc<SimWorld>, _: &StoreMutation| {
            telling.fetch_add(1, Ordering::Relaxed);
        };
        world.observe(Box::new(Watcher(|_: &Arc<SimWorld>, _: &EventRecord| {}, tell)));
        let lost = world.add_store_rule(StoreRule { count: Some(3), ..rule(StoreFault::LostWrite) });
        for path in ["x", "y"] {
            assert_eq!(a.create(path, text("new")).await, Ok(true));
        }
        assert_eq!(a.publish("old", "part").await, Ok(true));
        assert_eq!(a.create("kept", text("new")).await, Ok(true), "the rule is used up");
        assert_eq!(a.publish("y", "z").await, Ok(true), "another name does not save what is not on disk");
        assert_eq!(b.create("other", text("new")).await, Ok(true));
        assert_eq!(a.get("x").await, Ok(text("new")), "readable until then");
        assert_eq!(told.load(Ordering::Relaxed), 6);
        world.end_store_rule(lost);
        assert_eq!(world.stores().list(KIND, ""), ["kept", "old", "other"]);
        assert_eq!(a.get("old").await, Ok(text("old")), "a lost rename is undone");
        assert_eq!(told.load(Ordering::Relaxed), 6, "STORE-D1");
        let hurt: Vec<_> = world.store_rule_objects(lost).into_iter().map(|(_, path)| path).collect();
        assert_eq!(hurt, ["part", "x", "y", "z"]);
    });
}

#[test]
fn slow_and_throttled_requests_take_their_time() {
    with_stores(|world, a, b| async move {
        let thousand = Bytes::from(vec![7; 1000]);
        let slow = world.add_store_rule(rule(StoreFault::Slow(ms(500))));
        assert_took(timed(a.create("x", thousand.clone())).await.1, ms(501) + LATENCY);
        assert_took(timed(a.list("")).await.1, ms(500) + LATENCY);
        assert_took(timed(b.get("x")).await.1, ms(1) + LATENCY);
        world.end_store_rule(slow);
        let throttled = world.add_store_rule(rule(StoreFault::Throttled(10_000)));
        assert_took(timed(a.get("x")).await.1, ms(100) + LATENCY);
        assert_took(timed(a.create("y", thousand)).await.1, ms(100) + LATENCY);
        assert_took(timed(a.delete("y")).await.1, LATENCY);
        assert_eq!(world.store_rule_hits(throttled).0, 2, "who sends no bytes is not held up");
    });
}

#[test]
fn reads_and_listings_lag_behind_but_creation_is_judged_on_the_truth() {
    with_stores(|world, a, b| async move {
        for path in ["f/deleted", "f/kept", "f/renamed"] {
            a.create(path, text("old")).await.unwrap();
        }
        pause(ms(1000)).await;
        a.delete("f/deleted").await.unwrap();
        a.publish("f/renamed", "f/name").await.unwrap();
        a.create("f/new", text("new")).await.unwrap();
        let stale = world.add_store_rule(rule(StoreFault::StaleRead(ms(500))));
        let lagging = world.add_store_rule(rule(StoreFault::LaggingList(ms(500))));
        missing(a.get("f/new").await);
        missing(a.get("f/name").await);
        assert_eq!(a.get("f/deleted").await, Ok(text("old")));
        assert_eq!(a.get("f/kept").await, Ok(text("old")));
        let names = |list: Result<Vec<(String, u64)>, StoreError>| -> Vec<String> {
            list.unwrap().into_iter().map(|(path, _)| path).collect()
        };
        assert_eq!(names(a.list("f").await), ["f/deleted", "f/kept", "f/renamed"]);
        assert_eq!(names(b.list("f").await), ["f/kept", "f/name", "f/new"], "only `a` is behind");
        assert_eq!(a.create("f/new", text("again")).await, Ok(false));
        pause(ms(600)).await;
        assert_eq!(a.get("f/new").await, Ok(text("new")), "it catches up");
        assert_eq!(names(a.list("f").await), ["f/kept", "f/name", "f/new"]);
        assert_eq!((world.store_rule_hits(stale).0, world.store_rule_hits(lagging).0), (5, 2));
    });
}

#[test]
fn two_objects_change_contents() {
    with_stores(|world, a, _| async move {
        a.create("x", text("1")).await.unwrap();
        a.create("y", text("2")).await.unwrap();
        assert!(!world.stores().swap(KIND, "x", "nothing"));
        assert!(world.stores().swap(KIND, "x", "y"));
        assert_eq!((a.get("x").await, a.get("y").await), (Ok(text("2")), Ok(text("1"))));
    });
}

#[test]
fn a_file_on_a_local_disk_is_damaged_in_place() {
    let root = tempfile::tempdir().unwrap();
    let config = SimConfig { local_root: root.path().to_owned(), ..config() };
    simulate(1, config, |world| async move {
        let a = Idle::add(&world, "a");
        assert_eq!(world.damage_local("a", 0, FileDamage::Delete), None, "no folder");
        let folder = a.env().local_folder().unwrap().join("1/db");
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        write("LOCK", b"x");
        write("LOG", b"x");
        write("EMPTY", b"");
        assert_eq!(world.damage_local("a", 7, FileDamage::Delete), None, "nothing that says anything about state");
        write("CURRENT", b"MANIFEST-1\n");
        let done = world.damage_local("a", 7, FileDamage::FlipByte(0)).unwrap();
        assert_eq!(done, "a: CURRENT: byte 0 of 11 flipped");
        assert_eq!(read("CURRENT")[0], b'M' ^ 0x55);
        write("000012.sst", &[0; 8]);
        write("000013.sst", &[0; 8]);
        let done = world.damage_local("a", 3, FileDamage::FlipByte(u64::MAX)).unwrap();
        assert_eq!(done, "a: 000013.sst: byte 7 of 8 flipped", "files with entries go first");
        assert_eq!(read("000013.sst"), [0, 0, 0, 0, 0, 0, 0, 0x55]);
        assert_eq!(world.damage_local("a", 0, FileDamage::Truncate).unwrap(), "a: 000012.sst: cut from 8 to 4 bytes");
        assert_eq!(world.damage_local("a", 0, FileDamage::Delete).unwrap(), "a: 000012.sst: deleted");
        assert!(!folder.join("000012.sst").exists());
        world.kill("a", Death::Crash);
        pause(ms(1)).await;
        world.restart_with_disk("a");
        let done = world.damage_local("a", 0, FileDamage::Delete);
        assert_eq!(done.as_deref(), Some("a: 000013.sst: deleted"), "a kept disk is the disk of the next life");
        assert_eq!(world.damage_local("nobody", 0, FileDamage::Delete), None);
    });
}
