//! The access of one incarnation to one durable store, with latency, throughput and faults.
//!
//! A request travels half of its latency to the store, takes effect there, and is answered after the other half. A
//! node that dies in between leaves an effect that it never learns of. The number of simultaneous transfers of a node
//! is limited. Start at [`NodeStore::reach`], with which every request begins. Without rules it does no further
//! checks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result,
};

use super::super::super::{StoreKind, draw, draw_between, first_of_2};
use super::super::timer::{now, sleep_until};
use super::super::{Node, SimNode};
use super::faults::{Access, CLIENT_TIMEOUT, Hit, Way};
use super::{SimStores, StoreConfig, StoreMutation};
use crate::fault::StoreFault;
use crate::time::{Time, nanos};

#[derive(Clone)]
pub(super) struct NodeStore {
    node: SimNode,
    kind: StoreKind,
}

/// A request that has reached the store.
struct Arrived {
    access: Access,
    /// How long the answer travels.
    back: Duration,
    /// The fault that hurts its contents, if any.
    hit: Option<Hit>,
}

impl Arrived {
    fn fault(&self) -> Option<StoreFault> {
        self.hit.as_ref().map(|hit| hit.fault)
    }

    /// The error of a write that had no effect.
    fn refusal(&self) -> Result<()> {
        match self.fault() {
            Some(StoreFault::FailedWrite) => Err(failed("the write failed")),
            Some(StoreFault::NoSpace) => Err(failed("no space left on device")),
            _ => Ok(()),
        }
    }

    /// The error of a write that may have had an effect.
    fn ambiguity(&self) -> Result<()> {
        match self.fault() {
            Some(StoreFault::AmbiguousWrite) => Err(failed("the connection broke before the answer")),
            _ => Ok(()),
        }
    }

    /// The past time that a read or a listing sees; `None` for the present.
    fn sees(&self) -> Option<Time> {
        match self.fault() {
            Some(StoreFault::StaleRead(ago) | StoreFault::LaggingList(ago)) => {
                Some(Time(now().0.saturating_sub(nanos(ago))))
            }
            _ => None,
        }
    }
}

impl Node {
    /// When a transfer of this duration ends, on the stream that is free first.
    fn transfer(&mut self, now: Time, takes: Duration) -> Time {
        let stream = self.store_streams.iter_mut().min().expect("a node has a way to the stores");
        *stream = (*stream).max(now) + takes;
        *stream
    }
}

fn failed(why: &'static str) -> Error {
    Error::Generic { store: "simulated store", source: why.into() }
}

impl NodeStore {
    pub(super) fn new(node: SimNode, kind: StoreKind) -> Self {
        Self { node, kind }
    }

    fn stores(&self) -> &SimStores {
        &self.node.world.stores
    }

    fn inner(&self) -> &Arc<InMemory> {
        self.stores().of(self.kind)
    }

    /// Weighted bytes of an object.
    fn weighed(&self, path: &Path, bytes: u64) -> u64 {
        let world = self.node.world.lock();
        world.config.weights.object(self.kind, world.config.contents.entry_bytes(path.as_ref(), bytes), bytes)
    }

    fn hit(&self, access: Access, way: Way) -> Option<Hit> {
        if !self.stores().is_faulty() {
            return None;
        }
        let name = self.node.world.lock().nodes[self.node.index].name.clone();
        self.stores().faults().hit(self.kind, &name, access, way, now())
    }

    /// Waits until the request reaches the store; returns an error if the store does not answer.
    async fn reach(&self, access: Access, bytes: u64) -> Result<Arrived> {
        self.node.only_alive().await;
        let slow = match self.hit(access, Way::Delay) {
            Some(Hit { rule, fault: StoreFault::Slow(more), .. }) => {
                self.harms_if(!more.is_zero(), rule);
                more
            }
            _ => Duration::ZERO,
        };
        let rate = self.rate(access, bytes, |config| config.write_throughput);
        let (there, back) = {
            let now = now();
            let mut state = self.node.world.lock();
            let config = state.config.store;
            let seed = state.timing_seed;
            let node = &mut state.nodes[self.node.index];
            let drawn = draw(seed, "store latency", self.node.index as u64, now.0);
            let latency = draw_between(drawn, nanos(config.latency.0), nanos(config.latency.1));
            let sent = node.transfer(now, transfer(bytes, config.write_throughput.min(rate)));
            (sent + slow + Duration::from_nanos(latency / 2), Duration::from_nanos(latency - latency / 2))
        };
        sleep_until(there).await;
        self.node.clock.standstill.due(there);
        self.node.only_alive().await;
        if let Some(outage) = self.hit(access, Way::Outage) {
            self.harms_if(true, outage.rule);
            first_of_2(outage.end.notified(), sleep_until(now() + CLIENT_TIMEOUT)).await;
            self.node.only_alive().await;
            sleep_until(now() + back).await;
            return Err(failed("the store is not available"));
        }
        let hit = self.hit(access, Way::Contents);
        if let Some(Hit { rule, fault, .. }) = &hit {
            use StoreFault::{AmbiguousWrite, FailedWrite, NoSpace};
            // Whether another fault of the contents does harm is known only when it is carried out.
            self.harms_if(matches!(fault, FailedWrite | AmbiguousWrite | NoSpace), *rule);
        }
        Ok(Arrived { access, back, hit })
    }

    async fn answer(&self, request: &Arrived, bytes: u64) {
        // If an observer of the request's effect has struck the node, the node never gets the answer, even without
        // latency.
        self.node.halt_if_struck().await;
        let rate = self.rate(request.access, bytes, |config| config.read_throughput);
        let arrived = {
            let now = now();
            let mut state = self.node.world.lock();
            let throughput = state.config.store.read_throughput.min(rate);
            let node = &mut state.nodes[self.node.index];
            match bytes {
                0 => now,
                _ => node.transfer(now, transfer(bytes, throughput)),
            }
        };
        sleep_until(arrived + request.back).await;
        self.node.clock.standstill.due(arrived + request.back);
    }

    /// Bytes per second that a fault allows; `own` gives the store's own limit.
    fn rate(&self, access: Access, bytes: u64, own: fn(&StoreConfig) -> u64) -> u64 {
        match (bytes > 0).then(|| self.hit(access, Way::Rate)).flatten() {
            Some(Hit { rule, fault: StoreFault::Throttled(rate), .. }) => {
                let own = own(&self.node.world.lock().config.store);
                self.harms_if(transfer(bytes, rate) > transfer(bytes, own), rule);
                rate
            }
            _ => u64::MAX,
        }
    }

    /// If `harmed`, counts a request whose outcome the rule changed.
    fn harms_if(&self, harmed: bool, rule: usize) {
        if harmed {
            self.stores().faults().harms(rule);
        }
    }

    /// The engine accesses an object, which may be damaged.
    fn meet(&self, path: &Path) {
        if self.stores().is_faulty() {
            let rule = self.stores().spoilt().meet(self.kind, path.as_ref());
            rule.into_iter().for_each(|rule| self.harms_if(true, rule));
        }
    }

    /// The engine lists the objects below `prefix`, where damage may have added or removed some.
    fn meet_all(&self, prefix: Option<&Path>) {
        if self.stores().is_faulty() {
            let rules = self.stores().spoilt().list(self.kind, prefix.map_or("", AsRef::as_ref));
            rules.into_iter().for_each(|rule| self.harms_if(true, rule));
        }
    }

    /// An object was written or renamed; `before` are its previous contents. Records the change, and whether a fault
    /// will undo it.
    fn written(&self, request: &Arrived, path: &Path, before: Option<Bytes>, renamed: Option<&Path>) {
        self.stores().past().changes(now(), self.kind, path.as_ref(), before);
        if !self.stores().is_faulty() {
            return;
        }
        self.stores().spoilt().mend(self.kind, path.as_ref());
        let (mut faults, path, renamed) = (self.stores().faults(), path.as_ref(), renamed.map(AsRef::as_ref));
        faults.replaced(self.kind, path);
        match (&request.hit, renamed) {
            (Some(Hit { rule, fault: StoreFault::LostWrite, .. }), from) => faults.lost(*rule, self.kind, path, from),
            (Some(Hit { rule, fault: StoreFault::TornWrite, .. }), _) => faults.torn(*rule, self.kind, path),
            (_, Some(from)) => faults.renamed(self.kind, from, path),
            (_, None) => {}
        }
    }

    fn tell(&self, mutation: StoreMutation) {
        self.node.world.notify(|observer, world| observer.on_store(world, &mutation));
    }

    fn unsupported<T>(&self, operation: &str) -> Result<T> {
        Err(Error::NotImplemented { operation: operation.into(), implementer: self.to_string() })
    }

    async fn put_at(&self, request: &Arrived, path: &Path, bytes: Bytes, options: PutOptions) -> Result<PutResult> {
        self.meet(path);
        request.refusal()?;
        let bytes = match &request.hit {
            Some(Hit { rule, fault: StoreFault::TornWrite, .. }) => {
                self.harms_if(!bytes.is_empty(), *rule);
                bytes.slice(..bytes.len() / 2)
            }
            _ => bytes,
        };
        let before = self.stores().contents(self.kind, path);
        let result = self.inner().put_opts(path, bytes.clone().into(), options).await;
        if result.is_ok() {
            self.written(request, path, before, None);
            self.tell(StoreMutation::Put { kind: self.kind, path: path.to_string(), bytes });
        }
        request.ambiguity()?;
        result
    }

    async fn copy_at(&self, request: &Arrived, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.meet(from);
        self.meet(to);
        request.refusal()?;
        let before = self.stores().contents(self.kind, to);
        let result = self.inner().copy_opts(from, to, options).await;
        if result.is_ok() {
            self.written(request, to, before, None);
            if let Some(bytes) = self.stores().contents(self.kind, to) {
                self.tell(StoreMutation::Put { kind: self.kind, path: to.to_string(), bytes });
            }
        }
        request.ambiguity()?;
        result
    }

    async fn rename_at(&self, request: &Arrived, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.meet(from);
        self.meet(to);
        request.refusal()?;
        let mode = match options.target_mode {
            RenameTargetMode::Overwrite => CopyMode::Overwrite,
            RenameTargetMode::Create => CopyMode::Create,
        };
        let (moved, before) = (self.stores().contents(self.kind, from), self.stores().contents(self.kind, to));
        let result = self.inner().copy_opts(from, to, CopyOptions { mode, ..CopyOptions::default() }).await;
        if result.is_ok() {
            self.inner().delete(from).await?;
            self.stores().past().changes(now(), self.kind, from.as_ref(), moved);
            self.written(request, to, before, Some(from));
            let (from, to) = (from.to_string(), to.to_string());
            self.tell(StoreMutation::Renamed { kind: self.kind, from, to });
        }
        request.ambiguity()?;
        result
    }

    async fn delete_at(&self, path: &Path) -> Result<()> {
        let Some(before) = self.stores().contents(self.kind, path) else { return Ok(()) };
        self.inner().delete(path).await?;
        self.stores().past().changes(now(), self.kind, path.as_ref(), Some(before));
        if self.stores().is_faulty() {
            self.stores().faults().replaced(self.kind, path.as_ref());
            self.stores().spoilt().mend(self.kind, path.as_ref());
        }
        self.tell(StoreMutation::Deleted { kind: self.kind, path: path.to_string() });
        Ok(())
    }

    async fn get_at(&self, request: &Arrived, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.meet(path);
        let then = request.sees().and_then(|time| self.stores().past().object(self.kind, path.as_ref(), time));
        match then {
            None => self.inner().get_opts(path, options).await,
            Some(bytes) => {
                if let Some(hit) = &request.hit {
                    self.harms_if(bytes != self.stores().contents(self.kind, path), hit.rule);
                }
                let past = InMemory::new();
                if let Some(bytes) = bytes {
                    past.put(path, bytes.into()).await?;
                }
                past.get_opts(path, options).await
            }
        }
    }

    /// The store as a listing of the objects below `prefix` sees it.
    async fn listed(&self, request: &Arrived, prefix: Option<&Path>) -> Result<Arc<InMemory>> {
        self.meet_all(prefix);
        let Some(time) = request.sees() else { return Ok(self.inner().clone()) };
        if let Some(hit) = &request.hit {
            let changed = self.stores().past().changed_since(self.kind, time);
            let below = |path: &str| path.starts_with(prefix.map_or("", AsRef::as_ref));
            let came_or_went = changed
                .iter()
                .any(|(path, before)| below(path) && before.is_some() != self.stores().read(self.kind, path).is_some());
            self.harms_if(came_or_went, hit.rule);
        }
        self.stores().as_of(self.kind, time).await.map(Arc::new)
    }
}

/// Duration of a transfer of `bytes` at `rate` bytes per second.
fn transfer(bytes: u64, rate: u64) -> Duration {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

impl fmt::Display for NodeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "simulated {:?} store", self.kind)
    }
}

impl fmt::Debug for NodeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[async_trait]
impl ObjectStore for NodeStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let request = self.reach(Access::Put, self.weighed(location, payload.content_length() as u64)).await?;
        let result = self.put_at(&request, location, payload.into(), options).await;
        self.answer(&request, 0).await;
        result
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.unsupported("put_multipart_opts")
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let request = self.reach(Access::Read, 0).await?;
        let result = self.get_at(&request, location, options).await;
        let bytes = result.as_ref().map_or(0, |found| self.weighed(location, found.range.end - found.range.start));
        self.answer(&request, bytes).await;
        result
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        locations
            .then(move |location| {
                let this = this.clone();
                async move {
                    let location = location?;
                    let request = this.reach(Access::Delete, 0).await?;
                    this.delete_at(&location).await?;
                    this.answer(&request, 0).await;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let this = self.clone();
        let prefix = prefix.cloned();
        let listing = async move {
            let objects = match this.reach(Access::List, 0).await {
                Err(error) => vec![Err(error)],
                Ok(request) => {
                    let objects = match this.listed(&request, prefix.as_ref()).await {
                        Ok(store) => store.list(prefix.as_ref()).collect().await,
                        Err(error) => vec![Err(error)],
                    };
                    this.answer(&request, 0).await;
                    objects
                }
            };
            futures::stream::iter(objects)
        };
        futures::stream::once(listing).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let request = self.reach(Access::List, 0).await?;
        let result = self.listed(&request, prefix).await?.list_with_delimiter(prefix).await;
        self.answer(&request, 0).await;
        result
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let request = self.reach(Access::Rename, 0).await?;
        let result = self.copy_at(&request, from, to, options).await;
        self.answer(&request, 0).await;
        result
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let request = self.reach(Access::Rename, 0).await?;
        let result = self.rename_at(&request, from, to, options).await;
        self.answer(&request, 0).await;
        result
    }
}
