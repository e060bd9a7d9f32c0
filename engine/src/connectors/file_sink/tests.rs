//! Commits against a correct store, and against one that gives wrong answers.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::env::StoreKind;
use crate::env::sim::testing::{hurting, on_one_node};
use crate::env::sim::{SimWorld, now};
use crate::fault::StoreFault;
use crate::ids::VertexId;
use crate::paths::PendingPath;

const SINK: SubtaskId = SubtaskId { vertex: VertexId(1), index: 2 };
const BY: Execution = Execution { term: Term(1), attempt: Attempt(1) };

/// One sink and the store that it writes to.
struct Case {
    world: Arc<SimWorld>,
    env: Env,
    store: Store,
    open: OpenTransaction<Chunk>,
}

impl Case {
    fn new(world: Arc<SimWorld>, env: Env) -> Self {
        let store = env.store(StoreKind::Output);
        Self { world, env, store, open: OpenTransaction::new(SINK, BY.term, BY.attempt) }
    }

    async fn pending(&mut self, text: &'static str) {
        let path = self.open.next_path();
        let bytes = Bytes::from_static(text.as_bytes());
        let checksum = Checksum::of(&bytes);
        self.store.create(&path, bytes).await.unwrap();
        self.open.add_chunk(Chunk { path: PendingPath::new(path).unwrap(), checksum }, 1);
    }

    fn close(&mut self, epoch: u64) -> Transaction {
        let ClosedTransaction { epoch, chunks, records } = self.open.close(CheckpointId(epoch)).unwrap();
        Transaction { epoch, chunks, records }
    }

    async fn one(&mut self, epoch: u64) -> Transaction {
        self.pending("a\n").await;
        self.close(epoch)
    }

    async fn commit(&self, transaction: &Transaction) -> Result<(), CommitError> {
        commit(&self.env, &self.store, BY, SINK, transaction).await
    }

    fn hurt(&self, count: u32, fault: StoreFault) {
        self.world.add_store_rule(hurting(count, fault));
    }

    fn objects(&self, visible: bool) -> Vec<String> {
        let mut all = self.world.stores().list(StoreKind::Output, "");
        all.retain(|path| path.starts_with('.') != visible);
        all
    }

    /// Asserts that exactly the parts of this transaction are visible, and that nothing of it is pending.
    fn assert_committed(&self, transaction: &Transaction) {
        let parts: Vec<_> = (0..transaction.chunks.len()).map(|n| part_name(SINK, transaction.epoch, n)).collect();
        assert_eq!(self.objects(true), parts);
        assert_eq!(self.objects(false), [decision_path(SINK, transaction.epoch)]);
    }
}

fn case<F: Future<Output = ()>>(script: impl FnOnce(Case) -> F + Send + 'static) {
    on_one_node(|world, env| script(Case::new(world, env)));
}

#[test]
fn committing_twice_is_committing_once() {
    case(|mut case| async move {
        case.pending("a\n").await;
        case.pending("b\n").await;
        let transaction = case.close(4);
        assert_eq!(case.objects(true), [""; 0], "K1");
        for _ in 0..2 {
            case.commit(&transaction).await.unwrap();
            case.assert_committed(&transaction);
        }
        let later = Execution { attempt: Attempt(2), ..BY };
        commit(&case.env, &case.store, later, SINK, &transaction).await.unwrap();
        case.assert_committed(&transaction);
        let decision = case.store.get(&decision_path(SINK, CheckpointId(4))).await.unwrap();
        assert_eq!(decision, "commit 1-1\n", "the first writer wins");
        assert_eq!(case.open.close(CheckpointId(5)), None);
    });
}

#[test]
fn first_decision_wins() {
    case(|mut case| async move {
        let four = case.one(4).await;
        let five = case.one(5).await;
        case.commit(&four).await.unwrap();
        // Falling back behind a committed epoch is refused and names it.
        let abort_above =
            async |restored| abort_above(&case.store, &[SINK], CheckpointId(restored), CheckpointId(5)).await.unwrap();
        assert_eq!(abort_above(3).await, Err((SINK, CheckpointId(4))));
        // Falling back behind an uncommitted epoch is allowed, and a late commit of that epoch is refused.
        assert_eq!(abort_above(4).await, Ok(vec![(SINK, CheckpointId(5))]));
        assert_eq!(decided(&case.store, &decision_path(SINK, CheckpointId(5))).await, Ok(Decision::Abort));
        assert_eq!(decided(&case.store, &decision_path(SINK, CheckpointId(4))).await, Ok(Decision::Commit));
        let late = case.commit(&five).await;
        assert_eq!(late, Err(CommitError::Aborted { epoch: CheckpointId(5), subtask: SINK }));
        assert_eq!(case.objects(true).len(), 1);
        // Visible output counts as committed even if the store has lost the decision (K3).
        case.store.delete(&decision_path(SINK, CheckpointId(4))).await.unwrap();
        assert_eq!(abort_above(3).await, Err((SINK, CheckpointId(4))));
    });
}

#[test]
fn commits_below_every_retained_checkpoint_are_forgotten_but_for_the_newest() {
    case(|mut case| async move {
        let mut transactions = Vec::new();
        for epoch in [1, 2, 4, 5] {
            let transaction = case.one(epoch).await;
            case.commit(&transaction).await.unwrap();
            transactions.push(transaction);
        }
        case.store.create(&decision_path(SINK, CheckpointId(3)), Decision::abort()).await.unwrap();
        let left = async |oldest| {
            forget_commits(&case.store, CheckpointId(oldest)).await.unwrap();
            let mut left = case.objects(false);
            left.retain(|path| decision_at(path).is_some());
            left
        };
        let paths = |epochs: &[u64]| -> Vec<_> {
            epochs.iter().map(|epoch| decision_path(SINK, CheckpointId(*epoch))).collect()
        };
        assert_eq!(left(2).await, paths(&[1, 2, 3, 4, 5]), "K5: 1 is the newest below 2");
        assert_eq!(left(5).await, paths(&[3, 4, 5]));
        assert_eq!(left(9).await, paths(&[3, 5]));
        assert_eq!(left(9).await, paths(&[3, 5]), "nothing more, however often");
        // The remaining decision refuses a fallback to the beginning before anything is decided about the epochs
        // below.
        let refused = abort_above(&case.store, &[SINK], CheckpointId(0), CheckpointId(5)).await.unwrap();
        assert_eq!(refused, Err((SINK, CheckpointId(5))));
        assert_eq!(committed_above(&case.store, CheckpointId(4)).await.unwrap(), Some(paths(&[5]).remove(0)));
        assert_eq!(left(0).await, paths(&[3, 5]));
        // A sink that was cut off for long commits once more, and nothing changes (K2).
        let visible = case.objects(true);
        case.commit(&transactions[0]).await.unwrap();
        assert_eq!(case.objects(true), visible);
    });
}

#[test]
fn decisions_are_read_even_if_they_are_torn() {
    for (bytes, decision) in [(Decision::commit(BY), Decision::Commit), (Decision::abort(), Decision::Abort)] {
        for length in bytes.len() / 2..=bytes.len() {
            assert_eq!(Decision::read(&bytes[..length]), Some(decision));
        }
    }
    for garbage in [&b""[..], b"co", b"aommit 1-1\n", b"cbort\n", b"xyz"] {
        assert_eq!(Decision::read(garbage), None, "{garbage:?}");
    }
    case(|mut case| async move {
        let transaction = case.one(1).await;
        case.hurt(1, StoreFault::TornWrite);
        case.commit(&transaction).await.unwrap();
        case.assert_committed(&transaction);
        // A file that is neither decision is reported by its path.
        let transaction = case.one(2).await;
        let path = decision_path(SINK, CheckpointId(2));
        case.store.create(&path, Bytes::from_static(b"xyz")).await.unwrap();
        let refused = case.commit(&transaction).await.unwrap_err().to_string();
        assert!(refused.contains(&path) && refused.contains("xyz"), "{refused}");
        assert!(decided(&case.store, &path).await.is_err());
    });
}

#[test]
fn lost_pending_output_is_said_after_several_looks_not_skipped() {
    case(|mut case| async move {
        let transaction = case.one(1).await;
        let path = transaction.chunks[0].path.to_string();
        case.store.delete(&path).await.unwrap();
        let begun = now();
        let lost = CommitError::Lost { chunk: path, epoch: CheckpointId(1), subtask: SINK, records: 1 };
        assert_eq!(case.commit(&transaction).await, Err(lost));
        assert!(now().since(begun) > Duration::from_secs(6));
    });
}

#[test]
fn wrong_answers_lose_and_double_nothing() {
    let behind = StoreFault::StaleRead(Duration::from_secs(3));
    // The store hurts any of the requests, from the decision to the visible names.
    for fault in [StoreFault::FailedWrite, StoreFault::AmbiguousWrite, StoreFault::NoSpace, behind] {
        for count in [1, 2, 3, 4] {
            case(move |mut case| async move {
                case.pending("a\n").await;
                case.pending("b\n").await;
                let transaction = case.close(1);
                case.hurt(count, fault);
                case.commit(&transaction).await.unwrap();
                case.assert_committed(&transaction);
                case.commit(&transaction).await.unwrap();
                case.assert_committed(&transaction);
            });
        }
    }
    case(|mut case| async move {
        let transaction = case.one(1).await;
        case.commit(&transaction).await.unwrap();
        // A part that was just written stays unseen for a while, which must not count as lost.
        case.world.add_store_rule(crate::fault::StoreRule {
            count: None,
            ..hurting(0, StoreFault::StaleRead(Duration::from_secs(1)))
        });
        case.commit(&transaction).await.unwrap();
        case.assert_committed(&transaction);
    });
}

#[test]
fn output_that_is_pending_and_visible_is_visible_once() {
    case(|mut case| async move {
        let transaction = case.one(1).await;
        let part = part_name(SINK, CheckpointId(1), 0);
        // The store renames by copying, and the sink died before it deleted the pending copy.
        case.store.create(&part, Bytes::from_static(b"a\n")).await.unwrap();
        case.commit(&transaction).await.unwrap();
        case.assert_committed(&transaction);
    });
}

#[test]
fn a_name_that_belongs_to_other_output_is_a_conflict_and_nothing_is_removed() {
    case(|mut case| async move {
        let transaction = case.one(1).await;
        let part = part_name(SINK, CheckpointId(1), 0);
        case.store.create(&part, Bytes::from_static(b"other\n")).await.unwrap();
        let before = case.objects(false);
        let refused = case.commit(&transaction).await.unwrap_err();
        assert!(matches!(&refused, CommitError::Conflict { object, .. } if *object == part), "{refused}");
        assert!(case.objects(false).iter().any(|path| *path == before[0]), "K4");
        assert_eq!(case.store.get(&part).await.unwrap(), "other\n", "K3");
    });
}

#[test]
fn nothing_is_judged_lost_or_in_conflict_but_by_a_clear_answer() {
    let error = StoreError::Failed { path: "x".into(), cause: "of a test".into() };
    let sum = Checksum::of(b"x");
    let publications = [Publish::Done, Publish::Taken, Publish::Gone, Publish::Failed(error.clone())];
    let looks = [Ok(()), Err(ReadFault::Missing), Err(ReadFault::Differs(sum)), Err(ReadFault::Store(error))];
    for publication in publications {
        for look in looks.clone() {
            let verdict = judge(publication.clone(), Some(look.clone()), "part");
            let lost = publication == Publish::Gone && look == Err(ReadFault::Missing);
            assert_eq!(verdict == Verdict::Lost, lost, "{publication:?}, {look:?}");
            let visible = publication == Publish::Done || look == Ok(());
            let judged_visible = matches!(verdict, Verdict::Visible | Verdict::VisibleTwice);
            assert_eq!(judged_visible, visible, "{publication:?}, {look:?}");
        }
    }
}

#[test]
fn leftovers_go_and_named_chunks_stay() {
    case(|mut case| async move {
        let kept = case.one(1).await;
        case.pending("b\n").await;
        let later = Execution { attempt: Attempt(2), ..BY };
        let outage = case.world.add_store_rule(hurting(1, StoreFault::Unavailable));
        remove_leftovers(&case.env, &case.store, SINK, later, std::slice::from_ref(&kept)).await.unwrap();
        assert_eq!(case.world.store_rule_hits(outage).0, 1);
        assert_eq!(case.objects(false), [kept.chunks[0].path.to_string()]);
    });
}

#[test]
fn part_names_are_read_back() {
    let name = part_name(SINK, CheckpointId(12), 3);
    assert_eq!(parse_part_name(&name), Some((SINK, CheckpointId(12), 3)));
    assert_eq!(parse_part_name("part-1-x.txt"), None);
}

#[test]
fn decisions_name_their_transaction() {
    assert_eq!(decision_at(&decision_path(SINK, CheckpointId(12))), Some((SINK, CheckpointId(12))));
    assert_eq!(decision_at(&part_name(SINK, CheckpointId(12), 3)), None);
    assert!(is_commit(&Decision::commit(BY)) && !is_commit(&Decision::abort()));
}
