//! Reads the tables of a scenario file, and collects all mistakes instead of stopping at the first.
//!
//! Start at [`Reader::read`]. It reads one key of one [`Table`], and records its place in the file under the key's
//! *plan path* (where the value ends up in the JSON of the `RunPlan`, such as `job.config.checkpoints.interval`). So
//! problems found by the rules, which see only the plan, can be shown at their place in the file. [`value`] and
//! [`node`] say what values look like. The maker of a reader says which sections there are, and which keys they have:
//! the kinds of faults, which use a reader to read themselves, are in a module above this one.
//!
//! Invariants: (READ-R1) every key of every table is read, or reported as unknown; (READ-R2) a path whose value was refused is
//! tainted, so no rule complains about the stand-in value that took its place.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

mod error;
mod excerpt;
mod fault_keys;
pub(crate) mod node;
pub(crate) mod suggest;
pub(crate) mod value;

pub(crate) use error::Span;
pub use error::{Problem, ScenarioError};
pub(crate) use excerpt::Excerpt;
pub(crate) use fault_keys::FaultKeys;
pub(crate) use value::{Parse, Refusal};

/// The sections of a file with their keys: what each table accepts, and where a misplaced key belongs.
pub(crate) type Sections = [(&'static str, Vec<&'static str>)];

/// One table of the file.
pub(crate) struct Table<'d> {
    /// The name, as in [`Sections`].
    pub(crate) section: &'static str,
    /// The place of its header, or of the whole inline table.
    pub(crate) at: Span,
    /// Keys and values.
    pub(crate) entries: &'d DeTable<'d>,
}

impl<'d> Table<'d> {
    /// The value under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.entries.get(key)
    }

    /// The place of the key itself.
    pub(crate) fn key_span(&self, key: &str) -> Option<Span> {
        self.entries.get_key_value(key).map(|(key, _)| key.span())
    }
}

/// What was found so far.
pub(crate) struct Reader {
    sections: &'static Sections,
    /// The problems found so far.
    pub(crate) problems: Vec<Problem>,
    /// Place in the file, by plan path.
    pub(crate) spans: BTreeMap<String, Span>,
    /// Plan paths whose value was refused.
    pub(crate) tainted: Vec<String>,
    /// Section and key that unknown keys were probably meant to be. These keys count as refused, not as left out.
    misspelt: Vec<(&'static str, &'static str)>,
    /// Settings that the file left open, with the values that were chosen.
    pub(crate) options: Vec<(String, String)>,
}

impl Reader {
    /// A reader for a file with these sections, before anything is read.
    pub(crate) fn new(sections: &'static Sections) -> Self {
        let (problems, spans) = (Vec::new(), BTreeMap::new());
        Self { sections, problems, spans, tainted: Vec::new(), misspelt: Vec::new(), options: Vec::new() }
    }

    /// Records the place of the value of `path`.
    pub(crate) fn place(&mut self, path: &str, span: Span) {
        self.spans.insert(path.to_owned(), span);
    }

    /// Reports `problem`, and marks `path` so that the rules ignore everything below it.
    pub(crate) fn refuse(&mut self, path: &str, problem: Problem) {
        self.tainted.push(path.to_owned());
        self.problems.push(problem);
    }

    /// Reads `value` as the table `section`, and reports keys that the section does not have.
    pub(crate) fn table<'d>(
        &mut self,
        section: &'static str,
        value: &'d Spanned<DeValue<'d>>,
        path: &str,
    ) -> Option<Table<'d>> {
        self.place(path, value.span());
        let DeValue::Table(entries) = value.get_ref() else {
            let found = value::describe(value.get_ref());
            let problem = Problem::new("wrong-type", format!("{section} must be a table"), table_help(section));
            self.refuse(path, problem.at(value.span(), format!("this is {found}")));
            return None;
        };
        let table = Table { section, at: value.span(), entries };
        self.known_keys(&table);
        Some(table)
    }

    /// Reports the keys of `table` that its section does not have.
    pub(crate) fn known_keys(&mut self, table: &Table) {
        let accepted = keys(self.sections, table.section);
        for key in table.entries.keys().filter(|key| !accepted.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref().as_ref();
            let home = self.sections.iter().find(|(section, keys)| *section != table.section && keys.contains(&name));
            let guess = suggest::nearest(name, accepted);
            let help = match (guess, home) {
                (None, Some((section, _))) if *section == "the top level" => {
                    format!("`{name}` belongs to the top level: move it above the first [section]")
                }
                (None, Some((section, _))) => format!("`{name}` belongs to {section}: move it there"),
                _ => suggest::choose(name, accepted),
            };
            let guess = guess.filter(|_| suggest::absent(name).is_none());
            self.misspelt.extend(guess.map(|guess| (table.section, guess)));
            let message = format!("{} has no key `{name}`", table.section);
            self.problems.push(Problem::new("unknown-key", message, help).at(key.span(), "unknown key"));
        }
    }

    /// Reads `key`, if it is there and valid.
    pub(crate) fn read<T>(&mut self, table: &Table, key: &str, path: &str, parse: Parse<T>) -> Option<T> {
        let Some(value) = table.get(key) else {
            if self.is_misspelt(table, key) {
                self.tainted.push(path.to_owned());
            }
            return None;
        };
        self.place(path, value.span());
        match parse(value.get_ref()) {
            Ok(read) => Some(read),
            Err(Refusal { code, message, label, help }) => {
                let problem = Problem::new(code, format!("`{key}` {message}"), help.replace("{key}", key));
                self.refuse(path, problem.at(value.span(), label));
                None
            }
        }
    }

    /// Reads `key`, which is required; `help` says what to write.
    pub(crate) fn required<T>(
        &mut self,
        table: &Table,
        key: &str,
        path: &str,
        help: &str,
        parse: Parse<T>,
    ) -> Option<T> {
        if table.get(key).is_none() {
            self.missing(table, &[key], path, help);
        }
        self.read(table, key, path, parse)
    }

    /// Reports that `table` has none of `keys`, of which it needs one. Silent if one of them was misspelt, because that
    /// was reported.
    pub(crate) fn missing(&mut self, table: &Table, keys: &[&str], path: &str, help: &str) {
        if keys.iter().any(|key| self.is_misspelt(table, key)) {
            self.tainted.push(path.to_owned());
            return;
        }
        let keys = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" or ");
        let problem = Problem::new("missing-key", format!("{} lacks {keys}", table.section), help);
        self.refuse(path, problem.at(table.at.clone(), format!("{keys} is missing here")));
    }

    fn is_misspelt(&self, table: &Table, key: &str) -> bool {
        self.misspelt.contains(&(table.section, key))
    }

    /// Reads `key`, or uses `default` and notes that.
    pub(crate) fn or_default<T>(
        &mut self,
        table: Option<&Table>,
        key: &str,
        path: &str,
        parse: Parse<T>,
        default: T,
        show: impl Fn(&T) -> String,
    ) -> T {
        match table.filter(|table| table.get(key).is_some() || self.is_misspelt(table, key)) {
            Some(table) => self.read(table, key, path, parse).unwrap_or(default),
            None => {
                self.options.push((key.to_owned(), format!("{} (default)", show(&default))));
                default
            }
        }
    }
}

/// The keys of a section.
pub(crate) fn keys(sections: &'static Sections, section: &str) -> &'static [&'static str] {
    sections.iter().find(|(name, _)| *name == section).map_or(&[], |(_, keys)| keys.as_slice())
}

/// How to write the table `section`.
fn table_help(section: &str) -> String {
    match section {
        "input" => "write input = { file = \"words.txt\" } or { generator = \"orders\", records = 1000 }".into(),
        "on" => "write on = { event = \"checkpoint-completed\", checkpoint = 3 }".into(),
        "each" => "write each = { attempt = 1 }, or each = {} for every kind of event".into(),
        "file" => "write file = { checkpoint = 3, kind = \"state\", index = 0 }".into(),
        section => format!("write {section} on a line of its own, and its keys below"),
    }
}
