//! A child as its launcher sees it: started, listened to, told to stop.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc::UnboundedSender;

use super::process::{Orders, Report};

/// What a child did.
#[derive(Debug)]
pub(super) enum Happening {
    /// A JobManager's report.
    Reported(Report),
    /// A line for people.
    Said(String, String),
    /// It ended; everything it said came before.
    Exited(String, ExitStatus),
    /// Its restart delay is over.
    RestartDue(String),
}

/// A running child. Dropping it asks the process to stop.
pub(super) struct Supervised {
    pub(super) process_id: u32,
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
            .args(["engine-process", &name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C at the terminal is for the launcher, which then stops the children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let process_id = child.id().expect("not waited for yet");
        let mut lifeline = child.stdin.take().expect("piped above");
        let (stdout, stderr) = (child.stdout.take().expect("piped above"), child.stderr.take().expect("piped above"));
        tokio::spawn(async move {
            let said = |line: String| match serde_json::from_str(&line) {
                Ok(report) => Happening::Reported(report),
                Err(_) => Happening::Said(name.clone(), line),
            };
            tokio::join!(
                read(stdout, &happenings, said),
                read(stderr, &happenings, |line| Happening::Said(name.clone(), line)),
            );
            match child.wait().await {
                Ok(status) => drop(happenings.send(Happening::Exited(name, status))),
                Err(error) => drop(happenings.send(Happening::Said(name, format!("cannot be waited for: {error}")))),
            }
        });
        let mut line = serde_json::to_vec(orders)?;
        line.push(b'\n');
        // A child that died at once is reported by its exit.
        let _ = lifeline.write_all(&line).await;
        Ok(Self { process_id, _lifeline: lifeline })
    }
}

async fn read(from: impl AsyncRead + Unpin, to: &UnboundedSender<Happening>, happening: impl Fn(String) -> Happening) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let _ = to.send(happening(line));
    }
}
