//! Every dependency is used. A crate that no code names any more would be compiled, audited and updated for nothing.

use std::fs;
use std::path::Path;

use toml::Table;

/// The text of all Rust files below a folder.
fn code(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            code(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

fn names(manifest: &Table, table: &str) -> Vec<String> {
    manifest.get(table).and_then(|table| table.as_table()).into_iter().flat_map(|table| table.keys().cloned()).collect()
}

/// Whether the code has this word.
fn has_word(code: &str, word: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    code.match_indices(word)
        .any(|(at, _)| edge(code[..at].chars().next_back()) && edge(code[at + word.len()..].chars().next()))
}

#[test]
fn every_dependency_is_used_by_its_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &Path| -> Table {
        let text = fs::read_to_string(path).unwrap();
        text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let mut of_crates = Vec::new();
    let mut unused = Vec::new();
    for part in ["engine", "harness", "reports", "scenarios", "benches"] {
        let manifest = read(&root.join(part).join("Cargo.toml"));
        let mut text = String::new();
        code(&root.join(part), &mut text);
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for name in names(&manifest, table) {
                if !has_word(&text, &name.replace('-', "_")) {
                    unused.push(format!("{part}/Cargo.toml [{table}] {name}"));
                }
                of_crates.push(name);
            }
        }
    }
    let workspace = read(&root.join("Cargo.toml"));
    let declared = names(workspace["workspace"].as_table().unwrap(), "dependencies");
    assert!(declared.len() > 20, "{declared:?}");
    unused.extend(declared.iter().filter(|name| !of_crates.contains(name)).map(|name| format!("Cargo.toml {name}")));
    assert!(unused.is_empty(), "nothing names these dependencies: {unused:#?}");
}
