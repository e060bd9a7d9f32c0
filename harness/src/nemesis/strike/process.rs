//! Strikes at processes, machines, user code and clocks.

use std::time::Duration;

use flowquake_engine::env::sim::Gauge;
use flowquake_engine::fault::{ClockFault, Death, SlowWork};

use super::{Blow, Struck};
use crate::faults::TASK_MANAGER;
use crate::nemesis::effect::Effect;
use crate::nemesis::watch::{Armed, Watched};
use crate::nemesis::{Cluster, Harm, Nemesis};
use crate::plan::{Disk, KillMode, NodeTarget, UserFailure};

impl Nemesis {
    pub(super) fn kill(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        node: String,
        mode: KillMode,
        restart_after: Option<Duration>,
        disk: Disk,
    ) -> Struck {
        let (death, harm, detail) = match mode {
            KillMode::Crash => (Death::Crash, Harm::NodesKilled, "process killed, connections reset"),
            KillMode::MachineLoss => (Death::MachineLoss, Harm::NodesLost, "machine lost, silence"),
        };
        if !world.kill(&node, death) {
            return Err(format!("{node} was down already"));
        }
        let hit = self.hit_node(blow, &node, detail);
        self.harmed(blow.fault, harm, 1);
        self.lasts(world, blow, vec![hit], vec![Effect::Down(node, disk)], restart_after);
        Ok(())
    }

    pub(super) fn pause(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        target: &NodeTarget,
        after: Option<Duration>,
    ) -> Struck {
        let node = self.node(world, blow, target)?;
        if !world.pause(&node) {
            return Err(format!("{node} is down or stands still already"));
        }
        let hit = self.hit_node(blow, &node, "the process stands still");
        self.lasts(world, blow, vec![hit], vec![Effect::Paused(node)], after);
        Ok(())
    }

    pub(super) fn slow(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        target: &NodeTarget,
        work: SlowWork,
        factor: Option<u32>,
        after: Option<Duration>,
    ) -> Struck {
        let node = self.node(world, blow, target)?;
        let name = match work {
            SlowWork::Cpu => "all work",
            SlowWork::Records => "work on records",
            SlowWork::Snapshot => "the synchronous part of snapshots",
        };
        let detail = match factor {
            Some(factor) => format!("{name} takes {factor} times as long"),
            None => format!("{name} hangs"),
        };
        let hit = self.hit_node(blow, &node, detail);
        self.set_for(world, blow, hit, Effect::Slow(node, work, factor), after);
        Ok(())
    }

    pub(super) fn user_code(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        target: &NodeTarget,
        how: UserFailure,
    ) -> Struck {
        let node = self.node(world, blow, target)?;
        let detail = match how {
            UserFailure::Panic => "user code panicked",
            UserFailure::Error => "user code returned an error",
        };
        let armed = Armed::OnNode(node.clone());
        self.watch(Watched::new(blow, armed, TASK_MANAGER, node.clone(), detail.into()).at_most(Some(1)));
        self.user_code.arm(&node, how);
        Ok(())
    }

    pub(super) fn poison(&mut self, blow: &Blow, split: u32, position: u64, times: Option<u32>) {
        let armed = Armed::OnRecord(split, position);
        let (target, detail) = (format!("record {position} of split {split}"), "user code failed on it".to_owned());
        self.watch(Watched::new(blow, armed, TASK_MANAGER, target, detail).at_most(times));
        self.user_code.poison(split, position, times);
    }

    pub(super) fn clock(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        target: &NodeTarget,
        how: ClockFault,
        after: Option<Duration>,
    ) -> Struck {
        let node = self.node(world, blow, target)?;
        let (way, by) = match how {
            ClockFault::Forward(by) => ("ahead", by),
            ClockFault::Back(by) => ("back", by),
            ClockFault::Drift(drift) => {
                let gains = if drift < 0 { "loses" } else { "gains" };
                let detail = format!("the clock {gains} {} us in a second", drift.unsigned_abs());
                let hit = self.hit_node(blow, &node, detail);
                // A clock that drifted is wrong for good, also when it has ceased to drift.
                if drift != self.drift(&node) {
                    self.claim(world, blow.fault, None, Gauge::WrongClock(node.clone()), Harm::WrongClockReadings);
                }
                self.set_for(world, blow, hit, Effect::Drifting(node, drift), after);
                return Ok(());
            }
        };
        if world.set_clock(&node, how) {
            self.claim(world, blow.fault, None, Gauge::WrongClock(node.clone()), Harm::WrongClockReadings);
        }
        let role = self.cast.role(&node);
        self.over_at_once(blow, role, node, format!("the clock jumped {way} by {}", humantime::format_duration(by)));
        Ok(())
    }
}
