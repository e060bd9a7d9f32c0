//! What each key means, taken from the reference of scenario files (`docs/scenario-format.md`), as editors show it.
//!
//! Start at [`meaning`]. The page is compiled into the program, so editors show the same text as the page. A test asks
//! for every key of every section.

/// The text of the page.
pub(super) const REFERENCE: &str = include_str!("../../../docs/scenario-format.md");

/// What the page says about a key, with the default where the page states one.
pub(super) fn meaning(section: &str, key: &str) -> Option<String> {
    let mut current = String::new();
    let mut columns: Vec<&str> = Vec::new();
    for line in REFERENCE.lines() {
        if let Some(heading) = line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")) {
            let heading = heading.trim_matches('`');
            // Headings below `[[fault]]` belong to that section.
            if line.starts_with("## ") {
                current = if heading == "Top level" { "the top level" } else { heading }.to_owned();
            }
        } else if line.starts_with("Keys of `on` and `each`") {
            current = "on".to_owned();
        } else if line.starts_with("### ") || line.starts_with("Nodes stand in") {
            current = "[[fault]]".to_owned();
        } else if line.starts_with("`input` is") {
            current = "input".to_owned();
        } else if line.starts_with("Keys of `file`") {
            current = "file".to_owned();
        }
        let Some(row) = line.strip_prefix("| ") else { continue };
        let cells: Vec<&str> = row.trim_end_matches(" |").split('|').map(str::trim).collect();
        if cells[0] == "key" {
            columns = cells;
            continue;
        }
        let of_section = current == section || (section == "each" && current == "on");
        if !of_section || columns.len() != cells.len() || !names(cells[0]).iter().any(|name| name == key) {
            continue;
        }
        let cell = |name: &str| columns.iter().position(|column| *column == name).map(|at| cells[at]);
        let meaning = cell("meaning")?;
        return Some(match cell("default").filter(|default| !default.is_empty() && !default.starts_with("required")) {
            Some(default) => format!("{meaning}. Default: {default}"),
            None => meaning.to_owned(),
        });
    }
    None
}

/// The keys in the first cell of a row. `_p99` after `checkpoint_duration_p50` means `checkpoint_duration_p99`.
fn names(cell: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in cell.split('`').skip(1).step_by(2) {
        let stem = names.first().filter(|_| name.starts_with('_')).and_then(|first| first.rsplit_once('_'));
        names.push(stem.map_or_else(|| name.to_owned(), |(stem, _)| format!("{stem}{name}")));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::read::SECTIONS;

    #[test]
    fn every_key_of_every_section_is_described() {
        for (section, keys) in SECTIONS.iter() {
            for key in keys {
                // Sections are headings of the page, and each kind of fault has a row of its own.
                let heading = *section == "the top level" && REFERENCE.contains(&format!("[{key}]"));
                let told = heading || *key == "do" || meaning(section, key).is_some();
                assert!(told, "docs/scenario-format.md has no row for `{key}` of {section}");
            }
        }
    }

    #[test]
    fn rows_are_read_with_their_defaults() {
        assert_eq!(
            meaning("[engine]", "restart_delay").unwrap(),
            "`fixed-delay`, `failure-rate`: pause before the next attempt. Default: `\"1s\"`"
        );
        assert_eq!(names("`checkpoint_duration_p50`, `_p99`"), ["checkpoint_duration_p50", "checkpoint_duration_p99"]);
        assert_eq!(meaning("[expect]", "checkpoint_duration_max"), meaning("[expect]", "checkpoint_duration_p50"));
        assert_eq!(meaning("[engine]", "restart"), None);
    }
}
