//! Reads the victims of a fault: nodes by name or role, links between two nodes, and links between two sets.
//!
//! Only the form is read here; the rules check whether a node exists.

use toml::de::DeValue;

use super::value::{self, Refusal};
use crate::plan::NodeTarget;

/// Help where a node is needed.
pub(crate) const HELP: &str = "say who is struck: target = \"emitter\", \"leader\", \"standby\", \"task-manager\", \
                               \"peer\" or a node such as \"tm-2\"";

/// Help where a link is needed.
pub(crate) const LINK_HELP: &str = "name both ends: link = \"tm-1 - tm-3\"";
/// Help where a link with a direction is needed.
pub(crate) const ARROW_HELP: &str = "name both ends: link = \"tm-1 -> tm-3\"";

/// The roles of nodes.
pub(crate) const ROLES: [(&str, NodeTarget); 5] = [
    ("emitter", NodeTarget::Emitter),
    ("leader", NodeTarget::Leader),
    ("standby", NodeTarget::Standby),
    ("task-manager", NodeTarget::TaskManager),
    ("peer", NodeTarget::Peer),
];

/// Two sets of nodes.
pub(crate) type Ends = (Vec<NodeTarget>, Vec<NodeTarget>);

/// One node.
pub(crate) fn node(value: &DeValue) -> Result<NodeTarget, Refusal> {
    let help = "write a role or a name: {key} = \"leader\" or {key} = \"tm-2\"";
    value::formed_text(value, "must name a node", help).map(|name| named(&name))
}

/// A list of nodes.
pub(crate) fn nodes(value: &DeValue) -> Result<Vec<NodeTarget>, Refusal> {
    match value {
        DeValue::Array(list) => list.iter().map(|value| node(value.get_ref())).collect(),
        DeValue::String(name) => {
            let names: Vec<String> = name.split(',').map(|name| format!("{:?}", name.trim())).collect();
            let help = format!("write {{key}} = [{}]", names.join(", "));
            Err(Refusal::new("wrong-type", "must be a list of nodes", "this is text", help))
        }
        _ => {
            let help = "write {key} = [\"tm-1\", \"tm-2\"]".to_owned();
            Err(Refusal::new("wrong-type", "must be a list of nodes", "this is no list", help))
        }
    }
}

/// Reads `"tm-1,tm-2 - tm-3"` or `"tm-1,tm-2 | tm-3"`. The spaces matter, because names contain hyphens.
pub(crate) fn both_sides(value: &DeValue) -> Result<Ends, Refusal> {
    let link = value::formed_text(value, "must name two ends", LINK_HELP)?;
    if let Some((from, to)) = link.split_once("->") {
        let help = format!("write {{key}} = \"{} - {}\", or do = \"cut-one-way\"", from.trim(), to.trim());
        return Err(Refusal::new("bad-link", "has one direction, but a cut has both", "an arrow", help));
    }
    let help = "write both ends with a hyphen between blanks: {key} = \"tm-1 - tm-3\"";
    sides(&link, if link.contains('|') { "|" } else { " - " }, help)
}

/// Reads `"tm-1,tm-2 -> tm-3"`.
pub(crate) fn senders_and_receivers(value: &DeValue) -> Result<Ends, Refusal> {
    let link = value::formed_text(value, "must name two ends", ARROW_HELP)?;
    if let (false, Some((from, to))) = (link.contains("->"), link.split_once(" - ").or(link.split_once('|'))) {
        let help = format!("write {{key}} = \"{} -> {}\", or do = \"cut\"", from.trim(), to.trim());
        return Err(Refusal::new("bad-link", "must say in which direction messages vanish", "no arrow", help));
    }
    sides(&link, "->", "write sender and receiver with an arrow between: {key} = \"tm-1 -> tm-3\"")
}

/// Reads `"tm-1 - tm-3"`: one link, in both directions.
pub(crate) fn link(value: &DeValue) -> Result<(NodeTarget, NodeTarget), Refusal> {
    let text = value::formed_text(value, "must name two ends", LINK_HELP)?;
    if let Some((from, to)) = text.split_once("->") {
        let help = format!("write {{key}} = \"{} - {}\"", from.trim(), to.trim());
        return Err(Refusal::new("bad-link", "has one direction, but this strikes both", "an arrow", help));
    }
    let help = "write both ends with a hyphen between blanks: {key} = \"tm-1 - tm-3\"";
    single(sides(&text, if text.contains('|') { "|" } else { " - " }, help)?)
}

/// Reads `"tm-1 -> tm-3"`: the node that has lost its end, and the node that does not know.
pub(crate) fn arrow(value: &DeValue) -> Result<(NodeTarget, NodeTarget), Refusal> {
    let help = "write who has lost its end, and who does not know: {key} = \"tm-1 -> tm-3\"";
    single(sides(&value::formed_text(value, "must name two ends", help)?, "->", help)?)
}

fn sides(link: &str, between: &str, help: &str) -> Result<Ends, Refusal> {
    let refuse = |label: &str| Err(Refusal::new("bad-link", "must name two ends", label, help.to_owned()));
    let [from, to] = link.split(between).collect::<Vec<_>>()[..] else { return refuse("not two ends") };
    let names = |side: &str| side.split(',').map(str::trim).map(str::to_owned).collect::<Vec<_>>();
    let (from, to) = (names(from), names(to));
    if from.iter().chain(&to).any(String::is_empty) {
        return refuse("an end without a name");
    }
    let targets = |names: Vec<String>| names.iter().map(|name| named(name)).collect();
    Ok((targets(from), targets(to)))
}

fn single((mut from, mut to): Ends) -> Result<(NodeTarget, NodeTarget), Refusal> {
    match (from.pop(), to.pop()) {
        (Some(a), Some(b)) if from.is_empty() && to.is_empty() => Ok((a, b)),
        _ => {
            let help = "write one node at each end: {key} = \"tm-1 - tm-3\"; only cuts take sets of nodes".to_owned();
            Err(Refusal::new("bad-link", "must be a single link", "sets of nodes", help))
        }
    }
}

/// A node by role or by name.
fn named(name: &str) -> NodeTarget {
    let name = name.trim();
    let role = ROLES.into_iter().find(|(role, _)| *role == name);
    role.map_or_else(|| NodeTarget::Node(name.to_owned()), |(_, target)| target)
}
