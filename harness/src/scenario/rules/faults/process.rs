//! Rules for faults of processes, user code and clocks.

use crate::checker::Known;
use crate::checker::{Finding, Rules};
use crate::plan::{ClockFault, InputSource, NodeTarget, SlowWork, StoreFault, Trigger};
use crate::units;

/// Faster than this no clock drifts, in microseconds per second.
const DRIFT_MAX: u32 = 500_000;

impl Rules<'_> {
    pub(super) fn kill(&mut self, targets: &[NodeTarget], for_good: bool) {
        if targets.is_empty() {
            let help = "name at least one node, such as \"tm-1\"";
            let finding = Finding::new("no-effect", "no node is named: nobody would die", help);
            self.push(finding.at(self.at("kill.targets"), "empty"));
        }
        let mut all = true;
        for (index, target) in targets.iter().enumerate() {
            let below = format!("kill.targets[{index}]");
            if !self.target_exists(target, &below) {
                all = false;
                continue;
            }
            let twice =
                targets[..index].iter().any(|before| before == target || self.known(before).is(&self.known(target)));
            if twice {
                let message = format!("{} is named twice", self.known(target).describe());
                let finding = Finding::new("same-victim", message, "name each node once");
                self.push(finding.at(self.at(&below), "named before").given(self.trigger_path()));
            }
        }
        if for_good && all {
            self.somebody_leads(targets);
        }
    }

    /// Of JobManagers that never come back, one must be left.
    fn somebody_leads(&mut self, targets: &[NodeTarget]) {
        let managers = self.plan.cluster.job_managers;
        let repeat = match self.fault.trigger {
            // A leader may emit an event of many kinds.
            Trigger::Each(_) => managers,
            _ => self.fault.repeat,
        };
        let mut killed = 0u32;
        let mut first = None;
        for (index, target) in targets.iter().enumerate() {
            let known = self.known(target);
            let by_each = matches!((target, &self.fault.trigger), (NodeTarget::Emitter, Trigger::Each(_)));
            let may_lead = known.is_job_manager() == Some(true) || (known == Known::Unknown && by_each);
            if may_lead {
                // A node by name dies once, a role is filled anew.
                killed = killed.saturating_add(if matches!(known, Known::Node(_)) { 1 } else { repeat });
                first = first.or(Some((index, target, known)));
            }
        }
        let Some((index, target, known)) = first.filter(|_| killed >= managers) else { return };
        let message = match (managers, target) {
            (1, NodeTarget::Leader) => {
                "the leader is the only JobManager, `jm-1`: nobody would lead the job".to_owned()
            }
            (1, NodeTarget::Emitter) => match &self.fault.trigger {
                Trigger::On(on) => {
                    format!("the emitter of `{}` is the only JobManager, `jm-1`: nobody would lead the job", on.event)
                }
                _ => "some events are emitted by the only JobManager, `jm-1`: nobody would lead the job".to_owned(),
            },
            (1, _) => format!("`{}` is the only JobManager: nobody would lead the job", known.describe()),
            (n, _) => format!("all {n} JobManagers would die for good: nobody would lead the job"),
        };
        let help = match managers {
            1 => format!(
                "write restart_after = \"3s\", or job_managers = 2 into [cluster], or strike a TaskManager: {}",
                self.task_managers()
            ),
            _ => "write restart_after = \"3s\", or strike fewer of them".to_owned(),
        };
        let label = if managers == 1 { "the only JobManager" } else { "a JobManager" };
        let finding =
            Finding::new("kills-job-manager", message, help).at(self.at(&format!("kill.targets[{index}]")), label);
        let given = format!("{}.repeat", self.path);
        let finding = finding.given(self.trigger_path()).given(given).given(self.at("kill.restart_after"));
        self.push(finding.given("cluster.task_managers").given("cluster.job_managers"));
    }

    pub(super) fn slow(&mut self, target: &NodeTarget, work: SlowWork, factor: Option<u32>) {
        match work {
            SlowWork::Cpu => drop(self.target_exists(target, "slow.target")),
            SlowWork::Records | SlowWork::Snapshot => self.runs_tasks(target, "slow.target"),
        }
        if let Some(factor) = factor {
            self.at_least(factor.into(), 2, "slow.factor", "nothing would take longer");
        }
    }

    /// The record must be one that the job reads.
    pub(super) fn poison(&mut self, split: u32, position: u64, times: Option<u32>) {
        if let Some(times) = times {
            self.at_least(times.into(), 1, "poison.times", "no record would fail");
        }
        let splits = self.plan.job.input.splits;
        if split >= splits {
            let message = format!("there is no split {split}: the input has {splits}");
            let help = format!("splits are numbered from 0 to {}", splits.saturating_sub(1));
            let finding = Finding::new("no-such-record", message, help).at(self.at("poison.split"), "no such split");
            self.push(finding.given("job.input"));
            return;
        }
        let records = match &self.plan.job.input.source {
            InputSource::Generator { records, .. } => Some(*records),
            InputSource::File { .. } => self.lines,
        };
        // Record `i` belongs to split `i mod splits`.
        let held = records.map(|records| records.saturating_sub(split.into()).div_ceil(splits.into()));
        if let Some(held) = held.filter(|held| position >= *held) {
            let message = format!("split {split} has {held} records, so none at position {position}");
            let help = format!("positions count from 0 to {}", held.saturating_sub(1));
            let finding = Finding::new("no-such-record", message, help);
            self.push(
                finding
                    .at(self.at("poison.position"), "beyond the end")
                    .given("job.input")
                    .given(self.at("poison.split")),
            );
        }
    }

    pub(super) fn clock(&mut self, target: &NodeTarget, how: ClockFault) {
        self.target_exists(target, "clock.target");
        if let ClockFault::Drift(drift) = how
            && !(1..=DRIFT_MAX).contains(&drift.unsigned_abs())
        {
            let message = format!("a clock cannot drift by {}", units::format_drift(drift));
            let help = "write up to 500ms/s, with a minus for a clock that loses, but not zero";
            self.push(Finding::new("no-effect", message, help).at(self.at("clock.how.drift"), "out of range"));
        }
    }

    /// Leadership is lost, or claimed twice, only if the fault outlasts the lease, and if somebody stands by.
    pub(super) fn leadership(&mut self) {
        use crate::plan::FaultAction::{Clock, Store};
        if self.plan.swarm {
            // What a swarm draws need not have an effect each time.
            return;
        }
        let lease = self.plan.job.config.lease;
        let (length, below, what) = match self.fault.action {
            Store { how: StoreFault::Unavailable, heal_after, .. } => {
                if self.plan.cluster.job_managers < 2 {
                    let message = "leadership cannot be lost to anybody: this cluster has one JobManager";
                    let help = "write job_managers = 2 into [cluster]; or only cut the store off: \
                                do = \"store-unavailable\", node = \"jm-1\"";
                    let path = format!("{}.action", self.path);
                    let finding = Finding::new("no-standby", message, help).at(path, "to whom?");
                    self.push(finding.at("cluster.job_managers", "one JobManager"));
                }
                (heal_after, "store.heal_after", "the leader is cut off for")
            }
            Clock { how: ClockFault::Forward(by), .. } => (Some(by), "clock.how.forward", "the clock jumps by"),
            _ => return,
        };
        if let Some(length) = length.filter(|length| *length < lease && !length.is_zero()) {
            let (length, lease) = (units::format_duration(length), units::format_duration(lease));
            let message = format!("{what} {length}, but a standby takes over only after the lease, {lease}");
            let help = format!("write more than {lease}, or a shorter lease into [engine]");
            let finding = Finding::new("no-effect", message, help).at(self.at(below), "shorter than the lease");
            self.push(finding.at("job.config.lease", "the lease"));
        }
    }
}
