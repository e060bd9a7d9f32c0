//! A standby's view of the log: when the log last grew, and when the standby may try to lead. Pure.

use std::time::Duration;

use super::entry::HaEntry;
use crate::ids::NodeName;
use crate::time::Time;

/// What a JobManager that does not lead knows of the log.
#[derive(Debug, Clone)]
pub struct Follower {
    me: NodeName,
    /// Time without a new entry after which the leader counts as gone.
    lease: Duration,
    heard_at: Time,
}

impl Follower {
    /// Starts listening at `now`. Standbys get different `lease`s, so that they do not all try at once.
    pub fn new(me: NodeName, lease: Duration, now: Time) -> Self {
        Self { me, lease, heard_at: now }
    }

    /// The log has grown.
    pub fn on_progress(&mut self, now: Time) {
        self.heard_at = now;
    }

    /// From when on this node may try to open a term, if `newest` is the newest readable entry: at once if the log is
    /// empty or the entry is from a former life of this node, otherwise after the lease.
    pub fn may_open_at(&self, newest: Option<&HaEntry>) -> Time {
        match newest {
            None => Time::ZERO,
            Some(entry) if entry.leader == self.me => Time::ZERO,
            Some(_) => self.heard_at + self.lease,
        }
    }

    /// Pause between two reads of the log.
    pub fn period(&self) -> Duration {
        self.lease / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ha::entry::tests::entry;

    #[test]
    fn a_standby_waits_for_the_lease_and_a_former_leader_does_not() {
        let second = Duration::from_secs(1);
        let at = |seconds| Time::ZERO + second * seconds;
        let mut follower = Follower::new("jm-2".into(), second * 5, at(1));
        assert_eq!(follower.may_open_at(None), Time::ZERO);
        let of_another = entry(7);
        assert_eq!(follower.may_open_at(Some(&of_another)), at(6));
        follower.on_progress(at(3));
        assert_eq!(follower.may_open_at(Some(&of_another)), at(8));
        let of_mine = HaEntry { leader: "jm-2".into(), ..entry(7) };
        assert_eq!(follower.may_open_at(Some(&of_mine)), Time::ZERO);
    }
}
