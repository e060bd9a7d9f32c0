//! The ends of a connection as the engine holds them: a sender and a receiver on each side.

use std::future::poll_fn;
use std::sync::atomic::Ordering;

use super::super::super::{Frame, NetError};
use super::super::SimNode;
use super::super::timer::now;

/// Both halves of one side.
pub(super) fn ends(node: SimNode, id: usize, side: usize) -> (SimSender, SimReceiver) {
    let half = |sender| Half { node: node.clone(), id, side, sender };
    (SimSender(half(true)), SimReceiver(half(false)))
}

/// One half of one side of a connection.
struct Half {
    node: SimNode,
    id: usize,
    side: usize,
    sender: bool,
}

impl Drop for Half {
    fn drop(&mut self) {
        // Destructors of a dead incarnation only update the book-keeping.
        let alive = self.node.alive.load(Ordering::Relaxed);
        let graceful = if alive && madsim::time::TimeHandle::try_current().is_some() { Some(now()) } else { None };
        self.node.world.lock().network.drop_half(self.id, self.side, self.sender, graceful);
    }
}

pub(crate) struct SimSender(Half);

impl SimSender {
    pub(crate) async fn send(&mut self, frame: Frame) -> Result<(), NetError> {
        self.0.node.only_alive().await;
        let Half { node, id, side, .. } = &self.0;
        poll_fn(|cx| node.world.lock().network.poll_send(*id, *side, &frame, now(), cx.waker())).await
    }
}

pub(crate) struct SimReceiver(Half);

impl SimReceiver {
    pub(crate) async fn receive(&mut self) -> Result<Frame, NetError> {
        self.0.node.only_alive().await;
        let Half { node, id, side, .. } = &self.0;
        let still = &node.clock.standstill;
        poll_fn(|cx| node.world.lock().network.poll_receive(*id, *side, now(), cx.waker(), still)).await
    }
}
