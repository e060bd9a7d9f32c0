//! Folders and input that the real engine meets: folders in use, read-only, full, or with other files in them; input
//! with a byte order mark or other line ends.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// A run must end at once, with this exit code and these words.
fn refused(case: &Case, extra: &[&str], needles: &[&str]) {
    let mut run = case.start(extra);
    let (status, _) = run.end();
    run.until(&format!("{needles:?}"), || needles.iter().all(|needle| run.log().contains(needle)));
    assert_eq!(status.code(), Some(2), "{}", run.log());
}

/// Keeps a process alive when its launcher dies: the pipe by which it would notice has another writer.
pub(super) fn hold_lifeline(process: u32) -> std::io::Result<fs::File> {
    fs::File::options().write(true).open(format!("/proc/{process}/fd/0"))
}

#[test]
fn a_second_run_on_the_same_folders_is_refused_and_names_the_first() {
    let case = Case::new(words(), BackendKind::Memory);
    let mut run = case.start(&[]);
    run.until("checkpoint", || case.completed() >= 1);
    let first = run.launcher.id().to_string();
    for extra in [&[][..], &["--resume"]] {
        refused(&case, extra, &["is in use by another run", &format!("process {first}"), "help:"]);
    }
    run.finishes();
    case.assert_exactly_once();
}

/// A process that outlives its launcher would still write. The next run waits for this process, and continues when it
/// is gone.
#[test]
fn a_resumed_run_waits_for_the_orphans_of_a_killed_launcher() {
    let case = Case::new(words(), BackendKind::Fs);
    let run = case.start(&[]);
    run.until("checkpoint", || case.completed() >= 1);
    let orphan = run.process("tm-1");
    let lifeline = hold_lifeline(orphan).unwrap();
    signal(run.launcher.id(), Signal::SIGKILL);
    drop(run);
    let mut run = case.start(&["--resume"]);
    // Other processes may be about to end when the run looks.
    let waits = |log: String| log.contains("waiting for process ") && log.contains(&format!("{orphan} (tm-1)"));
    run.until("word that it waits", || waits(run.log()));
    assert!(!run.log().contains("started"), "{}", run.log());
    drop(lifeline);
    run.finishes();
    case.assert_exactly_once();
}

#[test]
fn an_orphan_that_stays_is_named_with_what_ends_it() {
    let case = Case::new(words(), BackendKind::Fs);
    let run = case.start(&[]);
    run.until("checkpoint", || case.completed() >= 1);
    let orphan = run.process("tm-1");
    let _lifeline = hold_lifeline(orphan).unwrap();
    signal(run.launcher.id(), Signal::SIGKILL);
    drop(run);
    refused(&case, &["--resume"], &["whose launcher is gone", &format!("kill -9 {orphan}")]);
    signal(orphan, Signal::SIGKILL);
    case.start(&["--resume"]).finishes();
    case.assert_exactly_once();
}

#[test]
fn folders_that_cannot_be_written_are_refused() {
    let case = Case::new(words(), BackendKind::Memory);
    let output = case.output();
    fs::write(&output, "a file").unwrap();
    refused(&case, &[], &["is not a folder", "help:"]);
    fs::remove_file(&output).unwrap();
    std::os::unix::fs::symlink("/proc/no-such-folder", &output).unwrap();
    refused(&case, &[], &["--output", "nothing can be written", "help:"]);
    assert!(!case.checkpoints().exists(), "what was created is gone");
    fs::remove_file(&output).unwrap();
    fs::create_dir(&output).unwrap();
    fs::set_permissions(&output, fs::Permissions::from_mode(0o500)).unwrap();
    // Permissions do not bind root.
    if fs::write(output.join("probe"), "").is_err() {
        refused(&case, &[], &["--output", "nothing can be written", "Permission denied"]);
    }
}

/// What a file system and a desktop leave in a folder is no reason to refuse it.
#[test]
fn furniture_in_the_folders_is_ignored() {
    let case = Case::new(words(), BackendKind::Memory);
    for folder in [case.output(), case.checkpoints()] {
        fs::create_dir_all(folder.join("lost+found")).unwrap();
        fs::write(folder.join(".DS_Store"), "").unwrap();
    }
    case.start(&[]).finishes();
}

/// Lines for files and other programs: no colours, the time of day instead of seconds since 1970, and as much as was asked for.
#[test]
fn log_lines_are_for_people_and_files() {
    let case = Case::new(words(), BackendKind::Memory);
    let mut run = case.start(&["--log", "debug"]);
    run.finishes();
    let log = run.log();
    assert!(!log.contains('\x1b'), "{log}");
    let line = log.lines().find(|line| line.contains("leadership-granted")).unwrap_or_else(|| panic!("{log}"));
    let time = line.split_whitespace().find(|word| word.ends_with('Z')).unwrap_or_else(|| panic!("{line}"));
    assert!(humantime::parse_rfc3339(time).is_ok(), "{line}");
}

/// A byte order mark and carriage returns are no part of any record.
#[test]
fn a_file_as_windows_writes_it() {
    let case = Case::new(words(), BackendKind::Memory);
    let input = case.root.path().join("bom-crlf.txt");
    fs::write(&input, "\u{feff}alpha\r\nbeta\r\n\r\ngamma\r\nalpha\r\n").unwrap();
    let case = Case { input, repeat: 1, ..case };
    case.start(&[]).finishes();
    case.assert_exactly_once();
    let mut text = String::new();
    for file in fs::read_dir(case.output()).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        fs::File::open(file).unwrap().read_to_string(&mut text).unwrap();
    }
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    // Three words of five letters share one count. In which order those of different splits come is open.
    let sound = [
        [" - 0", "alpha - 0", "alpha - 1", "beta - 0", "gamma - 2"],
        [" - 0", "alpha - 0", "alpha - 2", "beta - 0", "gamma - 1"],
    ];
    assert!(sound.contains(&lines[..].try_into().unwrap()), "{lines:?}");
}

/// The whole life of a term, again and again: the control port is opened, let go, and opened again.
#[test]
fn a_leader_that_is_paused_again_and_again_keeps_its_job() {
    let case = Case::new(words(), BackendKind::Memory);
    let mut run = case.start(&["--lease", "150ms"]);
    run.until("checkpoint", || case.completed() >= 1);
    let leader = run.process("jm-1");
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) && run.launcher.try_wait().unwrap().is_none() {
        signal(leader, Signal::SIGSTOP);
        std::thread::sleep(Duration::from_millis(180));
        signal(leader, Signal::SIGCONT);
        std::thread::sleep(Duration::from_millis(40));
    }
    run.finishes();
    assert!(run.log().contains("leads in term 3"), "{}", run.log());
    case.assert_exactly_once();
}
