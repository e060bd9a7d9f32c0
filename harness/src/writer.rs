//! Writes keys and values of scenario files, so that the reader gets the same values back.

use std::time::Duration;

use crate::plan::NodeTarget;
use crate::reader::node::ROLES;
use crate::units;

/// A key with its value.
pub(crate) fn pair(key: &str, value: impl std::fmt::Display) -> String {
    format!("{key} = {value}")
}

/// A text in quotes.
pub(crate) fn text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A name as a key: bare if it can be.
pub(crate) fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { text(name) }
}

/// A duration.
pub(crate) fn time(duration: Duration) -> String {
    text(&units::format_duration(duration))
}

/// A bandwidth.
pub(crate) fn speed(bytes_per_second: u64) -> String {
    text(&units::format_bandwidth(bytes_per_second))
}

/// A node, by role or by name.
pub(crate) fn node_name(node: &NodeTarget) -> &str {
    match node {
        NodeTarget::Node(name) => name,
        role => ROLES.iter().find(|(_, known)| known == role).map_or("", |(name, _)| name),
    }
}

/// The node that is struck.
pub(crate) fn target(node: &NodeTarget) -> String {
    pair("target", text(node_name(node)))
}

/// Two nodes with what stands between them.
pub(crate) fn link(from: &NodeTarget, between: &str, to: &NodeTarget) -> String {
    pair("link", text(&format!("{} {between} {}", node_name(from), node_name(to))))
}

/// How long a fault lasts, if it ends.
pub(crate) fn heal_after(after: Option<Duration>) -> Option<String> {
    after.map(|after| pair("heal_after", time(after)))
}
