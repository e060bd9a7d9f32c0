//! A child process as its launcher sees it: how it is started, listened to, and told to stop.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Instant;

use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc::UnboundedSender;

use super::lives::Ending;
use super::process::{Orders, Report, SUBCOMMAND};

/// What a child did.
#[derive(Debug)]
pub(super) enum Happening {
    /// A JobManager's report, with its name.
    Reported(String, Report),
    /// A line for the user.
    Said(String, String),
    /// The child ended. Everything that it said came before.
    Exited { name: String, ending: Ending, how: String },
    /// Its restart delay is over.
    RestartDue(String),
}

/// A running child. Dropping it asks the process to stop.
pub(super) struct Supervised {
    pub(super) process_id: u32,
    pub(super) since: Instant,
    _lifeline: ChildStdin,
}

impl Supervised {
    /// Starts this executable with the hidden subcommand.
    pub(super) async fn start(
        executable: &Path,
        orders: &Orders,
        happenings: UnboundedSender<Happening>,
    ) -> std::io::Result<Self> {
        let name = orders.node.to_string();
        let mut child = Command::new(executable)
            .args([SUBCOMMAND, &name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C at the terminal must reach only the launcher, which then stops the children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let process_id = child.id().expect("not waited for yet");
        let mut lifeline = child.stdin.take().expect("piped above");
        let (stdout, stderr) = (child.stdout.take().expect("piped above"), child.stderr.take().expect("piped above"));
        tokio::spawn(async move {
            let said = |line: String| match serde_json::from_str(&line) {
                Ok(report) => Happening::Reported(name.clone(), report),
                Err(_) => Happening::Said(name.clone(), line),
            };
            tokio::join!(
                read(stdout, &happenings, said),
                read(stderr, &happenings, |line| Happening::Said(name.clone(), line)),
            );
            // The child has closed both pipes, so it has ended or is about to, whatever the system says.
            let (ending, how) = match child.wait().await {
                Ok(status) => (ending(status), status.to_string()),
                Err(error) => (Ending::ByItself, format!("cannot be waited for: {error}")),
            };
            let _ = happenings.send(Happening::Exited { name, ending, how });
        });
        let mut line = serde_json::to_vec(orders)?;
        line.push(b'\n');
        // If the child died at once, its exit reports that.
        let _ = lifeline.write_all(&line).await;
        Ok(Self { process_id, since: Instant::now(), _lifeline: lifeline })
    }
}

/// Whether the process was killed from outside. A signal that a process causes itself (abort, a segmentation fault)
/// counts as its own end.
fn ending(status: ExitStatus) -> Ending {
    const OWN: [Signal; 5] = [Signal::SIGILL, Signal::SIGABRT, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGSEGV];
    match status.signal() {
        Some(signal) if !OWN.iter().any(|own| *own as i32 == signal) => Ending::Killed,
        _ => Ending::ByItself,
    }
}

/// Reads lines until the other end is closed. User code may print anything, so bytes that are not text are shown as
/// well as possible.
async fn read(from: impl AsyncRead + Unpin, to: &UnboundedSender<Happening>, happening: impl Fn(String) -> Happening) {
    let (mut from, mut line) = (BufReader::new(from), Vec::new());
    while from.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line);
        let _ = to.send(happening(text.trim_end_matches(['\n', '\r']).to_owned()));
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_struck_and_who_fell() {
        for (status, expected) in [
            (9, Ending::Killed),
            (15, Ending::Killed),
            (6, Ending::ByItself),
            (11, Ending::ByItself),
            (0, Ending::ByItself),
            (1 << 8, Ending::ByItself),
        ] {
            assert_eq!(ending(ExitStatus::from_raw(status)), expected, "{status}");
        }
    }

    #[tokio::test]
    async fn what_is_no_text_does_not_end_the_reading() {
        let (happenings, mut heard) = tokio::sync::mpsc::unbounded_channel();
        read(&b"a\xff\nb\r\nlast"[..], &happenings, |line| Happening::Said("tm-1".into(), line)).await;
        for expected in ["a\u{fffd}", "b", "last"] {
            assert!(matches!(heard.try_recv(), Ok(Happening::Said(_, line)) if line == expected), "{expected}");
        }
    }
}
