//! Faults of a node as a whole: it stands still, is slow, or comes back with its old disk.
//!
//! A paused node runs no instruction. Its connections stay open, and frames go on arriving. What it had charged or
//! requested before goes on, too: a core finishes its queue, and a store request takes effect when the node continues.
//! Start at [`SimWorld::pause`] and [`SimWorld::slow`].
//!
//! Invariants: (SIM-W4) an effect never begins on a paused node, not even in the poll in which an observer paused it;
//! (SIM-W5) a new life begins at normal speed and awake, whatever was done to the life before. Clock and disk belong
//! to the machine and stay.

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

/// How many times as long each kind of work takes; `None` means that it hangs.
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

    /// The kinds of slow work that make `work` take another time than usual.
    fn changes(&self, work: Work) -> impl Iterator<Item = SlowWork> {
        let own = match work {
            Work::Records { .. } => Some((SlowWork::Records, self.records)),
            Work::Snapshot { .. } => Some((SlowWork::Snapshot, self.snapshot)),
            Work::ReadBack { .. } | Work::Restore { .. } | Work::Inline { .. } | Work::Deploy => None,
        };
        let all = [Some((SlowWork::Cpu, self.cpu)), own].into_iter().flatten();
        all.filter(|(_, factor)| *factor != Some(1)).map(|(work, _)| work)
    }

    /// The factor by which the price of `work` is multiplied; `None` means that it hangs.
    fn factor(&self, work: Work) -> Option<u64> {
        let own = match work {
            Work::Records { .. } => self.records,
            Work::Snapshot { .. } => self.snapshot,
            Work::ReadBack { .. } | Work::Restore { .. } | Work::Inline { .. } | Work::Deploy => Some(1),
        };
        Some(u64::from(self.cpu?) * u64::from(own?))
    }
}

/// Tasks that wait until a fault of the node ends.
#[derive(Default)]
pub(super) struct Held {
    /// Tasks that wait until the node continues.
    paused: Vec<Waker>,
    /// Tasks that wait until their work does not hang any more.
    hung: Vec<Waker>,
}

impl Node {
    /// Number of pieces of work that a fault of this kind made longer.
    pub(super) fn slowed(&self, work: SlowWork) -> u64 {
        self.slowed[work as usize]
    }

    fn note_slowed(&mut self, work: Work) {
        for kind in self.pace.changes(work) {
            self.slowed[kind as usize] += 1;
        }
    }

    /// A new life is not affected by what was done to the last one (SIM-W5).
    pub(super) fn begin_awake(&mut self) {
        self.paused = Arc::default();
        self.pace = Pace::default();
        self.held = Held::default();
    }
}

impl SimWorld {
    /// Stops a node's process before its next instruction. Returns false if the node is down or paused already. The
    /// network goes on delivering to it.
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

    /// Lets a paused node continue where it stopped; does nothing to a node that is not paused.
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

    /// Work that a node begins from now on takes `factor` times as long (1 is normal); with `None` it hangs until the
    /// factor is set again. The factors of [`SlowWork::Cpu`] and of the kind of work multiply.
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

    /// Starts a dead node again like [`SimWorld::restart`], but with the local disk of its former life.
    pub fn restart_with_disk(&self, name: &str) {
        self.start_again(name, true);
    }
}

/// Records whose work is charged together, if each record stands for one.
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

    /// Returns when the node does not stand still, at once if it does not now.
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
