//! `flowquake formulas` as a user sees it: catalogue, answers, files and refusals. Its page in the docs must say the
//! same.

use std::fs;
use std::path::Path;
use std::process::Command;

use flowquake_reports::formulas::calculator::catalogue::FORMULAS;
use flowquake_reports::formulas::calculator::symbol::Symbol;
use serde_json::Value;

/// The page that explains the verb.
const PAGE: &str = include_str!("../../docs/formulas.md");

/// Standard output and error of the command, which must end with `code`.
#[track_caller]
fn formulas(folder: &Path, args: &str, code: i32) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowquake"));
    let command = command.arg("formulas").args(args.split_whitespace()).current_dir(folder);
    let output = command.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(output.status.code(), Some(code), "{args}\n{out}\n{err}");
    assert!(!out.contains('\x1b'), "colour is for terminals");
    (out, err)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// What a formula of the document says.
fn answer<'d>(document: &'d Value, name: &str) -> &'d Value {
    let formulas = document["formulas"].as_array().unwrap();
    &formulas.iter().find(|formula| formula["name"] == name).unwrap()["answer"]
}

#[test]
fn without_inputs_every_formula_and_every_input_is_listed() {
    let (out, _) = formulas(folder().path(), "", 0);
    for formula in &FORMULAS {
        assert!(out.contains(formula.name) && out.contains(formula.equation), "{}", formula.name);
    }
    for symbol in Symbol::ALL {
        assert!(out.contains(&format!("--{} ", symbol.spec().option)), "{symbol:?}");
    }
}

#[test]
fn with_inputs_formulas_answer_and_the_others_say_what_they_lack() {
    let (out, _) = formulas(folder().path(), "--cost 30s --mtbf 10min", 0);
    for said in
        ["T =  189.7 s", "τ =  170.3 s", "T =  200.3 s", "catch-up                    D, A, λ, μ", "--load NUMBER"]
    {
        assert!(out.contains(said), "{said}\n{out}");
    }
    let (out, _) = formulas(folder().path(), "--load 110% --age 20s --outage 40s", 0);
    assert!(out.contains("input rate 1.1 is not below the capacity 1: the backlog never drains"), "{out}");
}

#[test]
fn the_document_goes_to_a_file_or_to_standard_output() {
    let folder = folder();
    let given =
        "--interval 30s --duration 4s --rate 500/s --capacity 1000/s --outage 40s --level 10min:3s --level 2h:36s";
    let (shown, _) = formulas(folder.path(), &format!("{given} --json answers.json"), 0);
    assert!(shown.starts_with("Inputs\n"), "{shown}");
    let (printed, _) = formulas(folder.path(), &format!("{given} --json -"), 0);
    assert_eq!(fs::read_to_string(folder.path().join("answers.json")).unwrap(), printed);
    let document: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(document["formulas_version"], 1);
    // A = 30/2 + 4 s, and the spare capacity equals the used capacity.
    assert_eq!(answer(&document, "recovery")["value"], 99.0);
    assert_eq!(answer(&document, "several levels, periods")["value"], serde_json::json!([60.0, 720.0]));
    assert_eq!(answer(&document, "Young")["missing"], serde_json::json!(["c", "M"]));
    let inputs = document["inputs"].as_array().unwrap();
    let age = inputs.iter().find(|input| input["symbol"] == "A").unwrap();
    assert_eq!((&age["value"], &age["from"]), (&19.0.into(), &"T/2 + d, its mean".into()));
}

#[test]
fn bad_input_is_refused_with_option_value_and_remedy() {
    let folder = folder();
    for (args, said) in [
        ("--interval 5", &["'5' for '--interval <TIME>'", "has no unit", "such as \"5s\""][..]),
        ("--mtbf -5s", &["'-5s' for '--mtbf <TIME>'", "cannot be negative"]),
        ("--load NaN", &["'NaN' for '--load <NUMBER>'", "such as 0.7 or 70%"]),
        ("--level 10min", &["'10min' for '--level <MTBF:COST>'", "such as 10min:3s"]),
        ("--state 10", &["'10' for '--state <SIZE>'", "64MiB"]),
        ("--parallelism 0", &["'0' for '--parallelism <N>'", "from 1 to"]),
        ("--rate 1/s --capacity 2/s --load 0.5", &["any two of them say the third", "help: leave one of them out"]),
        ("--rate 1/s --load 0", &["no capacity follows", "help: give --capacity"]),
        ("--json nowhere/x", &["--json nowhere/x: ", "help: name a file that can be written"]),
    ] {
        let (out, err) = formulas(folder.path(), args, 2);
        assert!(said.iter().all(|part| err.contains(part)), "{args}: {err}");
        assert_eq!(out, "", "{args}");
    }
}

#[test]
fn the_page_names_every_input_and_its_example_is_what_is_printed() {
    for symbol in Symbol::ALL {
        let option = format!("`--{} {}`", symbol.spec().option, symbol.spec().kind.placeholder());
        assert!(PAGE.contains(&option) && PAGE.contains(&format!("| {} |", symbol.letter())), "{option}");
    }
    let (_, example) = PAGE.split_once("flowquake formulas --").unwrap();
    let (args, _) = example.split_once("\n```").unwrap();
    let (out, _) = formulas(folder().path(), &format!("--{}", args.replace('\\', "")), 0);
    assert!(PAGE.contains(&out), "the example in docs/formulas.md prints\n{out}");
}
