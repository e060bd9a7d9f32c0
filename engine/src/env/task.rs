//! Tasks and timers of either world.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::tokio::{RealTask, RealTimer, TokioWorld};
use crate::time::Time;

/// A running task; dropping the handle aborts it.
pub struct TaskHandle(Option<Task>);

enum Task {
    Real(RealTask),
    #[cfg(feature = "sim")]
    Sim(madsim::task::AbortHandle),
}

impl TaskHandle {
    pub(super) fn real(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(Task::Real(RealTask::spawn(future))))
    }

    #[cfg(feature = "sim")]
    pub(super) fn simulated(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(Task::Sim(super::sim::spawn(future))))
    }

    /// Lets the task run on its own; it ends at the latest with its node.
    pub fn detach(mut self) {
        self.0 = None;
    }
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        match self.0.take() {
            Some(Task::Real(task)) => task.abort(),
            #[cfg(feature = "sim")]
            Some(Task::Sim(task)) => task.abort(),
            None => {}
        }
    }
}

/// A timer that can be set again. It never fires while it is not set.
pub struct Timer {
    deadline: Option<Time>,
    kind: TimerKind,
}

enum TimerKind {
    Real(RealTimer),
    #[cfg(feature = "sim")]
    Sim(super::sim::SimTimer),
}

impl Timer {
    pub(super) fn real(world: TokioWorld) -> Self {
        Self { deadline: None, kind: TimerKind::Real(RealTimer::new(world)) }
    }

    #[cfg(feature = "sim")]
    pub(super) fn simulated(timer: super::sim::SimTimer) -> Self {
        Self { deadline: None, kind: TimerKind::Sim(timer) }
    }

    /// Sets or clears the deadline; setting the same one again costs nothing.
    pub fn set(&mut self, deadline: Option<Time>) {
        if self.deadline == deadline {
            return;
        }
        self.deadline = deadline;
        if let (Some(at), TimerKind::Real(timer)) = (deadline, &mut self.kind) {
            timer.set(at);
        }
    }

    /// The current deadline.
    pub fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// Returns at the deadline and clears it. The future may be dropped and created again without losing the deadline.
    pub fn wait(&mut self) -> impl Future<Output = ()> + '_ {
        Wait(self)
    }
}

struct Wait<'a>(&'a mut Timer);

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let timer = &mut *self.0;
        let Some(deadline) = timer.deadline else { return Poll::Pending };
        let fired = match &mut timer.kind {
            TimerKind::Real(real) => real.poll(deadline, cx),
            #[cfg(feature = "sim")]
            TimerKind::Sim(sim) => sim.poll(deadline, cx),
        };
        if fired.is_ready() {
            timer.deadline = None;
        }
        fired
    }
}
