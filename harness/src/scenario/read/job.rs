//! `[job]`: which job, its parameters, and what it reads.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeValue;

use super::{Reader, Table, value};
use crate::checker::JobCatalogue;
use crate::plan::{InputPlan, InputSource};
use crate::reader::{Problem, suggest};
use crate::units::Rate;

/// What `[job]` says. Settings of the engine stand in other sections.
pub(in crate::scenario) struct JobSection {
    /// Name in the registry.
    pub(in crate::scenario) name: String,
    /// Parameters, with the job's defaults filled in.
    pub(in crate::scenario) params: BTreeMap<String, String>,
    /// What the job reads.
    pub(in crate::scenario) input: InputPlan,
    /// The rate as it was written; the time limit is computed from it.
    pub(in crate::scenario) rate: Option<Rate>,
    /// Instances of every vertex.
    pub(in crate::scenario) parallelism: u16,
}

/// Reads `[job]`. Input files are looked for in `folder`, which holds the scenario.
pub(in crate::scenario) fn job(
    reader: &mut Reader,
    table: &Table,
    folder: &Path,
    catalogue: &JobCatalogue,
) -> JobSection {
    let names = catalogue.names();
    let help = format!("write name = \"...\" with one of {}", suggest::quoted(&names));
    let name = reader.required(table, "name", "job.name", &help, value::text).unwrap_or_default();
    let parallelism =
        reader.or_default(Some(table), "parallelism", "job.config.parallelism", value::whole_u16, 2, u16::to_string);
    let params = params(reader, table, catalogue, &name);
    let (input, rate) = input(reader, table, folder, parallelism);
    JobSection { name, params, input, rate, parallelism }
}

fn params(reader: &mut Reader, table: &Table, catalogue: &JobCatalogue, job: &str) -> BTreeMap<String, String> {
    let mut params = BTreeMap::new();
    if let Some(value) = table.get("params") {
        reader.place("job.params", value.span());
        if let DeValue::Table(entries) = value.get_ref() {
            let given = Table { section: "params", at: value.span(), entries };
            for key in entries.keys() {
                let (name, path) = (key.get_ref().as_ref(), format!("job.params.{}", key.get_ref()));
                if let Some(text) = reader.read(&given, name, &path, value::parameter) {
                    params.insert(name.to_owned(), text);
                    // Rules that object to a parameter point at its name.
                    reader.place(&path, key.span());
                }
            }
        } else {
            let help = "write params = { name = \"value\" }";
            let problem = Problem::new("wrong-type", "`params` must be a table of names and values", help);
            reader.refuse("job.params", problem.at(value.span(), "this is no table"));
        }
    }
    for param in catalogue.get(job).map_or(&[][..], |entry| &entry.params) {
        if !params.contains_key(&param.name) && !table.get("params").is_some_and(|given| holds(given, &param.name)) {
            reader.options.push((format!("params.{}", param.name), format!("{} (default)", param.default)));
            params.insert(param.name.clone(), param.default.clone());
        }
    }
    params
}

fn holds(params: &toml::Spanned<DeValue>, name: &str) -> bool {
    matches!(params.get_ref(), DeValue::Table(entries) if entries.contains_key(name))
}

fn input(reader: &mut Reader, job: &Table, folder: &Path, parallelism: u16) -> (InputPlan, Option<Rate>) {
    const PATH: &str = "job.input";
    let nothing = InputSource::File { path: Default::default(), repeat: 1 };
    let Some(value) = job.get("input") else {
        let help = "write input = { file = \"words.txt\" } or { generator = \"orders\", records = 1000 }";
        reader.missing(job, &["input"], PATH, help);
        return (InputPlan { source: nothing, splits: parallelism.into(), rate: None }, None);
    };
    let Some(table) = reader.table("input", value, PATH) else {
        return (InputPlan { source: nothing, splits: parallelism.into(), rate: None }, None);
    };
    let splits =
        reader.or_default(Some(&table), "splits", "job.input.splits", value::whole_u32, parallelism.into(), |n| {
            format!("{n}, as many as the parallelism")
        });
    let rate = reader.read(&table, "rate", "job.input.rate", value::rate);
    if table.get("rate").is_none() {
        reader.options.push(("rate".to_owned(), "everything is there at once (default)".to_owned()));
    }
    let source = source(reader, &table, folder).unwrap_or(nothing);
    (InputPlan { source, splits, rate: rate.map(Rate::per_second) }, rate)
}

/// A file or a generator. Each has keys of its own, and both together are refused.
fn source(reader: &mut Reader, table: &Table, folder: &Path) -> Option<InputSource> {
    const PATH: &str = "job.input.source";
    let misplaced = |reader: &mut Reader, key: &str, owner: &str| {
        if let Some(span) = table.key_span(key) {
            let message = format!("`{key}` goes with `{owner}`, which is not given");
            let help = format!("remove `{key}`, or give `{owner}` in its place");
            reader.refuse(PATH, Problem::new("misplaced-key", message, help).at(span, "has no meaning here"));
        }
    };
    match (table.get("file"), table.get("generator")) {
        (Some(file), Some(generator)) => {
            let help = "keep one of them: an input is either the lines of a file or generated records";
            let problem = Problem::new("two-inputs", "both `file` and `generator` are given", help);
            reader.refuse(PATH, problem.at(file.span(), "lines of this file").at(generator.span(), "or these records"));
            None
        }
        (None, None) => {
            let help = "give file = \"words.txt\", or generator = \"...\" with records = 1000";
            reader.missing(table, &["file", "generator"], PATH, help);
            None
        }
        (Some(_), None) => {
            misplaced(reader, "records", "generator");
            let path = reader.read(table, "file", "job.input.source.file.path", value::non_empty);
            let at = "job.input.source.file.repeat";
            let repeat = reader.or_default(Some(table), "repeat", at, value::whole_u32, 1, u32::to_string);
            Some(InputSource::File { path: folder.join(path.unwrap_or_default()), repeat })
        }
        (None, Some(_)) => {
            misplaced(reader, "repeat", "file");
            let name = reader.read(table, "generator", "job.input.source.generator.name", value::text);
            let help = "write how many records are generated: records = 200_000";
            let path = "job.input.source.generator.records";
            let records = reader.required(table, "records", path, help, value::whole_u64);
            Some(InputSource::Generator { name: name.unwrap_or_default(), records: records.unwrap_or(1) })
        }
    }
}
