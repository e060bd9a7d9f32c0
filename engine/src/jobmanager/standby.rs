//! A JobManager that does not lead: follows the log, and opens a term when it may.

use std::time::Duration;

use super::job_master::opened;
use super::shell::of_other_version;
use super::{JobResult, StartError};
use crate::checkpoint::manifest::OtherVersion;
use crate::env::{Address, Env, Listener, Port, Store, StoreKind};
use crate::event::Event;
use crate::graph::JobSpec;
use crate::ha::entry::{Change, Ending, HaEntry, HaState};
use crate::ha::follower::Follower;
use crate::ha::log::{Appended, Log, LogError, append};
use crate::ids::{Attempt, CheckpointId, Term};
use crate::time::{Time, nanos};

/// Pause after the store did not answer.
const STORE_RETRY: Duration = Duration::from_millis(500);

/// How waiting ended.
pub(super) enum Followed {
    /// This node leads: its first entry, when it asked for it, and its control port.
    Opened(Box<HaEntry>, Time, Listener),
    /// The job is over; its last attempt, and its result.
    Ended(Attempt, JobResult),
}

/// Follows the log until this node leads or the job is over. A store that another release of the engine wrote is found out
/// before anything is written: opening a term would already take the job from that release.
pub(super) async fn follow(env: &Env, spec: &JobSpec) -> Result<Followed, StartError> {
    let store = env.store(StoreKind::Checkpoints);
    let mut log = find(env, &store).await?;
    // Standbys that wait equally long would all try at once, and all but one in vain.
    let lease = spec.config.lease;
    let spread = env.draw("election", u64::from(env.incarnation()), 0) % (nanos(lease) / 4).max(1);
    let mut follower = Follower::new(env.node().clone(), lease + Duration::from_nanos(spread), env.now());
    loop {
        if let Some(entry) = &log.newest {
            if entry.state.program != spec.program {
                let (wanted, found) = (spec.program.clone(), entry.state.program.clone());
                return Err(StartError::OtherJob { wanted, found });
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
                Ok(true) => follower.on_progress(env.now()),
                Ok(false) => {}
                Err(LogError::Store(error)) => env.warn(format_args!("leadership log: {error}")),
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
        // Open before the term is, since the entry names it; a standby's is closed, so that TaskManagers try the next node.
        let listener = env.listen(Port::Control).await?;
        let entry = opening(env, spec, &listener.address(), &log);
        if let Appended::Written(sequence) = append(env, &store, entry.clone()).await
            && !in_a_hole(env, &store, sequence).await
        {
            return Ok(Followed::Opened(Box::new(HaEntry { sequence, ..entry }), now, listener));
        }
        drop(listener);
        log = find(env, &store).await?;
        follower.on_progress(env.now());
    }
}

/// The first entry of a new term, behind the newest that is known.
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
        sequence: log.tail + 1,
        term,
        leader: env.node().clone(),
        incarnation: env.incarnation(),
        address: address.clone(),
        change: Change::Opened,
        state: opened(state),
    }
}

/// The end of the log, as soon as the store tells it.
async fn find(env: &Env, store: &Store) -> Result<Log, OtherVersion> {
    loop {
        match Log::find(env, store).await {
            Ok(log) => return Ok(log),
            Err(LogError::Store(error)) => env.warn(format_args!("leadership log: {error}")),
            Err(LogError::OtherVersion(other)) => return Err(other),
        }
        env.sleep(STORE_RETRY).await;
    }
}

/// Whether an entry just written says nothing, since the log goes on behind it: the store has lost one.
async fn in_a_hole(env: &Env, store: &Store, sequence: u64) -> bool {
    loop {
        match Log::has_beyond(store, sequence).await {
            Ok(beyond) => return beyond,
            Err(error) => env.warn(format_args!("leadership log: {error}")),
        }
        env.sleep(STORE_RETRY).await;
    }
}
