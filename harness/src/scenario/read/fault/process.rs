//! Faults of processes, machines, and the user code in them.

use toml::de::DeValue;

use crate::plan::{Disk, FaultAction, KillMode, NodeTarget, SlowWork, UserFailure};
use crate::reader::Problem;
use crate::reader::Refusal;
use crate::reader::node;
use crate::reader::{FaultKeys as Keys, value};

pub(super) fn kill(keys: &mut Keys, mode: KillMode) -> Option<FaultAction> {
    let targets = targets(keys);
    let restart_after = keys.may("restart_after", "kill.restart_after", value::duration);
    let disk = keys.may("disk", "kill.disk", disk).unwrap_or_default();
    Some(FaultAction::Kill { targets: targets?, mode, restart_after, disk })
}

pub(super) fn pause(keys: &mut Keys) -> Option<FaultAction> {
    let target = keys.target("pause.target");
    let resume_after = keys.may("resume_after", "pause.resume_after", value::duration);
    Some(FaultAction::Pause { target: target?, resume_after })
}

pub(super) fn slow(keys: &mut Keys, work: SlowWork) -> Option<FaultAction> {
    let target = keys.target("slow.target");
    let help = "say how many times as long it takes: factor = 10";
    let factor = keys.must("factor", "slow.factor", help, value::whole_u32);
    let heal_after = keys.heal_after("slow.heal_after");
    Some(FaultAction::Slow { target: target?, work, factor: Some(factor?), heal_after })
}

/// Work that does not end before the fault does.
pub(super) fn hang(keys: &mut Keys, work: SlowWork) -> Option<FaultAction> {
    let target = keys.target("slow.target");
    let heal_after = keys.heal_after("slow.heal_after");
    Some(FaultAction::Slow { target: target?, work, factor: None, heal_after })
}

pub(super) fn crash_loop(keys: &mut Keys) -> Option<FaultAction> {
    let target = keys.target("crash-loop.target");
    let times = keys.must("times", "crash-loop.times", "say how often it dies: times = 3", value::whole_u32);
    let help = "say how long it lives between two deaths: up = \"500ms\"";
    let up = keys.must("up", "crash-loop.up", help, value::duration);
    let down = keys.must("down", "crash-loop.down", "say how long it is down: down = \"500ms\"", value::duration);
    Some(FaultAction::CrashLoop { target: target?, times: times?, up: up?, down: down? })
}

pub(super) fn user_code(keys: &mut Keys, how: UserFailure) -> Option<FaultAction> {
    Some(FaultAction::UserCode { target: keys.target("user-code.target")?, how })
}

pub(super) fn poison(keys: &mut Keys) -> Option<FaultAction> {
    let help = "say in which split the record stands: split = 0";
    let split = keys.must("split", "poison.split", help, value::whole_u32);
    let help = "say where in its split the record stands, from 0: position = 1000";
    let position = keys.must("position", "poison.position", help, value::whole_u64);
    let times = keys.may("times", "poison.times", value::whole_u32);
    Some(FaultAction::Poison { split: split?, position: position?, times })
}

/// `target` or `targets`, one of them.
fn targets(keys: &mut Keys) -> Option<Vec<NodeTarget>> {
    match (keys.table.get("target"), keys.table.get("targets")) {
        (Some(one), Some(several)) => {
            let help = "keep one of them: `target` for one node, `targets` for several";
            let problem = Problem::new("two-targets", "both `target` and `targets` are given", help);
            let problem = problem.at(one.span(), "this node").at(several.span(), "or these");
            let path = keys.at("kill.targets");
            keys.reader.refuse(&path, problem);
            None
        }
        (None, Some(several)) => {
            let nodes = keys.may("targets", "kill.targets", node::nodes)?;
            if let DeValue::Array(list) = several.get_ref() {
                for (index, value) in list.iter().enumerate() {
                    let path = keys.at(&format!("kill.targets[{index}]"));
                    keys.reader.place(&path, value.span());
                }
            }
            Some(nodes)
        }
        _ => {
            keys.also("target", "kill.targets");
            keys.target("kill.targets[0]").map(|node| vec![node])
        }
    }
}

fn disk(value: &DeValue) -> Result<Disk, Refusal> {
    value::word(value, &value::DISKS, |word| match word {
        "wiped" => Some(Disk::Wiped),
        "kept" => Some(Disk::Kept),
        _ => None,
    })
}
