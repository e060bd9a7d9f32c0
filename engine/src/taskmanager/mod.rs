//! The TaskManager: registers its slots, runs subtasks, and passes messages between them and the JobManager.
//!
//! Start at [`run`]. A TaskManager connects to the JobManager and obeys its orders. When the connection or the
//! heartbeats fail, it ends its tasks and connects again: a TaskManager without a JobManager has no tasks. The tasks
//! themselves are in `subtask`.
//!
//! Invariants: (T1) at most one attempt has tasks here; (T2) orders of a lower term than the highest seen, or of
//! another attempt, have no effect.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::codec::encoded;
use crate::env::{Address, Connection, Env, First, GaveUp, Port, TaskHandle, Trouble, first_of_2};
use crate::event::Event;
use crate::exchange::client::DataClient;
use crate::exchange::gate::InputGate;
use crate::exchange::{DataError, Exchange, server};
use crate::graph::{JobBuilder, JobGraph};
use crate::ids::{Attempt, Execution, NodeName, SubtaskId, Term};
use crate::time::Time;
use crate::wire::{Deployment, Order, PeerError, TaskStatus, Tasks, ToJobManager, ToTaskManager};

mod error;
mod mail;
#[cfg(feature = "mutations")]
pub(crate) mod planted;
mod reporter;
mod restore;
mod sink;
mod snapshot;
mod subtask;

use error::{EngineError, ProgramError};
use mail::Mail;
use reporter::Reporter;
use subtask::Subtask;

/// First pause after a connection could not be accepted, or the data port could not be opened.
pub(crate) const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The settings of one TaskManager.
#[derive(Clone)]
pub struct TaskManagerConfig {
    /// Slots it offers.
    pub slots: u16,
    /// Addresses on which JobManagers may listen. They are tried in turn, because only the leader accepts connections.
    pub job_managers: Vec<Address>,
    /// Pause between attempts to reach a JobManager.
    pub retry: Duration,
    /// Time allowed for a connection to be made.
    pub connect_timeout: Duration,
}

/// The tasks of one attempt.
struct Running {
    status: Arc<Mutex<BTreeMap<SubtaskId, TaskStatus>>>,
    exchange: Arc<Exchange>,
    mailboxes: BTreeMap<SubtaskId, UnboundedSender<Mail>>,
    _tasks: Vec<TaskHandle>,
}

/// The outgoing channels by execution, shared with the data server, because a consumer may connect before the order to
/// deploy has arrived here.
#[derive(Default)]
struct Exchanges {
    oldest: Execution,
    by_execution: BTreeMap<Execution, Arc<Exchange>>,
}

impl Exchanges {
    fn get(&mut self, execution: Execution) -> Option<Arc<Exchange>> {
        if execution < self.oldest {
            return None;
        }
        Some(self.by_execution.entry(execution).or_default().clone())
    }

    fn forget_before(&mut self, execution: Execution) {
        self.oldest = self.oldest.max(execution);
        self.by_execution.retain(|old, _| *old >= execution);
    }
}

/// Runs a TaskManager until its node dies. Returns only if the data port could not be opened for too long.
pub async fn run(env: Env, config: TaskManagerConfig, jobs: JobBuilder) -> Result<(), GaveUp> {
    let mut trouble = Trouble::new("opening the data port", ACCEPT_RETRY);
    let mut listener = loop {
        match env.listen(Port::Data).await {
            Ok(listener) => break listener,
            Err(error) => trouble.wait(&env, error).await?,
        }
    };
    trouble.over(&env);
    let data = listener.address();
    let exchanges = Arc::new(Mutex::new(Exchanges::default()));
    let (serving, patience) = ((env.clone(), exchanges.clone()), config.connect_timeout);
    let _server = env.spawn(async move {
        let (env, exchanges) = serving;
        let mut trouble = Trouble::new("accepting data connections", ACCEPT_RETRY);
        loop {
            let connection = match listener.accept().await {
                Ok(connection) => connection,
                Err(error) => {
                    // Either one connection failed, or the process has no file descriptor left. In both cases the port
                    // stays open for ever: a consumer that cannot connect fails its task, and the restart strategy
                    // limits restarts.
                    if let Err(error) = trouble.wait(&env, error).await {
                        env.warn(format_args!("{error}"));
                        trouble = Trouble::new("accepting data connections", ACCEPT_RETRY);
                    }
                    continue;
                }
            };
            trouble.over(&env);
            let exchanges = exchanges.clone();
            let within = env.clone();
            env.spawn(async move {
                let find = |execution| exchanges.lock().expect("no panic inside").get(execution);
                if let Err(error) = server::serve(within, connection, patience, find).await {
                    tracing::debug!("data connection ended: {error}");
                }
            })
            .detach();
        }
    });
    let mut term = Term(0);
    for job_manager in config.job_managers.iter().cycle() {
        if let Ok(connection) = env.connect(job_manager, config.connect_timeout).await {
            let mut session = Session {
                env: env.clone(),
                jobs: jobs.clone(),
                exchanges: exchanges.clone(),
                running: BTreeMap::new(),
                term,
                obeyed: None,
                to_job_manager: unbounded_channel().0,
            };
            let cause = session.run(connection, &config, &data).await;
            let obeyed = session.obeyed;
            term = session.term;
            drop(session);
            env.emit(Event::JobManagerLost { term: obeyed, cause: cause.to_string() }).await;
        }
        env.sleep(config.retry).await;
    }
    // Without an address of a JobManager there is nothing to do.
    std::future::pending().await
}

/// Why a TaskManager gave up its JobManager.
#[derive(Debug, thiserror::Error)]
enum SessionEnd {
    /// The JobManager's term is lower than the highest term seen.
    #[error("{0} leads no more: a newer term was seen")]
    Superseded(Term),
    /// The connection failed, or carried something that is not an order.
    #[error(transparent)]
    Connection(PeerError),
    /// The task that reads the connection has ended.
    #[error("connection closed")]
    Closed,
    /// No order arrived for this long.
    #[error("no word from the JobManager for {0:?}")]
    Silent(Duration),
}

/// One connection to a JobManager, with the tasks that live as long as the connection.
struct Session {
    env: Env,
    jobs: JobBuilder,
    exchanges: Arc<Mutex<Exchanges>>,
    /// The tasks by attempt; at most one attempt has tasks (T1), unless a planted bug removes the fencing.
    running: BTreeMap<Attempt, Running>,
    /// The highest term seen, over all connections.
    term: Term,
    /// The term of the last order that was obeyed over this connection.
    obeyed: Option<Term>,
    to_job_manager: UnboundedSender<ToJobManager>,
}

impl Session {
    /// Runs the session to its end and returns the reason.
    async fn run(&mut self, connection: Connection, config: &TaskManagerConfig, data: &Address) -> SessionEnd {
        let Connection { mut sender, mut receiver } = connection;
        let (outbox, mut reports) = unbounded_channel::<ToJobManager>();
        self.to_job_manager = outbox.clone();
        let register = ToJobManager::Register {
            node: self.env.node().clone(),
            incarnation: self.env.incarnation(),
            slots: config.slots,
            data: data.clone(),
        };
        let _ = outbox.send(register);
        let _writing = self.env.spawn(async move {
            while let Some(message) = reports.recv().await {
                if sender.send(encoded(&message).into()).await.is_err() {
                    return;
                }
            }
        });
        let (heard, mut orders): (_, UnboundedReceiver<Result<ToTaskManager, PeerError>>) = unbounded_channel();
        let _reading = self.env.spawn(async move {
            loop {
                let message = match receiver.receive().await {
                    Ok(frame) => ToTaskManager::decode(&frame.body).map_err(PeerError::from),
                    Err(error) => Err(error.into()),
                };
                let ended = message.is_err();
                if heard.send(message).is_err() || ended {
                    return;
                }
            }
        });
        let mut silence = self.env.timer();
        let mut patience = config.connect_timeout;
        silence.set(Some(self.env.now() + patience));
        loop {
            match first_of_2(orders.recv(), silence.wait()).await {
                First::A(Some(Ok(message))) => {
                    #[cfg(feature = "mutations")]
                    planted::highest_term(&self.env, &mut self.term, message.term);
                    if message.term < self.term {
                        return SessionEnd::Superseded(message.term);
                    }
                    self.term = message.term;
                    self.obeyed = Some(message.term);
                    if let Order::Registered { heartbeat_timeout_ns } = message.order {
                        patience = Duration::from_nanos(heartbeat_timeout_ns);
                    }
                    silence.set(Some(self.env.now() + patience));
                    self.obey(message.order).await;
                }
                First::A(Some(Err(error))) => return SessionEnd::Connection(error),
                First::A(None) => return SessionEnd::Closed,
                _ => {
                    self.env.emit(Event::HeartbeatMissed { peer: "job-manager".into() }).await;
                    return SessionEnd::Silent(patience);
                }
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        #[cfg(feature = "mutations")]
        let order = planted::order(&self.env, self.running.keys().last().copied(), order);
        match order {
            Order::Registered { .. } => {}
            Order::Heartbeat => drop(self.to_job_manager.send(ToJobManager::Heartbeat(self.tasks()))),
            Order::Deploy(deployment) => self.deploy(*deployment).await,
            Order::Cancel(attempt) => {
                self.end_attempts_before(attempt.next());
                let _ = self.to_job_manager.send(ToJobManager::Canceled(attempt));
            }
            Order::Finish(attempt) => self.end_attempts_before(attempt.next()),
            Order::Trigger(attempt, id) => self.tell(attempt, |_| Mail::Trigger(id)),
            Order::Completed(attempt, id) => self.tell(attempt, |_| Mail::Completed(id)),
            Order::Aborted(attempt, id) => self.tell(attempt, |_| Mail::Aborted(id)),
        }
    }

    /// The tasks of the newest attempt, with their status.
    fn tasks(&self) -> Option<Tasks> {
        let (attempt, running) = self.running.last_key_value()?;
        Some(Tasks { attempt: *attempt, status: running.status.lock().expect("no panic inside").clone() })
    }

    fn end_attempts_before(&mut self, attempt: Attempt) {
        #[cfg(feature = "mutations")]
        if planted::keeps_old_attempts(&self.env) {
            return;
        }
        self.exchanges.lock().expect("no panic inside").forget_before(Execution { term: self.term, attempt });
        self.running.retain(|old, _| *old >= attempt);
    }

    fn tell(&self, attempt: Attempt, mail: impl Fn(SubtaskId) -> Mail) {
        let is_addressed = |running: Attempt| running == attempt;
        #[cfg(feature = "mutations")]
        let is_addressed = |running| planted::keeps_old_attempts(&self.env) || is_addressed(running);
        let addressed = self.running.iter().filter(|(running, _)| is_addressed(**running));
        for (subtask, mailbox) in addressed.flat_map(|(_, running)| &running.mailboxes) {
            // A subtask that has failed reads no mail, and has already reported its failure.
            let _ = mailbox.send(mail(*subtask));
        }
    }

    async fn deploy(&mut self, deployment: Deployment) {
        let attempt = deployment.attempt;
        self.end_attempts_before(attempt);
        #[cfg(feature = "mutations")]
        planted::deployed_again(&self.env, &mut self.running, attempt);
        if self.running.contains_key(&attempt) {
            // The same order arrived twice.
            return;
        }
        let status = deployment.subtasks.keys().map(|subtask| (*subtask, TaskStatus::Deploying)).collect();
        let status = Arc::new(Mutex::new(status));
        let reporter = Reporter { attempt, status: status.clone(), to: self.to_job_manager.clone() };
        let Some(first) = deployment.subtasks.keys().next().copied() else { return };
        let built = (self.jobs)(&deployment.job, self.env.inputs());
        let graph = match built.and_then(|graph| deployment.fits(&graph).map(|()| graph)) {
            Ok(graph) => graph,
            Err(error) => {
                // Building the graph is a call into the program.
                return reporter.failed(&self.env, first, ProgramError::Job(error).into()).await;
            }
        };
        let execution = Execution { term: self.term, attempt };
        let exchange = self.exchanges.lock().expect("no panic inside").get(execution);
        // T2: a newer order arrived meanwhile.
        let Some(exchange) = exchange else { return };
        let mut running = Running { status, exchange, mailboxes: BTreeMap::new(), _tasks: Vec::new() };
        let mut gates = self.connect_inputs(&deployment, &graph, &reporter, &mut running);
        for (id, state) in &deployment.subtasks {
            let (mailbox, mail) = unbounded_channel();
            let (parallelism, credits) = (deployment.job.config.parallelism, deployment.job.config.credits);
            let outputs = graph.outputs_of(*id, parallelism);
            let subtask = Subtask {
                env: self.env.clone(),
                id: *id,
                attempt,
                term: self.term,
                config: deployment.job.config.clone(),
                reporter: reporter.clone(),
                mailbox: mailbox.clone(),
                mail,
                gate: gates.remove(id).filter(|gate| gate.channels() > 0),
                outputs: outputs.into_iter().map(|channel| running.exchange.deployed(channel, credits)).collect(),
                vertex: graph.vertices[usize::from(id.vertex.0)].clone(),
                input: deployment.job.input.clone(),
                start: deployment.start,
                checkpoint: deployment.checkpoint,
                restored: state.clone(),
            };
            running.mailboxes.insert(*id, mailbox);
            running._tasks.push(self.env.spawn(subtask.run()));
        }
        self.running.insert(attempt, running);
    }

    /// Opens the gates of all subtasks on this TaskManager. Channels between two of its own subtasks are read
    /// directly, all others over one connection per TaskManager.
    fn connect_inputs(
        &self,
        deployment: &Deployment,
        graph: &JobGraph,
        reporter: &Reporter,
        running: &mut Running,
    ) -> BTreeMap<SubtaskId, InputGate> {
        let config = &deployment.job.config;
        let mut gates: BTreeMap<SubtaskId, InputGate> = BTreeMap::new();
        let mut clients: BTreeMap<&NodeName, (SubtaskId, DataClient)> = BTreeMap::new();
        for subtask in deployment.subtasks.keys() {
            let gate = gates.entry(*subtask).or_default();
            for channel in graph.inputs_of(*subtask, config.parallelism) {
                let producer = &deployment.placement[&channel.from];
                if producer == self.env.node() {
                    gate.add_local(channel, running.exchange.deployed(channel, config.credits));
                } else {
                    let (_, client) =
                        clients.entry(producer).or_insert_with(|| (*subtask, DataClient::new(config.credits)));
                    let (filled, credit, number) = client.request(channel);
                    gate.add_remote(channel, filled, credit, number);
                }
            }
        }
        for (producer, (subtask, client)) in clients {
            let (env, reporter, producer_name) = (self.env.clone(), reporter.clone(), producer.clone());
            let lost = async move |error: DataError| {
                let error = EngineError::Input { producer: producer_name, error };
                reporter.failed(&env, subtask, error.into()).await;
            };
            let address = deployment.data[producer].clone();
            let execution = Execution { term: self.term, attempt: deployment.attempt };
            running._tasks.push(client.start(&self.env, execution, address, config.connect_timeout, lost));
        }
        gates
    }
}

/// The earliest of several optional times.
fn earliest(times: impl IntoIterator<Item = Option<Time>>) -> Option<Time> {
    times.into_iter().flatten().min()
}
