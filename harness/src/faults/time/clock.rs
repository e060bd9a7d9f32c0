//! `clock-forward`, `clock-back` and `clock-drift`: a node's clock jumps, or runs at another speed for a while.

use std::time::Duration;

use flowquake_engine::env::sim::Gauge;
use flowquake_engine::time::Time;

use crate::checker::{Finding, Length, Rules};
use crate::draws::{ANYBODY, Action, Drawn, Need};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{BY, Class, Family, HEAL_AFTER, NODES, Spec, TARGET, foreign, must};
use crate::nemesis::{Cluster, Effect, Harm, LEADER, Nemesis, Receipt, Striking, Struck, TASK_MANAGER, offered};
use crate::plan::{ClockFault, FaultAction};
use crate::reader::{FaultKeys, value};
use crate::units;
use crate::writer::{heal_after, pair, target, text, time};

/// Remedy for a jump without a length.
pub(in crate::faults) const BY_HELP: &str = "say how far the clock jumps: by = \"10s\"";
/// Greatest drift of a clock, in microseconds per second.
const DRIFT_MAX: u32 = 500_000;

pub(crate) const CLOCK_FORWARD: Spec = Spec {
    name: "clock-forward",
    family: Family::Time,
    effect: "a node's clock jumps ahead",
    classes: &[Class::Masked],
    roles: &[LEADER, TASK_MANAGER],
    params: &[TARGET, BY],
    read: |keys| read_jump(keys, "clock.how.forward", ClockFault::Forward),
    write,
    rules,
    lengths,
    canonical: |c| jumps(c, CONNECTED, ClockFault::Forward),
    drawn: Drawn::new(Need::Nothing, ANYBODY, |a| drawn(a, ClockFault::Forward(jump(a)))),
    strike,
};

pub(crate) const CLOCK_BACK: Spec = Spec {
    name: "clock-back",
    effect: "a node's clock jumps back",
    roles: NODES,
    read: |keys| read_jump(keys, "clock.how.back", ClockFault::Back),
    canonical: |c| jumps(c, NODES, ClockFault::Back),
    drawn: Drawn::new(Need::Nothing, ANYBODY, |a| drawn(a, ClockFault::Back(jump(a)))),
    ..CLOCK_FORWARD
};

pub(crate) const CLOCK_DRIFT: Spec = Spec {
    name: "clock-drift",
    effect: "a node's clock gains or loses",
    roles: NODES,
    params: &[TARGET, must("rate", "\"50ms/s\" or \"-50ms/s\""), HEAL_AFTER],
    read: read_drift,
    canonical: drifts,
    drawn: Drawn::new(Need::Nothing, ANYBODY, |a| drawn(a, ClockFault::Drift(drift(a)))),
    ..CLOCK_FORWARD
};

/// Reads a jump; its length ends up at `below`.
fn read_jump(keys: &mut FaultKeys, below: &str, how: fn(Duration) -> ClockFault) -> Option<FaultAction> {
    let target = keys.target("clock.target");
    let by = keys.must("by", below, BY_HELP, value::duration);
    Some(FaultAction::Clock { target: target?, how: how(by?), heal_after: None })
}

fn read_drift(keys: &mut FaultKeys) -> Option<FaultAction> {
    let target = keys.target("clock.target");
    let help = "say how much it gains (loses, with a minus) in a second: rate = \"50ms/s\"";
    let drift = keys.must("rate", "clock.how.drift", help, value::drift);
    let heal_after = keys.heal_after("clock.heal_after");
    Some(FaultAction::Clock { target: target?, how: ClockFault::Drift(drift?), heal_after })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Clock { target: node, .. } = action else { foreign(action) };
    [vec![Some(target(node))], write_change(action)].concat()
}

/// The keys for what happens to the clock and how long, without its node.
pub(in crate::faults) fn write_change(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Clock { how, heal_after: after, .. } = action else { foreign(action) };
    let how = match how {
        ClockFault::Forward(by) | ClockFault::Back(by) => pair("by", time(*by)),
        ClockFault::Drift(micros) => pair("rate", text(&units::format_drift(*micros))),
    };
    vec![Some(how), heal_after(*after)]
}

pub(in crate::faults) fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Clock { target, how, .. } = action else { foreign(action) };
    rules.target_exists(target, "clock.target");
    if let ClockFault::Drift(drift) = how
        && !(1..=DRIFT_MAX).contains(&drift.unsigned_abs())
    {
        let message = format!("a clock cannot drift by {}", units::format_drift(*drift));
        let help = "write up to 500ms/s, with a minus for a clock that loses, but not zero";
        rules.push(Finding::new("no-effect", message, help).at(rules.at("clock.how.drift"), "out of range"));
    }
}

pub(in crate::faults) fn lengths(action: &FaultAction) -> Vec<Length> {
    let FaultAction::Clock { how, heal_after, .. } = action else { foreign(action) };
    let mut lengths = Length::until_end("action.clock.heal_after", *heal_after);
    let jump = |path, by: &Duration| Length::new(path, *by).key("by").above_zero("no clock would jump");
    lengths.extend(match how {
        ClockFault::Forward(by) => Some(jump("action.clock.how.forward", by)),
        ClockFault::Back(by) => Some(jump("action.clock.how.back", by)),
        ClockFault::Drift(_) => None,
    });
    lengths
}

fn drawn(a: &Action, how: ClockFault) -> FaultAction {
    FaultAction::Clock { target: a.target(), how, heal_after: a.heals() }
}

fn jump(a: &Action) -> Duration {
    a.draws.millis("jump", 10, 60_000)
}

fn drift(a: &Action) -> i32 {
    let parts_per_million = a.draws.number("drift", 1_000, 300_000) as i32;
    if a.draws.one_in("slower", 2) { -parts_per_million } else { parts_per_million }
}

const CONNECTED: &[&str] = &[LEADER, TASK_MANAGER];

fn jumps(c: &Canon, roles: &[&str], how: fn(Duration) -> ClockFault) -> Vec<Canonical> {
    let victims = c.everybody().filter(|victim| roles.contains(&victim.role));
    victims
        .flat_map(|victim| c.lengths().map(|length| (victim, length)))
        .map(|(victim, (label, by))| {
            let action = FaultAction::Clock { target: victim.target(), how: how(by), heal_after: None };
            Canonical::at(victim, format!("by a length {label}"), action).lasting()
        })
        .collect()
}

fn drifts(c: &Canon) -> Vec<Canonical> {
    const DRIFT: i32 = 200_000;
    c.everybody()
        .flat_map(|victim| [("gains", DRIFT), ("loses", -DRIFT)].map(|way| (victim, way)))
        .map(|(victim, (label, drift))| {
            let (target, how) = (victim.target(), ClockFault::Drift(drift));
            let action = FaultAction::Clock { target, how, heal_after: Some(c.beyond()) };
            Canonical::at(victim, label, action).lasting()
        })
        .collect()
}

pub(in crate::faults) fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::Clock { target, how, heal_after } = action else { foreign(action) };
    let node = s.node(target)?;
    let (way, by) = match *how {
        ClockFault::Forward(by) => ("ahead", by),
        ClockFault::Back(by) => ("back", by),
        ClockFault::Drift(drift) => {
            let gains = if drift < 0 { "loses" } else { "gains" };
            let hit = s.hit_node(&node, format!("the clock {gains} {} us in a second", drift.unsigned_abs()));
            let drifting = Drifting { node, drift };
            // A clock that has drifted stays wrong, even after it has stopped drifting.
            if drift != drifting.in_force(s.nemesis) {
                s.claim(Gauge::WrongClock(drifting.node.clone()), Harm::WrongClockReadings);
            }
            s.lasts(vec![hit], vec![Box::new(drifting.clone())], *heal_after);
            drifting.set(s.nemesis, s.world);
            return Ok(());
        }
    };
    if offered(s.world.clocks()).set_clock(&node, *how) {
        s.claim(Gauge::WrongClock(node.clone()), Harm::WrongClockReadings);
    }
    let detail = format!("the clock jumped {way} by {}", humantime::format_duration(by));
    s.over_at_once(s.role(&node), node, detail);
    Ok(())
}

/// A clock drifts.
#[derive(Debug, Clone)]
struct Drifting {
    node: String,
    drift: i32,
}

impl Drifting {
    /// The drift of this node's clock at this moment: that of the newest fault in force.
    fn in_force(&self, nemesis: &Nemesis) -> i32 {
        let mut newest = nemesis.newest::<Self>().filter(|(_, other)| other.node == self.node);
        newest.next().map_or(0, |(_, drifting)| drifting.drift)
    }

    fn set(&self, nemesis: &Nemesis, world: &dyn Cluster) {
        offered(world.clocks()).set_clock(&self.node, ClockFault::Drift(self.in_force(nemesis)));
    }
}

impl Effect for Drifting {
    fn end(&self, nemesis: &mut Nemesis, world: &dyn Cluster, _: Time) -> Receipt {
        self.set(nemesis, world);
        Receipt::certain()
    }
}
