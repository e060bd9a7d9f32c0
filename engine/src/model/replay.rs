//! Runs the product's own asynchronous code one request to the store at a time.
//!
//! A procedure (`append`, `commit`, `abort_above` …) is a future over a [`Store`]. Here the store is a script: it
//! repeats the answers that were given so far, and stops the procedure at the first request without an answer. So a
//! running procedure is plain data, its answers and its next request, and a model can continue it in each way in which
//! the request may be answered. Of requests that a procedure makes at the same time only the first is made; the next
//! one follows when the first is answered. Waiting takes no time: a pause only means that the next step may come late.

use std::fmt;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{BoxStream, iter, once};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use super::store::ModelStore;
use crate::env::{Env, Store};
use crate::ids::NodeName;
use crate::mutation::Mutation;

/// A request to the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Request {
    Create(String, Bytes),
    Get(String),
    Exists(String),
    Publish { from: String, to: String },
    Delete(String),
    List(String),
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Create(path, _) => write!(f, "creates {path}"),
            Request::Get(path) => write!(f, "reads {path}"),
            Request::Exists(path) => write!(f, "looks for {path}"),
            Request::Publish { from, to } => write!(f, "publishes {from} as {to}"),
            Request::Delete(path) => write!(f, "deletes {path}"),
            Request::List(folder) => write!(f, "lists {folder}"),
        }
    }
}

/// An answer of the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Done,
    /// The name is already used.
    Taken,
    Missing,
    Failed,
    Found(Bytes),
    Listed(Vec<(String, u64)>),
}

/// How far a procedure gets with the answers so far.
pub(crate) enum Next<T> {
    Asks(Request),
    Ends(T),
}

#[derive(Debug, Default)]
struct Script {
    answers: Vec<Answer>,
    used: usize,
    asked: Option<Request>,
}

/// A store that answers from the script.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    /// The world of one life of a node over this store, with these bugs planted.
    pub(crate) fn env(&self, node: &str, incarnation: u32, planted: &[Mutation]) -> Env {
        Env::scripted(NodeName::from(node), incarnation, Arc::new(self.clone()), planted.to_vec())
    }

    pub(crate) fn store(&self) -> Store {
        Store::new(Arc::new(self.clone()))
    }

    /// Runs a procedure from its beginning with these answers.
    pub(crate) fn run<T>(&self, answers: &[Answer], procedure: impl Future<Output = T>) -> Next<T> {
        *self.0.lock().expect("no panic inside") = Script { answers: answers.to_vec(), used: 0, asked: None };
        let polled = pin!(procedure).poll(&mut Context::from_waker(std::task::Waker::noop()));
        let mut script = self.0.lock().expect("no panic inside");
        match polled {
            Poll::Ready(result) => {
                assert_eq!(script.used, script.answers.len(), "a procedure is the same each time that it is run");
                Next::Ends(result)
            }
            Poll::Pending => Next::Asks(script.asked.take().expect("a procedure waits for nothing but the store")),
        }
    }

    /// Runs a procedure to its end over a store without faults.
    pub(crate) fn run_quietly<T, F: Future<Output = T>>(&self, store: &mut ModelStore, procedure: impl Fn() -> F) -> T {
        let mut answers = Vec::new();
        loop {
            match self.run(&answers, procedure()) {
                Next::Ends(result) => return result,
                Next::Asks(request) => {
                    let (_, answer, after) = store.ways(&request).swap_remove(0);
                    answers.push(answer);
                    *store = after;
                }
            }
        }
    }

    async fn ask(&self, request: Request) -> Answer {
        {
            let mut script = self.0.lock().expect("no panic inside");
            if let Some(answer) = script.answers.get(script.used).cloned() {
                script.used += 1;
                return answer;
            }
            // Requests made at the same time wait for their turn.
            script.asked.get_or_insert(request);
        }
        pending().await
    }
}

fn failed() -> Error {
    Error::Generic { store: "scripted store", source: "the store failed".into() }
}

fn missing(path: &Path) -> Error {
    Error::NotFound { path: path.to_string(), source: "no such object".into() }
}

fn meta(path: Path, size: u64) -> ObjectMeta {
    ObjectMeta { location: path, last_modified: Default::default(), size, e_tag: None, version: None }
}

fn unsupported<T>() -> Result<T> {
    Err(Error::NotImplemented { operation: "what no procedure asks".into(), implementer: "scripted store".into() })
}

impl fmt::Display for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripted store")
    }
}

#[async_trait]
impl ObjectStore for Scripted {
    async fn put_opts(&self, location: &Path, payload: PutPayload, _: PutOptions) -> Result<PutResult> {
        match self.ask(Request::Create(location.to_string(), payload.into())).await {
            Answer::Done => Ok(PutResult { e_tag: None, version: None, extensions: Default::default() }),
            Answer::Taken => Err(Error::AlreadyExists { path: location.to_string(), source: "taken".into() }),
            _ => Err(failed()),
        }
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        unsupported()
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let path = location.to_string();
        let request = if options.head { Request::Exists(path) } else { Request::Get(path) };
        let bytes = match self.ask(request).await {
            Answer::Found(bytes) => bytes,
            Answer::Done => Bytes::new(),
            Answer::Missing => return Err(missing(location)),
            _ => return Err(failed()),
        };
        let size = bytes.len() as u64;
        let payload = GetResultPayload::Stream(once(async { Ok(bytes) }).boxed());
        let (meta, attributes) = (meta(location.clone(), size), Default::default());
        Ok(GetResult { payload, meta, range: 0..size, attributes, extensions: Default::default() })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let deleted = locations.then(move |location| {
            let this = this.clone();
            async move {
                let location = location?;
                match this.ask(Request::Delete(location.to_string())).await {
                    Answer::Done => Ok(location),
                    _ => Err(failed()),
                }
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, folder) = (self.clone(), prefix.map(ToString::to_string).unwrap_or_default());
        let listing = async move {
            let listed: Vec<Result<ObjectMeta>> = match this.ask(Request::List(folder)).await {
                Answer::Listed(objects) => {
                    objects.into_iter().map(|(path, size)| Ok(meta(Path::from(path), size))).collect()
                }
                _ => vec![Err(failed())],
            };
            iter(listed)
        };
        once(listing).flatten().boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        unsupported()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        unsupported()
    }

    async fn rename_opts(&self, from: &Path, to: &Path, _: RenameOptions) -> Result<()> {
        match self.ask(Request::Publish { from: from.to_string(), to: to.to_string() }).await {
            Answer::Done => Ok(()),
            Answer::Taken => Err(Error::AlreadyExists { path: to.to_string(), source: "taken".into() }),
            Answer::Missing => Err(missing(from)),
            _ => Err(failed()),
        }
    }
}
