//! Examples of every verb, at the end of its help.
//!
//! Start at [`with_examples`]. Each example is a command line that works as it is, under the name by which this program
//! was started. A test parses all of them.

use clap::Command;

use crate::provenance::command;

/// A command, and its examples: the arguments, and what they do.
type Examples = (&'static [&'static str], &'static [(&'static str, &'static str)]);

const EXAMPLES: &[Examples] = &[
    (
        &["run"],
        &[
            ("run scenarios", "every scenario below a folder, with seed 1"),
            ("run scenarios/network --seeds 20 --jobs 2", "20 seeds of each, two at the same time"),
            ("run scenarios/swarm --seeds 1000 --max-failures 5", "a sweep that ends at the fifth failure"),
            ("run --failed", "what did not pass last, once more"),
            ("run --resume", "what is left of a run that was stopped"),
            ("run scenarios --only 'network/*-lost'", "scenarios by name and folder"),
            ("run scenarios --junit runs.xml --markdown runs.md", "with documents for CI"),
            ("run my-first.toml --trace trace.txt --verbose", "one run in full"),
        ],
    ),
    (&["check"], &[("check scenarios", "reads all of them, runs none")]),
    (&["flink", "check"], &[("flink check --flink-home /opt/flink", "what is there, and what can be done with it")]),
    (
        &["init"],
        &[
            ("init", "writes my-first.toml"),
            ("init scenarios/mine/slow-store.toml --job keyed-count", "another file, another job"),
        ],
    ),
    (
        &["replay"],
        &[
            ("replay flowquake-failures/my-first-seed-7.json", "the same run again"),
            ("replay plan.json --log debug", "with the engine's own words"),
        ],
    ),
    (
        &["shrink"],
        &[
            ("shrink flowquake-failures/my-first-seed-7.json", "a smaller plan beside it"),
            ("shrink plan.json --scenario smallest.toml --runs 2000", "and as a scenario file"),
        ],
    ),
    (
        &["exhaust"],
        &[
            ("exhaust scenarios/exhaust/reference-run.toml", "one strike of every class, and 5 % of the others"),
            ("exhaust scenarios/exhaust/reference-run.toml --verify-pruning", "every strike: the proof"),
            ("exhaust scenarios/exhaust/reference-long.toml --budget 10min", "as far as it gets"),
            (
                "exhaust scenarios/exhaust/reference-run.toml --shard 1/2 --json 1.json",
                "half of the classes, for merge",
            ),
        ],
    ),
    (
        &["hunt"],
        &[
            ("hunt", "ten minutes over scenarios/swarm, with the corpus in flowquake-corpus"),
            ("hunt scenarios/swarm/reference.toml --for 30m --saturation 0.5", "one scenario, until little is new"),
            (
                "hunt --for 2h --nightly 2026-11-30 --shard 1/4 --json 1.json",
                "seeds of this night, one of four machines",
            ),
            ("hunt --merge 1.json 2.json 3.json 4.json --json all.json", "their reports as one"),
        ],
    ),
    (&["merge"], &[("merge 1.json 2.json --output all.html", "both halves together")]),
    (
        &["when"],
        &[
            ("when flowquake-failures/my-first-seed-7.json", "the curve, and the event that decided"),
            (
                "when plan.json --samples 100 --output when.html",
                "narrower intervals, and the page of the run with the curve",
            ),
        ],
    ),
    (
        &["coverage"],
        &[
            ("coverage all.json", "the grid, from records that `run --json all.json` wrote"),
            ("coverage all.json --min 70", "as a gate for CI"),
        ],
    ),
    (
        &["museum"],
        &[
            ("museum --short", "each planted bug, by the oracle that is named for it"),
            (
                "museum --only skip-sweep --by scripted --by exhaust",
                "one bug, by all scripted scenarios, and by every single fault",
            ),
            ("museum --update --html museum.html", "the whole kill matrix, written anew: hours"),
            ("museum --resume --update --html museum.html", "the same, after it was stopped"),
        ],
    ),
    (
        &["gate"],
        &[
            ("gate", "the runs of scenarios/gate.json, made again and compared"),
            ("gate --junit gate.xml --markdown gate.md", "with documents for CI"),
            ("gate --update scenarios/baseline --seeds 5", "a new baseline"),
        ],
    ),
    (&["export"], &[("export all.json --format perfetto --output trace.json", "for https://ui.perfetto.dev")]),
    (
        &["tune"],
        &[
            ("tune scenarios/tuning/state-and-load.toml", "a sweep over its section [tune]"),
            ("tune mine.toml --profile flink-2.2 --thorough", "on another cost profile, more finely"),
        ],
    ),
    (
        &["formulas"],
        &[
            ("formulas", "which formulas there are"),
            ("formulas --interval 30s --duration 4s --mtbf 1h", "every formula that these values answer"),
        ],
    ),
    (
        &["calibrate"],
        &[
            ("calibrate", "writes calibration.toml"),
            ("calibrate --quick --output mine.toml", "half a minute, wider intervals"),
        ],
    ),
    (
        &["list"],
        &[
            ("list faults", "every kind with its keys"),
            ("list events", "what a fault can be triggered by"),
            ("list runs", "the history of this folder, and what is under way"),
        ],
    ),
    (&["state", "show"], &[("state show ck/chk-3/_metadata --key 17", "one key of a checkpoint")]),
    (
        &["engine"],
        &[
            (
                "engine string-length-count --input scenarios/data/words.txt --output out --checkpoint-dir ck",
                "a file, on processes of this machine",
            ),
            (
                "engine string-length-count --input words.txt --output out --checkpoint-dir ck --resume",
                "goes on from the newest checkpoint",
            ),
        ],
    ),
    (&["schema"], &[("schema --output scenario.schema.json", "for editors, named by #:schema in a scenario")]),
    (&["completions"], &[("completions bash", "to be sourced, or saved where the shell looks")]),
    (&["man"], &[("man --out man1", "a page for each verb")]),
];

/// The command line with its examples.
pub(super) fn with_examples(command: Command) -> Command {
    EXAMPLES.iter().fold(command, |command, (verb, examples)| add(command, verb, examples))
}

fn add(parent: Command, verb: &[&'static str], examples: &[(&str, &str)]) -> Command {
    match verb {
        [] => parent.after_help(text(examples)),
        [first, rest @ ..] => parent.mut_subcommand(first, |verb| add(verb, rest, examples)),
    }
}

fn text(examples: &[(&str, &str)]) -> String {
    let lines = examples.iter().map(|(line, what)| format!("  {}\n      {what}", command(line)));
    format!("Examples:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_verb_has_examples_and_every_example_is_a_command_line() {
        let command = Cli::command();
        let verbs: BTreeSet<String> = command
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
            .map(|verb| verb.get_name().to_owned())
            .collect();
        assert_eq!(verbs, EXAMPLES.iter().map(|(verb, _)| verb[0].to_owned()).collect());
        for (line, _) in EXAMPLES.iter().flat_map(|(_, examples)| *examples) {
            let words = ["flowquake"].into_iter().chain(line.split(' '));
            Cli::command().try_get_matches_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        let help = with_examples(Cli::command()).find_subcommand_mut("run").unwrap().render_long_help().to_string();
        assert!(help.contains("Examples:\n"), "{help}");
    }
}
