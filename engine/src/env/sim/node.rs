//! Faults of a node as a whole: it stands still, it is slow, it comes back with its old disk.
//!
//! A node that is paused runs no instruction. Its connections stay, frames go on arriving, and what it had charged or
//! requested before is under way: a core goes on working off its queue, a store request takes effect when the node goes on.
//! Start at [`SimWorld::pause`] and [`SimWorld::slow`].
//!
//! Invariants: (SIM-W4) an effect never begins on a paused node, not even in the poll in which an observer paused it; (SIM-W5) a new
//! life begins at normal speed and awake, whatever was done to the life before. Its clock and its disk are the machine's.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;

use madsim::runtime::Handle;

use super::timer::{now, sleep_until};
use super::{Node, SimNode, SimWorld, State, Work};
use crate::fault::SlowWork;
use crate::time::nanos;

/// How many times as long work takes; `None`: it hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    cpu: Option<u32>,
    records: Option<u32>,
    snapshot: Option<u32>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { cpu: Some(1), records: Some(1), snapshot: Some(1) }
    }
}

impl Pace {
    fn set(&mut self, work: SlowWork, factor: Option<u32>) {
        match work {
            SlowWork::Cpu => self.cpu = factor,
            SlowWork::Records => self.records = factor,
            SlowWork::Snapshot => self.snapshot = factor,
        }
    }

    /// Kinds of speed that make `work` take another time than usual.
    fn changes(&self, work: Work) -> impl Iterator<Item = SlowWork> {
        let own = match work {
            Work::Records { .. } => Some((SlowWork::Records, self.records)),
            Work::Snapshot { .. } => Some((SlowWork::Snapshot, self.snapshot)),
            Work::ReadBack { .. } | Work::Restore { .. } | Work::Inline { .. } | Work::Deploy => None,
        };
        let all = [Some((SlowWork::Cpu, self.cpu)), own].into_iter().flatten();
        all.filter(|(_, factor)| *factor != Some(1)).map(|(work, _)| work)
    }

    /// What the price of `work` is multiplied by.
    fn factor(&self, work: Work) -> Option<u64> {
        let own = match work {
            Work::Records { .. } => self.records,
            Work::Snapshot { .. } => self.snapshot,
            Work::ReadBack { .. } | Work::Restore { .. } | Work::Inline { .. } | Work::Deploy => Some(1),
        };
        Some(u64::from(self.cpu?) * u64::from(own?))
    }
}

/// Who waits for a node to be itself again.
#[derive(Default)]
pub(super) struct Held {
    /// Until it goes on.
    paused: Vec<Waker>,
    /// Until its work does not hang any more.
    hung: Vec<Waker>,
}

impl Node {
    /// Pieces of work that a fault of this kind made longer.
    pub(super) fn slowed(&self, work: SlowWork) -> u64 {
        self.slowed[work as usize]
    }

    fn note_slowed(&mut self, work: Work) {
        for kind in self.pace.changes(work) {
            self.slowed[kind as usize] += 1;
        }
    }

    /// A new life knows nothing of what was done to the last (SIM-W5).
    pub(super) fn begin_awake(&mut self) {
        self.paused = Arc::default();
        self.pace = Pace::default();
        self.held = Held::default();
    }
}

impl SimWorld {
    /// A node's process stands still before its next instruction; false if it is down or stands still already. The network
    /// goes on delivering to it.
    pub fn pause(&self, name: &str) -> bool {
        let id = {
            let state = self.lock();
            let node = state.index_of(name).map(|index| &state.nodes[index]);
            let Some(node) = node.filter(|node| node.alive.load(Ordering::Relaxed)) else { return false };
            if node.paused.swap(true, Ordering::Relaxed) {
                return false;
            }
            node.clock.standstill.begin(now());
            node.id.expect("set when built")
        };
        Handle::current().pause(id);
        true
    }

    /// It goes on where it stood; nothing happens to a node that is not paused.
    pub fn resume(&self, name: &str) {
        let (id, waiting) = {
            let mut state = self.lock();
            let Some(index) = state.index_of(name) else { return };
            let node = &mut state.nodes[index];
            if !node.paused.swap(false, Ordering::Relaxed) {
                return;
            }
            node.clock.standstill.end(now());
            (node.id.expect("set when built"), std::mem::take(&mut node.held.paused))
        };
        Handle::current().resume(id);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Work that a node begins from now on takes `factor` times as long (1: as before); `None`: it hangs until the factor is
    /// set again. Factors of [`SlowWork::Cpu`] and of the kind of work multiply.
    pub fn slow(&self, name: &str, work: SlowWork, factor: Option<u32>) {
        let waiting = {
            let mut state = self.lock();
            let Some(index) = state.index_of(name) else { return };
            let node = &mut state.nodes[index];
            node.pace.set(work, factor);
            std::mem::take(&mut node.held.hung)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Starts a dead node again with the local disk of its former life, as [`SimWorld::restart`] does with an empty one.
    pub fn restart_with_disk(&self, name: &str) {
        self.start_again(name, true);
    }
}

/// Records whose work is charged at once, where each stands for one.
const CHARGE_RECORDS: u64 = 64;

impl SimNode {
    /// Waits for a core to do `work`.
    pub(in super::super) async fn charge(&self, work: Work) {
        let mut hung = false;
        let until = poll_fn(|cx| {
            let now = now();
            let state: &mut State = &mut self.world.lock();
            let node = &mut state.nodes[self.index];
            let Some(factor) = node.pace.factor(work) else {
                if !std::mem::replace(&mut hung, true) {
                    node.note_slowed(work);
                }
                node.held.hung.push(cx.waker().clone());
                return Poll::Pending;
            };
            let price = state.config.rates.price(state.config.weights.work(work));
            if price.is_zero() {
                return Poll::Ready(None);
            }
            if factor != 1 {
                node.note_slowed(work);
            }
            let price = Duration::from_nanos(nanos(price).saturating_mul(factor));
            let core = node.cores.iter_mut().min().expect("a node has cores");
            *core = (*core).max(now) + price;
            Poll::Ready(Some(*core))
        });
        if let Some(until) = until.await {
            sleep_until(until).await;
            self.clock.standstill.due(until);
        }
    }

    pub(in super::super) fn charge_every(&self) -> u64 {
        (CHARGE_RECORDS / self.world.lock().config.weights.records.max(1)).max(1)
    }

    /// Returns at once unless the node stands still: then when it goes on.
    pub(super) async fn until_resumed(&self) {
        if !self.paused.load(Ordering::Relaxed) {
            return;
        }
        self.clock.standstill.hold();
        poll_fn(|cx| {
            if !self.paused.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            self.world.lock().nodes[self.index].held.paused.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
