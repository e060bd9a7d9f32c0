//! Faults of processes, machines, and the user code in them.

use super::{Keys, Kind, target, value};
use crate::plan::{Disk, FaultAction, KillMode, NodeTarget, SlowWork, UserFailure};
use crate::scenario::error::Problem;
use crate::scenario::read::value::Refusal;
use toml::de::DeValue;

const FACTOR_HELP: &str = "say how many times as long it takes: factor = 10";

pub(super) fn action(keys: &mut Keys, kind: Kind) -> Option<FaultAction> {
    Some(match kind {
        Kind::Pause => FaultAction::Pause {
            target: keys.target("pause.target")?,
            resume_after: keys.may("resume_after", "pause.resume_after", value::duration),
        },
        Kind::SlowCpu => slow(keys, SlowWork::Cpu, true)?,
        Kind::SlowOperator => slow(keys, SlowWork::Records, true)?,
        Kind::HangSnapshot => slow(keys, SlowWork::Snapshot, false)?,
        Kind::CrashLoop => {
            let target = keys.target("crash-loop.target");
            let help = "say how often it dies: times = 3";
            let times = keys.must("times", "crash-loop.times", help, value::whole_u32);
            let help = "say how long it lives between two deaths: up = \"500ms\"";
            let up = keys.must("up", "crash-loop.up", help, value::duration);
            let help = "say how long it is down: down = \"500ms\"";
            let down = keys.must("down", "crash-loop.down", help, value::duration);
            FaultAction::CrashLoop { target: target?, times: times?, up: up?, down: down? }
        }
        Kind::UserPanic => user_code(keys, UserFailure::Panic)?,
        Kind::UserError => user_code(keys, UserFailure::Error)?,
        Kind::PoisonRecord => {
            let help = "say in which split the record stands: split = 0";
            let split = keys.must("split", "poison.split", help, value::whole_u32);
            let help = "say where in its split the record stands, from 0: position = 1000";
            let position = keys.must("position", "poison.position", help, value::whole_u64);
            let times = keys.may("times", "poison.times", value::whole_u32);
            FaultAction::Poison { split: split?, position: position?, times }
        }
        Kind::MachineLoss => kill(keys, KillMode::MachineLoss)?,
        _ => kill(keys, KillMode::Crash)?,
    })
}

fn kill(keys: &mut Keys, mode: KillMode) -> Option<FaultAction> {
    let targets = targets(keys);
    Some(FaultAction::Kill {
        mode,
        restart_after: keys.may("restart_after", "kill.restart_after", value::duration),
        disk: keys.may("disk", "kill.disk", disk).unwrap_or_default(),
        targets: targets?,
    })
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
            let nodes = keys.may("targets", "kill.targets", target::nodes)?;
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

fn slow(keys: &mut Keys, work: SlowWork, has_factor: bool) -> Option<FaultAction> {
    let target = keys.target("slow.target");
    let factor = match has_factor {
        true => Some(keys.must("factor", "slow.factor", FACTOR_HELP, value::whole_u32)?),
        false => None,
    };
    let heal_after = keys.heal_after("slow.heal_after");
    Some(FaultAction::Slow { target: target?, work, factor, heal_after })
}

fn user_code(keys: &mut Keys, how: UserFailure) -> Option<FaultAction> {
    Some(FaultAction::UserCode { target: keys.target("user-code.target")?, how })
}

fn disk(value: &DeValue) -> Result<Disk, Refusal> {
    value::word(value, &["wiped", "kept"], |word| match word {
        "wiped" => Some(Disk::Wiped),
        "kept" => Some(Disk::Kept),
        _ => None,
    })
}
