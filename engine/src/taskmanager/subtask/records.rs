//! The way of records through a subtask: from its source or input gate, through the chain, to its outputs and its
//! sink.

use super::*;
use crate::graph::chain::Tail;

impl Running {
    /// Lets the source emit one batch.
    pub(super) fn poll_source(&mut self) -> Result<SourceStatus, TaskError> {
        let now = self.subtask.env.input_now();
        let emitted = |chain: &dyn Chain| chain.positions().iter().map(|p| p.emitted).sum::<u64>();
        let before = emitted(&*self.chain);
        let status = self.program.call(|| self.chain.poll_source(now, self.source_batch))?;
        self.unpaid.0 += emitted(&*self.chain) - before;
        Ok(status)
    }

    /// Handles the result of one batch of the source.
    pub(super) async fn on_source(&mut self, status: SourceStatus) {
        self.settle().await;
        let (attempt, subtask) = (self.subtask.attempt, self.subtask.id);
        if status != SourceStatus::Ready && !self.caught_up {
            self.caught_up = true;
            self.subtask.env.emit(Event::CaughtUp { attempt, subtask }).await;
        }
        match status {
            SourceStatus::Ready => {
                self.source_timer.set(Some(self.subtask.env.input_now()));
                yield_once().await;
            }
            SourceStatus::IdleUntil(at) => self.source_timer.set(Some(at)),
            SourceStatus::Ended => self.on_end_of_input().await,
        }
    }

    /// Processes records from another subtask.
    pub(super) fn process(&mut self, bytes: &[u8], records: u32) -> Result<(), TaskError> {
        self.program.call(|| self.chain.process(bytes, records))?;
        self.unpaid.0 += u64::from(records);
        self.unpaid.1 += bytes.len() as u64;
        Ok(())
    }

    /// Whether nothing is left to do after a batch that could take time. Then no future needs to be created, which at
    /// low rates would cost more than the few records of the batch.
    pub(super) fn is_settled(&mut self) -> bool {
        self.seen_record
            && self.unpaid.0 < self.charge_every
            && self.chain.tail().output().is_none_or(|output| !output.has_full())
    }

    /// After a batch: reports the first record, sends full buffers, charges the work.
    pub(super) async fn settle(&mut self) {
        if self.unpaid.0 == 0 {
            return;
        }
        let (attempt, subtask) = (self.subtask.attempt, self.subtask.id);
        if !std::mem::replace(&mut self.seen_record, true) {
            self.subtask.env.emit(Event::FirstRecord { attempt, subtask }).await;
        }
        if self.unpaid.0 >= self.charge_every {
            self.pay().await;
        }
        self.send_full().await;
        self.set_flush_timer();
    }

    pub(super) async fn pay(&mut self) {
        let (records, bytes) = std::mem::take(&mut self.unpaid);
        if records > 0 {
            let state = self.subtask.vertex.is_keyed.then_some(self.subtask.config.backend);
            self.subtask.env.charge(Work::Records { records, bytes, state }).await;
        }
    }

    pub(super) async fn send_full(&mut self) {
        let Some(output) = self.chain.tail().output() else { return };
        for (channel, full) in output.take_full() {
            let buffer = Buffer::Records { bytes: full.bytes, records: full.records };
            if let Err(buffer) = self.subtask.outputs[channel].try_push(buffer) {
                let begun = self.subtask.env.now();
                self.subtask.outputs[channel].push(buffer).await;
                self.load.back_pressured(self.subtask.env.now().since(begun));
            }
        }
    }

    /// Sets the timer for buffers that are not full, and for output that is still in memory.
    pub(super) fn set_flush_timer(&mut self) {
        let now = self.subtask.env.now();
        let config = &self.subtask.config;
        let mut buffer_at = None;
        match (self.chain.tail(), &mut self.sink) {
            (Tail::Output(output), _) if output.has_partial() => {
                buffer_at = Some(self.flush_timer.deadline().unwrap_or(now + config.buffer_timeout));
            }
            (Tail::Sink(buffer), Some(sink)) => {
                if buffer.bytes.len() >= config.sink_chunk as usize {
                    sink.flush(buffer);
                }
                self.sink_flush_at = match (buffer.bytes.is_empty(), self.sink_flush_at) {
                    (true, _) => None,
                    (false, Some(at)) => Some(at),
                    (false, None) => Some(now + config.sink_flush_interval),
                };
            }
            _ => {}
        }
        self.flush_timer.set(earliest([buffer_at, self.sink_flush_at]));
    }

    pub(super) async fn flush(&mut self) {
        if let Some(output) = self.chain.tail().output() {
            output.seal_all();
        }
        self.send_full().await;
        let due = self.sink_flush_at.is_some_and(|at| at <= self.subtask.env.now());
        if let (true, Some(buffer), Some(sink)) = (due, self.chain.tail().sink(), &mut self.sink) {
            sink.flush(buffer);
            self.sink_flush_at = None;
        }
        self.set_flush_timer();
    }

    /// The input of one channel has ended.
    pub(super) async fn on_end_of_channel(&mut self) {
        self.ended_channels += 1;
        if self.subtask.gate.as_ref().is_some_and(|gate| self.ended_channels == gate.channels()) {
            self.on_end_of_input().await;
        }
    }

    /// All input has ended: sends what is buffered, passes the end on, and stays for the final checkpoint.
    async fn on_end_of_input(&mut self) {
        self.pay().await;
        if let Some(output) = self.chain.tail().output() {
            output.seal_all();
        }
        self.send_full().await;
        for output in &self.subtask.outputs {
            output.push(Buffer::EndOfInput).await;
        }
        let (attempt, subtask) = (self.subtask.attempt, self.subtask.id);
        self.subtask.env.emit(Event::EndOfInput { attempt, subtask }).await;
        self.subtask.reporter.report(TaskReport::EndOfInput(subtask));
    }
}

/// Lets other tasks of this thread run.
async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
