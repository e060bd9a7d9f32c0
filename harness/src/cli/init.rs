//! `flowquake init`: writes a first scenario, with a comment for every section.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::print::say;
use super::{catalogue, refuse_text};
use crate::jobs::Jobs;
use crate::provenance::{command, quoted};
use crate::scenario::{JobCatalogue, Scenario};

#[derive(Args)]
pub(super) struct InitArgs {
    /// The file; its name without the ending becomes the scenario's
    #[arg(default_value = "my-first.toml")]
    file: PathBuf,
    /// A registered job [default: the first one that has generated input]
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
}

pub(super) fn init(args: &InitArgs, jobs: &Jobs) -> ExitCode {
    let (catalogue, shown) = (catalogue(jobs), args.file.display());
    if args.file.extension().is_none_or(|ending| ending != "toml") {
        return refuse_text(&format!("{shown}: scenario files end in .toml"), "name a file such as my-first.toml");
    }
    let generated = || catalogue.jobs.iter().find(|(_, entry)| !entry.generators.is_empty()).map(|(name, _)| name);
    let Some(job) = args.job.as_ref().or_else(generated).or(catalogue.jobs.keys().next()) else {
        return refuse_text("no job is registered", "register one with `Jobs::add`");
    };
    if catalogue.get(job).is_none() {
        let names = catalogue.names().join(", ");
        return refuse_text(&format!("--job {job}: no job has this name"), &format!("registered are: {names}"));
    }
    let text = text(&args.file, job, &catalogue);
    // The reader checks the text before it is written: the name may not be kebab-case, or the job may need parameters.
    if let Err(error) = Scenario::parse(&text, &args.file, &catalogue)
        && let Some(problem) = error.problems().iter().find(|problem| problem.code_name() != "missing-input")
    {
        let remedy = "name it in lower-case words joined by hyphens, such as my-first.toml";
        return match problem.code_name() {
            "bad-name" => refuse_text(&format!("{shown}: the name {problem}").replace("`name` ", ""), remedy),
            _ => refuse_text(&format!("{shown}: {problem}"), "name another job with --job"),
        };
    }
    if let Some(folder) = args.file.parent().filter(|folder| !folder.as_os_str().is_empty())
        && let Err(error) = std::fs::create_dir_all(folder)
    {
        return refuse_text(&format!("{}: {error}", folder.display()), "name a folder that can be written");
    }
    match File::create_new(&args.file).and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return refuse_text(&format!("{shown} is there already"), "name another file, or remove it");
        }
        Err(error) => return refuse_text(&format!("{shown}: {error}"), "name a file that can be written"),
    }
    say!("wrote {shown}; run it:\n{}", command(&format!("run {}", quoted(&args.file.to_string_lossy()))));
    ExitCode::SUCCESS
}

/// The scenario. What is not commented out runs and passes; what is commented out shows defaults.
fn text(file: &Path, job: &str, catalogue: &JobCatalogue) -> String {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = toml::Value::from(name.as_ref());
    let input = match catalogue.get(job).and_then(|entry| entry.generators.first()) {
        Some(generator) => {
            format!("{{ generator = \"{generator}\", records = 16_000, splits = 4, rate = \"2000/s\" }}")
        }
        None => "{ file = \"input.txt\", splits = 4, rate = \"2000/s\" }".to_owned(),
    };
    format!(
        r##"# A scenario: a job, a cluster, faults, expectations. Every key: docs/scenario-format.md
# Your editor completes and checks this file with the schema: {schema}
name = {name}                      # the name of this file
why = "a TaskManager dies in the middle of the input: nothing is lost and nothing doubled"
# time_limit = "144s"                    # virtual time; beyond it the run is stuck

[job]
name = "{job}"            # jobs: {jobs}
input = {input}
parallelism = 2                          # subtasks of every operator chain

[cluster]
task_managers = 2                        # tm-1, tm-2
slots = 2                                # of each
# job_managers = 1                       # with 2, jm-2 stands by and takes over
# latency = "200us..1ms"                 # of every link, one way
# cost_profile = "builtin"               # whose speed the cluster has

[checkpointing]
interval = "1s"
backend = "fs"                           # "memory", "fs" or "rocksdb"
# timeout = "600s"
# retained = 1                           # 2 and more: it can fall back to an older checkpoint

# [engine]
# restart_delay = "1s"
# heartbeat_timeout = "5s"

# A fault strikes at an event of the protocol (on), at a time (at), or once at each kind of event (each).
# Kinds of faults: {faults}. Events: {events}
[[fault]]
on = {{ event = "checkpoint-completed", checkpoint = 3 }}
do = "kill"
target = "tm-2"                          # a node, or "emitter", "leader", "standby", "task-manager", "peer"
restart_after = "2s"

# Another one, by the clock:
# [[fault]]
# at = "5s"
# do = "cut"
# link = "tm-1 - tm-2"
# heal_after = "1s"

# Instead of [[fault]]: faults drawn from the seed, others for each one ({sweep})
# [swarm]
# until = "6s"
# faults = [1, 6]

[expect]
failovers = 1
recovers_within = "60s"                  # from the end of the last fault to the end of the job
# outage_max = "< 10s"                   # what a user sees of it
"##,
        schema = command("schema --output scenario.schema.json"),
        jobs = command("list jobs"),
        faults = command("list faults"),
        events = command("list events"),
        sweep = command(&format!("run {} --seeds 100", quoted(&file.to_string_lossy()))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_scenario_is_right_for_every_job_and_shows_every_section() {
        let catalogue = catalogue(&Jobs::builtin());
        for job in catalogue.names() {
            let text = text(Path::new("my-first.toml"), job, &catalogue);
            let plan = Scenario::parse(&text, Path::new("my-first.toml"), &catalogue).expect(job).plan(1);
            assert_eq!((plan.faults.len(), plan.expect.failovers), (1, Some(1)));
            // The parts that are commented out are correct, too.
            let more = text.replace("# [engine]\n# ", "[engine]\n").replace("\n# heartbeat", "\nheartbeat");
            let more = more.replace("# [[fault]]\n# at", "[[fault]]\nat");
            let more = ["do", "link", "heal_after", "outage_max", "retained", "timeout", "job_managers", "latency"]
                .iter()
                .chain(&["cost_profile", "time_limit"])
                .fold(more, |text, key| text.replace(&format!("\n# {key} = "), &format!("\n{key} = ")));
            let plan = Scenario::parse(&more, Path::new("my-first.toml"), &catalogue).expect(&more).plan(1);
            assert_eq!(plan.faults.len(), 2);
        }
    }
}
