//! `flap`: a link comes and goes.

use super::cut::cut;
use crate::checker::{LIFE_MIN, Length, Rules};
use crate::draws::{Drawn, LINKED, Need};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{Class, Family, LINK, LINKS, Spec, foreign, must};
use crate::nemesis::{Striking, Struck};
use crate::plan::FaultAction;
use crate::reader::{FaultKeys, value};
use crate::writer::{link, pair, time};

pub(crate) const FLAP: Spec = Spec {
    name: "flap",
    family: Family::Network,
    effect: "a link comes and goes",
    classes: &[Class::Masked],
    roles: LINKS,
    params: &[LINK, must("times", "number"), must("up", "duration"), must("down", "duration")],
    read,
    write,
    rules,
    lengths,
    canonical,
    drawn: Drawn::new(Need::Nothing, LINKED, |a| FaultAction::Flap {
        from: a.target(),
        to: a.peer(),
        times: a.times(),
        up: a.lasts("up"),
        down: a.lasts("down"),
    }),
    strike,
};

fn read(keys: &mut FaultKeys) -> Option<FaultAction> {
    let ends = keys.link("flap");
    let times = keys.must("times", "flap.times", "say how often it is cut: times = 3", value::whole_u32);
    let help = "say how long it is healed between two cuts: up = \"500ms\"";
    let up = keys.must("up", "flap.up", help, value::duration);
    let down = keys.must("down", "flap.down", "say how long it is cut: down = \"500ms\"", value::duration);
    let (from, to) = ends?;
    Some(FaultAction::Flap { from, to, times: times?, up: up?, down: down? })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Flap { from, to, times, up, down } = action else { foreign(action) };
    [link(from, "-", to), pair("times", times), pair("up", time(*up)), pair("down", time(*down))].map(Some).into()
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Flap { from, to, times, .. } = action else { foreign(action) };
    rules.link(from, to, "flap.from", "flap.to");
    rules.at_least((*times).into(), 1, "flap.times", "the link would never be cut");
    rules.rounds = Some((*times, "flap.times"));
}

fn lengths(action: &FaultAction) -> Vec<Length> {
    let FaultAction::Flap { up, down, .. } = action else { foreign(action) };
    let (through, held) = (
        "no message would get through before it is cut again",
        "no message would be held back before it is whole again",
    );
    vec![
        Length::new("action.flap.up", *up).at_least(LIFE_MIN, through),
        Length::new("action.flap.down", *down).at_least(LIFE_MIN, held),
    ]
}

fn canonical(c: &Canon) -> Vec<Canonical> {
    let links = c.links().into_iter();
    links
        .map(|(one, other)| {
            let (from, to) = (one.target(), other.target());
            let action = FaultAction::Flap { from, to, times: 3, up: c.brief(), down: c.brief() };
            Canonical::at(one, "three times", action).towards(other).lasting()
        })
        .collect()
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::Flap { from, to, times, up, down } = action else { foreign(action) };
    let (from, to) = s.link(from, to)?;
    s.in_rounds(*times, *down + *up, vec![from, to], round)
}

fn round(s: &mut Striking, action: &FaultAction, nodes: &[String]) -> Struck {
    let (FaultAction::Flap { down, .. }, [from, to]) = (action, nodes) else { foreign(action) };
    cut(s, std::slice::from_ref(from), std::slice::from_ref(to), true, Some(*down))
}
