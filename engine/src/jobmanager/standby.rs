//! A JobManager that does not lead: follows the log, and opens a term as soon as the log or the lease allows it.

use std::time::Duration;

use super::job_master::opened;
#[cfg(feature = "mutations")]
use super::planted;
use super::shell::of_other_version;
use super::{JobResult, LEADERSHIP_LOG, RunError};
use crate::env::{Address, Env, GaveUp, Listener, Port, Store, StoreKind, Trouble};
use crate::event::Event;
use crate::graph::JobSpec;
use crate::ha::entry::{Change, Ending, HaEntry, HaState};
use crate::ha::follower::Follower;
use crate::ha::log::{Appended, Log, LogError, append};
use crate::ha::position::Position;
use crate::ids::{Attempt, CheckpointId, Term};
use crate::time::{Time, nanos};

/// First pause after the store did not answer; the pause grows while the store goes on failing.
const STORE_RETRY: Duration = Duration::from_millis(500);
/// First pause after the control port could not be opened; most likely its former owner is just releasing it.
const PORT_RETRY: Duration = Duration::from_millis(10);

/// How waiting ended.
pub(super) enum Followed {
    /// This node leads: its first log entry, the time at which it asked for that entry, and its control port.
    Opened(Box<HaEntry>, Time, Listener),
    /// The job is over: its last attempt and its result.
    Ended(Attempt, JobResult),
}

/// Follows the log until this node leads or the job is over. A store that another release of the engine wrote is
/// recognised before anything is written, because opening a term would already take the job from that release.
pub(super) async fn follow(env: &Env, spec: &JobSpec) -> Result<Followed, RunError> {
    let store = env.store(StoreKind::Checkpoints);
    let mut log = find(env, &store).await?;
    let (mut reading, mut opening_port) =
        (Trouble::new(LEADERSHIP_LOG, STORE_RETRY), Trouble::new("opening the control port", PORT_RETRY));
    // Each standby waits a little longer by a random time: with equal waits all would try at once, and all but one in
    // vain.
    let lease = spec.config.lease;
    let spread = env.draw("election", u64::from(env.incarnation()), 0) % (nanos(lease) / 4).max(1);
    let mut follower = Follower::new(env.node().clone(), lease + Duration::from_nanos(spread), env.now());
    loop {
        #[cfg(feature = "mutations")]
        planted::newest(env, &mut log);
        if let Some(entry) = &log.newest {
            if entry.state.program != spec.program {
                let (wanted, found) = (spec.program.clone(), entry.state.program.clone());
                return Err(RunError::OtherJob { wanted, found });
            }
            if let Some(ending) = &entry.state.ended {
                let result = match ending {
                    Ending::Finished => JobResult::Finished,
                    Ending::Failed(cause) => JobResult::Failed(cause.clone()),
                };
                return Ok(Followed::Ended(entry.state.attempt, result));
            }
        }
        let may_open_at = follower.may_open_at(log.newest.as_ref());
        let now = env.now();
        if now < may_open_at {
            env.sleep_until(may_open_at.min(now + follower.period())).await;
            match log.advance(&store).await {
                Ok(grown) => {
                    reading.over(env);
                    #[cfg(feature = "mutations")]
                    let grown = planted::heard(env, grown);
                    if grown {
                        follower.on_progress(env.now());
                    }
                }
                Err(LogError::Store(error)) => reading.wait(env, error).await?,
                Err(LogError::OtherVersion(other)) => return Err(other.into()),
            }
            continue;
        }
        if let Some(entry) = &log.newest
            && let Some(other) = of_other_version(env, &store, &entry.state.completed).await
        {
            return Err(other.into());
        }
        if let Some(entry) = log.newest.as_ref().filter(|entry| entry.leader != *env.node()) {
            env.emit(Event::LeaseExpired { term: entry.term }).await;
        }
        // The port is opened before the term, because the first entry of the term names its address. A standby keeps
        // its port closed, so that TaskManagers go on to the next node.
        let listener = match env.listen(Port::Control).await {
            Ok(listener) => listener,
            Err(error) => {
                opening_port.wait(env, error).await?;
                // Another JobManager may have opened a term meanwhile.
                log = find(env, &store).await?;
                continue;
            }
        };
        opening_port.over(env);
        if let Some(entry) = open(env, &store, spec, &listener.address(), &log).await? {
            return Ok(Followed::Opened(Box::new(entry), now, listener));
        }
        drop(listener);
        log = find(env, &store).await?;
        follower.on_progress(env.now());
    }
}

/// Opens a term at the end of the known log: closes the segment of the previous leader and begins the next segment.
/// Returns `None` if somebody else has written there.
pub(crate) async fn open(
    env: &Env,
    store: &Store,
    spec: &JobSpec,
    address: &Address,
    log: &Log,
) -> Result<Option<HaEntry>, GaveUp> {
    let opening = opening(env, spec, address, log);
    let position = match &log.newest {
        None => opening.position,
        Some(newest) if newest.change == Change::Closed => {
            if in_a_hole(env, store, newest.position).await? {
                return Ok(None);
            }
            opening.position
        }
        Some(newest) => {
            let change = Change::Closed;
            let closing = HaEntry { term: newest.term, state: newest.state.clone(), change, ..opening.clone() };
            match append(env, store, closing).await? {
                Appended::Written(closed) if !in_a_hole(env, store, closed).await? => closed.next_segment(),
                _ => return Ok(None),
            }
        }
    };
    match append(env, store, HaEntry { position, ..opening.clone() }).await? {
        Appended::Written(position) if !in_a_hole(env, store, position).await? => {
            Ok(Some(HaEntry { position, ..opening }))
        }
        _ => Ok(None),
    }
}

/// The first entry of a new term, which follows the newest known entry.
fn opening(env: &Env, spec: &JobSpec, address: &Address, log: &Log) -> HaEntry {
    let (term, state) = match &log.newest {
        Some(entry) => (Term(entry.term.0 + 1), entry.state.clone()),
        None => {
            let program = spec.program.clone();
            let (attempt, completed, reserved) = (Attempt(0), Vec::new(), CheckpointId(0));
            let state =
                HaState { program, start: env.input_now(), attempt, completed, undecided: None, reserved, ended: None };
            (Term(1), state)
        }
    };
    HaEntry {
        position: log.end(),
        term,
        leader: env.node().clone(),
        incarnation: env.incarnation(),
        address: address.clone(),
        change: Change::Opened,
        state: opened(state),
    }
}

/// Finds the end of the log; repeats until the store answers.
async fn find(env: &Env, store: &Store) -> Result<Log, RunError> {
    let mut trouble = Trouble::new(LEADERSHIP_LOG, STORE_RETRY);
    loop {
        match Log::find(env, store).await {
            Ok(log) => {
                trouble.over(env);
                return Ok(log);
            }
            Err(LogError::Store(error)) => trouble.wait(env, error).await?,
            Err(LogError::OtherVersion(other)) => return Err(other.into()),
        }
    }
}

/// Whether an entry that was just written does not count, because the log goes on behind it: the store had lost the
/// entry that stood there.
async fn in_a_hole(env: &Env, store: &Store, position: Position) -> Result<bool, GaveUp> {
    let mut trouble = Trouble::new(LEADERSHIP_LOG, STORE_RETRY);
    loop {
        match Log::has_beyond(store, position).await {
            Ok(beyond) => {
                trouble.over(env);
                return Ok(beyond);
            }
            Err(error) => trouble.wait(env, error).await?,
        }
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::JobConfig;
    use crate::env::sim::testing::{hurting, on_one_node};
    use crate::env::{GIVE_UP_AFTER, TaskHandle};
    use crate::fault::StoreFault;
    use crate::graph::{InputKind, InputSpec};

    fn spec() -> JobSpec {
        let kind = InputKind::Generator { name: "words".into(), records: 1, seed: 1 };
        let input = InputSpec { kind, splits: 1, period_fs: 0 };
        JobSpec { program: "p".into(), params: BTreeMap::new(), input, config: JobConfig::default() }
    }

    /// Stands for a process on this node that holds the control port and releases it after `time`.
    async fn hold_port(env: &Env, time: Duration) -> TaskHandle {
        let held = env.listen(Port::Control).await.unwrap();
        let within = env.clone();
        env.spawn(async move {
            within.sleep(time).await;
            drop(held);
        })
    }

    fn opened_after(followed: Result<Followed, RunError>, began: Time, env: &Env) -> (Term, Duration) {
        match followed {
            Ok(Followed::Opened(entry, ..)) => (entry.term, env.now() - began),
            Ok(Followed::Ended(_, result)) => panic!("{result:?}"),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_port_that_is_still_held_ends_no_job() {
        for held in [1, 40, 3_000, 60_000].map(Duration::from_millis) {
            let (term, took) = on_one_node(move |_, env| async move {
                let began = env.now();
                let _holder = hold_port(&env, held).await;
                opened_after(follow(&env, &spec()).await, began, &env)
            });
            assert_eq!(term, Term(1));
            assert!(took >= held && took < held + held / 4 + Duration::from_secs(1), "{held:?}: {took:?}");
        }
    }

    #[test]
    fn a_port_that_is_held_for_good_has_a_named_end() {
        let (told, took) = on_one_node(|_, env| async move {
            let began = env.now();
            let _holder = hold_port(&env, 2 * GIVE_UP_AFTER).await;
            match follow(&env, &spec()).await {
                Err(RunError::Environment(error)) => (error.to_string(), env.now() - began),
                Err(error) => panic!("{error}"),
                Ok(_) => panic!("two listeners on one port"),
            }
        });
        assert!(told.starts_with("opening the control port failed for 9m"), "{told}");
        assert!(told.ends_with("address already in use"), "{told}");
        assert!(took < GIVE_UP_AFTER + Duration::from_secs(60), "{took:?}");
    }

    #[test]
    fn a_full_store_is_waited_for_and_not_for_ever() {
        let full = |count| {
            on_one_node(move |world, env| async move {
                world.add_store_rule(hurting(count, StoreFault::NoSpace));
                let began = env.now();
                follow(&env, &spec()).await.map(|followed| opened_after(Ok(followed), began, &env))
            })
        };
        assert_eq!(full(30).unwrap().0, Term(1));
        let told = full(u32::MAX).unwrap_err().to_string();
        assert!(told.starts_with("writing the leadership log failed for 9m") && told.contains("no space"), "{told}");
    }
}
