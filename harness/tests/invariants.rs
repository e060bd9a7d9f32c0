//! Each invariant has exactly one name: a header defines it, ARCHITECTURE.md lists it, and some code asserts or tests
//! it.
//!
//! A header names its invariants after `Invariant:` or `Invariants:`, as `(NAME-1)`. All other uses of a name are found
//! as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Rust files below a folder, with their text.
fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
}

fn all() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for part in ["engine", "harness/src", "harness/tests", "reports/src", "scenarios/tests"] {
        sources(&root().join(part), &mut found);
    }
    found.sort();
    found
}

/// Whether a word is made of capital letters, perhaps a hyphen with more of them, and a number.
fn is_name(word: &str) -> bool {
    let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
    letters.len() < word.len()
        && letters.starts_with(|c: char| c.is_ascii_uppercase())
        && letters.chars().all(|c| c.is_ascii_uppercase() || c == '-')
}

/// The names that a header defines.
fn defined(text: &str) -> Vec<String> {
    let header: Vec<&str> =
        text.lines().take_while(|line| line.starts_with("//!")).map(|line| line[3..].trim()).collect();
    let header = header.join(" ");
    let Some(at) = header.find("Invariant: ").or_else(|| header.find("Invariants: ")) else { return Vec::new() };
    let bracketed = header[at..].split('(').skip(1).filter_map(|rest| rest.split(')').next());
    bracketed.filter(|word| is_name(word)).map(str::to_owned).collect()
}

/// Every name, with the files whose headers define it.
fn definitions() -> BTreeMap<String, Vec<String>> {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in all() {
        let file = path.strip_prefix(root()).unwrap().display().to_string();
        for name in defined(&text) {
            let files = names.entry(name).or_default();
            if !files.contains(&file) {
                files.push(file.clone());
            }
        }
    }
    names
}

/// The names that ARCHITECTURE.md lists. A cell has one name, several (`A1, A2`), or a range (`A1 to A4`).
fn listed() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let section = text.split("\n## Invariants\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut names = BTreeSet::new();
    for cell in section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next()) {
        match cell.split_once(" to ") {
            Some((first, last)) if is_name(first) && is_name(last) => {
                let stem = first.trim_end_matches(|c: char| c.is_ascii_digit());
                let number = |name: &str| name[stem.len()..].parse::<u32>().unwrap();
                names.extend((number(first)..=number(last)).map(|n| format!("{stem}{n}")));
            }
            _ => names.extend(cell.split(", ").filter(|word| is_name(word)).map(str::to_owned)),
        }
    }
    names
}

#[test]
fn every_invariant_has_a_name_of_its_own_and_stands_in_the_table() {
    let definitions = definitions();
    assert!(definitions.len() > 100, "{definitions:?}");
    let twice: Vec<_> = definitions.iter().filter(|(_, files)| files.len() > 1).collect();
    assert!(twice.is_empty(), "one name, several meanings: {twice:#?}");
    let (defined, listed): (BTreeSet<String>, _) = (definitions.into_keys().collect(), listed());
    let missing: Vec<_> = defined.difference(&listed).collect();
    let invented: Vec<_> = listed.difference(&defined).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "not in ARCHITECTURE.md: {missing:?}; in no header: {invented:?}"
    );
}

#[test]
fn every_invariant_is_asserted_or_tried_under_its_name() {
    let code: Vec<String> = all()
        .into_iter()
        .filter(|(path, _)| !path.ends_with("tests/invariants.rs"))
        .map(|(_, text)| text.lines().filter(|line| !line.starts_with("//!")).collect::<Vec<_>>().join("\n"))
        .collect();
    let says = |text: &String, name: &str| {
        text.match_indices(name).any(|(at, _)| {
            let edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
            edge(text[..at].chars().next_back()) && edge(text[at + name.len()..].chars().next())
        })
    };
    let untried: Vec<String> =
        definitions().into_keys().filter(|name| !code.iter().any(|text| says(text, name))).collect();
    assert!(untried.is_empty(), "no assertion and no test names them: {untried:?}");
}
