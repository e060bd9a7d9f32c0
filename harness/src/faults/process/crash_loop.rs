//! `crash-loop`: a process dies again and again.

use super::kill::{RESTART_MIN, kill};
use crate::checker::{LIFE_MIN, Length, Rules};
use crate::draws::{Drawn, LINKED, Need};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{Class, Family, NODES, Spec, TARGET, foreign, must};
use crate::nemesis::{LEADER, Striking, Struck};
use crate::plan::{Disk, FaultAction, KillMode};
use crate::reader::{FaultKeys, value};
use crate::writer::{pair, target, time};

pub(crate) const CRASH_LOOP: Spec = Spec {
    name: "crash-loop",
    family: Family::Process,
    effect: "the process dies again and again",
    classes: &[Class::Masked, Class::FailedLoudly],
    roles: NODES,
    params: &[TARGET, must("times", "number"), must("up", "duration"), must("down", "duration")],
    read,
    write,
    rules,
    lengths,
    canonical,
    drawn: Drawn::new(Need::Nothing, LINKED, |a| FaultAction::CrashLoop {
        target: a.target(),
        times: a.times(),
        up: a.lasts("up"),
        down: a.lasts("down"),
    })
    .biting(),
    strike,
};

fn read(keys: &mut FaultKeys) -> Option<FaultAction> {
    let target = keys.target("crash-loop.target");
    let times = keys.must("times", "crash-loop.times", "say how often it dies: times = 3", value::whole_u32);
    let help = "say how long it lives between two deaths: up = \"500ms\"";
    let up = keys.must("up", "crash-loop.up", help, value::duration);
    let down = keys.must("down", "crash-loop.down", "say how long it is down: down = \"500ms\"", value::duration);
    Some(FaultAction::CrashLoop { target: target?, times: times?, up: up?, down: down? })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::CrashLoop { target: node, times, up, down } = action else { foreign(action) };
    [target(node), pair("times", times), pair("up", time(*up)), pair("down", time(*down))].map(Some).into()
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::CrashLoop { target, times, .. } = action else { foreign(action) };
    rules.target_exists(target, "crash-loop.target");
    rules.at_least((*times).into(), 1, "crash-loop.times", "the node would never die");
    rules.rounds = Some((*times, "crash-loop.times"));
}

fn lengths(action: &FaultAction) -> Vec<Length> {
    let FaultAction::CrashLoop { up, down, .. } = action else { foreign(action) };
    let life =
        |path, length| Length::new(path, length).at_least(LIFE_MIN, "the node needs a millisecond between two lives");
    vec![life("action.crash-loop.up", *up), life("action.crash-loop.down", *down)]
}

fn canonical(c: &Canon) -> Vec<Canonical> {
    let victims = c.connected().filter(|victim| victim.busy || victim.role == LEADER);
    victims
        .map(|victim| {
            let (up, down) = (c.brief(), c.brief().max(RESTART_MIN));
            let action = FaultAction::CrashLoop { target: victim.target(), times: 3, up, down };
            Canonical::at(victim, "three times", action).lasting()
        })
        .collect()
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::CrashLoop { target, times, up, down } = action else { foreign(action) };
    let node = s.node(target)?;
    s.in_rounds(*times, (*down).max(RESTART_MIN) + *up, vec![node], round)
}

fn round(s: &mut Striking, action: &FaultAction, nodes: &[String]) -> Struck {
    let (FaultAction::CrashLoop { down, .. }, [node]) = (action, nodes) else { foreign(action) };
    kill(s, node.clone(), KillMode::Crash, Some((*down).max(RESTART_MIN)), Disk::Wiped)
}
