//! The director: it takes in what a target reports, and decides when faults strike. It joins recorder and nemesis, and
//! is the same for every target.
//!
//! A target calls [`Director::on_event`] before the emitter's next instruction, [`Director::on_store`] before the
//! process that wrote goes on, and [`Director::on_time`] when [`Director::next_time`] has come. The target plays until
//! [`Director::end`] is known, and then takes the outcome. The director waits for nothing, knows no clock but the times
//! that it is given, and acts on the cluster only through the [`Stage`].

use std::time::Duration;

use flowquake_engine::env::sim::{StoreMutation, Traffic};
use flowquake_engine::event::{Event, EventRecord};
use flowquake_engine::time::Time;

use crate::faults;
use crate::jobs::UserCode;
use crate::nemesis::Nemesis;
use crate::outcome::{End, Outcome, StoreCopy};
use crate::plan::RunPlan;
use crate::recorder::Recorder;
use crate::stage::Stage;

/// Directs one run.
pub struct Director {
    nemesis: Nemesis,
    recorder: Recorder,
    user_code: UserCode,
    end: Option<(End, Time)>,
    /// When everything is healed; `None` once that has happened, or if it never does.
    heal_at: Option<Time>,
    time_limit: Duration,
    /// When the run is given up.
    limit: Time,
}

impl Director {
    /// Directs a run of `plan` that begins at time zero, and keeps at most `copies` copies of the stores.
    pub fn new(plan: &RunPlan, copies: usize) -> Self {
        let cluster = &plan.cluster;
        let user_code = UserCode::default();
        Self {
            nemesis: Nemesis::new(
                plan.seed,
                plan.faults.clone(),
                cluster.job_managers,
                cluster.task_managers,
                user_code.clone(),
                faults::strike,
            ),
            recorder: Recorder::new(plan, copies),
            user_code,
            end: None,
            heal_at: plan.heal_at.map(|at| Time::ZERO + at),
            time_limit: plan.time_limit,
            limit: Time::ZERO + plan.time_limit,
        }
    }

    /// A director that records nothing, to measure what a run costs without recording. Its outcome cannot be judged.
    pub fn forgetful(plan: &RunPlan) -> Self {
        Self { recorder: Recorder::forgetful(plan), ..Self::new(plan, 0) }
    }

    /// The stores already hold this copy when the run begins.
    pub fn begin_with(&mut self, copy: &StoreCopy) {
        self.recorder.begin_with(copy);
    }

    /// The run begins; its time limit counts from now on.
    pub fn begin(&mut self, now: Time) {
        self.limit = now + self.time_limit;
    }

    /// A node lives from now on.
    pub fn begin_life(&mut self, node: &str, now: Time) {
        self.recorder.begin_life(node, now);
    }

    /// A node's life ended, and not by a strike.
    pub fn end_life(&mut self, node: &str, now: Time) {
        self.recorder.end_life(node, now);
    }

    /// Makes the job's program fail on order; for a target that builds the job.
    pub fn user_code(&self) -> &UserCode {
        &self.user_code
    }

    /// How the run ended, and when; `None` while it goes on.
    pub fn end(&self) -> Option<&(End, Time)> {
        self.end.as_ref()
    }

    /// Ends the run for a reason that lies in the target. The first end counts.
    pub fn end_with(&mut self, end: End, at: Time) {
        self.end.get_or_insert((end, at));
    }

    /// When [`Director::on_time`] is due next.
    pub fn next_time(&self) -> Time {
        let healing = self.heal_at.unwrap_or(Time::NEVER);
        self.nemesis.next_time().unwrap_or(Time::NEVER).min(healing).min(self.limit)
    }

    /// Does what is due by now: strikes, heals, or gives the run up.
    pub fn on_time(&mut self, stage: &dyn Stage, now: Time) {
        self.striking(stage, now, |nemesis| nemesis.on_time(stage, now));
        // The liveness phase begins: all faults end, and no fault strikes again, so the job must come back.
        if self.heal_at.take_if(|at| *at <= now).is_some() {
            self.striking(stage, now, |nemesis| nemesis.heal_all(stage, now));
        }
        if now >= self.limit {
            self.end_with(End::TimeLimit, now);
        }
    }

    /// An event was emitted: records it, and strikes the faults that are due at it. Returns whether
    /// [`Director::next_time`] has changed, so that the target must ask for it again.
    pub fn on_event(&mut self, stage: &dyn Stage, record: &EventRecord) -> bool {
        let next = self.nemesis.next_time();
        self.recorder.on_event(stage, record);
        match &record.event {
            // Where nobody sees the stores.
            Event::CheckpointCompleted { checkpoint, .. } => self.nemesis.on_sealed(*checkpoint),
            Event::JobFinished { .. } => self.end = Some((End::Finished, record.at)),
            Event::JobFailed { cause, .. } => self.end = Some((End::Failed(cause.clone()), record.at)),
            _ => {}
        }
        for index in self.nemesis.due(stage, record) {
            self.striking(stage, record.at, |nemesis| nemesis.strike(index, stage, record));
        }
        self.end.is_some() || self.nemesis.next_time() != next
    }

    /// A durable store changed at `at`.
    pub fn on_store(&mut self, stage: &dyn Stage, at: Time, mutation: &StoreMutation) {
        if let Some(completed) = self.recorder.on_store(stage, at, mutation) {
            self.nemesis.on_sealed(completed);
        }
    }

    /// The run is over: counts what was hurt until now, and records what is left in the stores.
    pub fn close(&mut self, stage: &dyn Stage, now: Time) {
        self.nemesis.finish(stage, now);
        self.recorder.close(stage, now);
    }

    /// Something happened that the plan did not ask for, or that nothing proves; either makes the run uncertain.
    pub fn doubt(&mut self, what: String) {
        self.recorder.note_doubt(what);
    }

    /// How many calls of dead incarnations had no effect. Known once all nodes are dead.
    pub fn note_late_effects(&mut self, late_effects: u64) {
        self.recorder.note_late_effects(late_effects);
    }

    /// Which messages were sent and which writes were made.
    pub fn note_traffic(&mut self, traffic: Traffic) {
        self.recorder.note_traffic(traffic);
    }

    /// Everything that was recorded. The director must not be used afterwards.
    pub fn take_outcome(&mut self) -> Outcome {
        self.recorder.take_outcome(self.end.take(), self.nemesis.strikes())
    }

    /// Lets the nemesis act, and records which lives ended or began through that.
    fn striking(&mut self, stage: &dyn Stage, now: Time, act: impl FnOnce(&mut Nemesis)) {
        let alive = self.recorder.alive(stage);
        act(&mut self.nemesis);
        self.recorder.note_lives(stage, now, alive);
    }
}
