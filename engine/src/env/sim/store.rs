//! The simulated durable stores: `object_store` with latency, throughput, and files that can be damaged.
//!
//! A request travels half its latency to the store, takes effect there, and is answered after the other half: a node that
//! dies in between leaves an effect that it never heard of. Each node's way to the stores carries one transfer at a time.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::FutureExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::super::{StoreKind, draw, draw_between};
use super::SimNode;
use super::timer::{now, sleep_until};
use crate::time::nanos;

/// Speed of the durable stores.
#[derive(Debug, Clone, Copy)]
pub struct StoreConfig {
    /// Time from request to answer without the transfer, drawn uniformly per request from this range.
    pub latency: (Duration, Duration),
    /// Bytes per second between one node and the stores.
    pub throughput: u64,
}

/// A change of a durable store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreMutation {
    /// An object appeared or was replaced.
    Put {
        /// Which store.
        kind: StoreKind,
        /// Its path.
        path: String,
        /// Its contents.
        bytes: Bytes,
    },
    /// An object got another name.
    Renamed {
        /// Which store.
        kind: StoreKind,
        /// Its old path.
        from: String,
        /// Its new path.
        to: String,
    },
    /// An object is gone.
    Deleted {
        /// Which store.
        kind: StoreKind,
        /// Its path.
        path: String,
    },
}

/// Both durable stores, seen from outside the cluster: no latency, and the power to damage.
#[derive(Debug, Default)]
pub struct SimStores {
    checkpoints: Arc<InMemory>,
    output: Arc<InMemory>,
}

impl SimStores {
    fn of(&self, kind: StoreKind) -> &Arc<InMemory> {
        match kind {
            StoreKind::Checkpoints => &self.checkpoints,
            StoreKind::Output => &self.output,
        }
    }

    /// An object's contents.
    pub fn read(&self, kind: StoreKind, path: &str) -> Option<Bytes> {
        let result = self.of(kind).get(&Path::from(path)).now_or_never()?.ok()?;
        result.bytes().now_or_never()?.ok()
    }

    /// Paths of all objects below a folder, in order.
    pub fn list(&self, kind: StoreKind, folder: &str) -> Vec<String> {
        let prefix = Path::from(folder);
        let objects = self.of(kind).list(Some(&prefix)).collect::<Vec<_>>().now_or_never().unwrap_or_default();
        let mut paths: Vec<_> = objects.into_iter().flatten().map(|meta| meta.location.to_string()).collect();
        paths.sort();
        paths
    }

    /// Replaces an object's contents (`None`: removes it), as bit rot or a careless operator would.
    pub fn damage(&self, kind: StoreKind, path: &str, contents: Option<Bytes>) {
        let store = self.of(kind);
        let path = Path::from(path);
        match contents {
            Some(bytes) => drop(store.put(&path, bytes.into()).now_or_never()),
            None => drop(store.delete(&path).now_or_never()),
        }
    }
}

pub(super) fn node_store(node: SimNode, kind: StoreKind) -> Arc<dyn ObjectStore> {
    Arc::new(NodeStore { node, kind })
}

/// One incarnation's way to one store.
struct NodeStore {
    node: SimNode,
    kind: StoreKind,
}

impl NodeStore {
    fn inner(&self) -> &Arc<InMemory> {
        self.node.world.stores.of(self.kind)
    }

    /// When the store has the request, and how long its answer travels.
    async fn reach(&self, bytes: u64) -> Duration {
        self.node.only_alive().await;
        let (there, back) = {
            let now = now();
            let mut state = self.node.world.lock();
            let config = state.config.store;
            let seed = state.config.seed;
            let node = &mut state.nodes[self.node.index];
            let drawn = draw(seed, "store latency", self.node.index as u64, now.0);
            let latency = draw_between(drawn, nanos(config.latency.0), nanos(config.latency.1));
            let transfer = u128::from(bytes) * 1_000_000_000 / u128::from(config.throughput.max(1));
            node.store_link = node.store_link.max(now) + Duration::from_nanos(transfer as u64);
            (node.store_link + Duration::from_nanos(latency / 2), Duration::from_nanos(latency - latency / 2))
        };
        sleep_until(there).await;
        self.node.only_alive().await;
        back
    }

    async fn answer(&self, back: Duration, bytes: u64) {
        // Struck by an observer of the request's effect: the node never hears of it, not even without latency.
        self.node.halt_if_struck().await;
        let arrived = {
            let now = now();
            let mut state = self.node.world.lock();
            let throughput = state.config.store.throughput.max(1);
            let transfer = u128::from(bytes) * 1_000_000_000 / u128::from(throughput);
            let node = &mut state.nodes[self.node.index];
            match bytes {
                0 => now,
                _ => {
                    node.store_link = node.store_link.max(now) + Duration::from_nanos(transfer as u64);
                    node.store_link
                }
            }
        };
        sleep_until(arrived + back).await;
    }

    fn tell(&self, mutation: StoreMutation) {
        self.node.world.notify(|observer, world| observer.on_store(world, &mutation));
    }

    fn unsupported<T>(&self, operation: &str) -> Result<T> {
        Err(Error::NotImplemented { operation: operation.into(), implementer: self.to_string() })
    }
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
        let back = self.reach(payload.content_length() as u64).await;
        let bytes: Bytes = payload.into();
        let result = self.inner().put_opts(location, bytes.clone().into(), options).await;
        if result.is_ok() {
            self.tell(StoreMutation::Put { kind: self.kind, path: location.to_string(), bytes });
        }
        self.answer(back, 0).await;
        result
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.unsupported("put_multipart_opts")
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let back = self.reach(0).await;
        let result = self.inner().get_opts(location, options).await;
        let bytes = result.as_ref().map_or(0, |found| found.range.end - found.range.start);
        self.answer(back, bytes).await;
        result
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let back = self.reach(0).await;
        let result = self.inner().get_ranges(location, ranges).await;
        self.answer(back, ranges.iter().map(|range| range.end - range.start).sum()).await;
        result
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = NodeStore { node: self.node.clone(), kind: self.kind };
        locations
            .then(move |location| {
                let this = NodeStore { node: this.node.clone(), kind: this.kind };
                async move {
                    let location = location?;
                    let back = this.reach(0).await;
                    let existed = this.inner().head(&location).await.is_ok();
                    this.inner().delete(&location).await?;
                    if existed {
                        this.tell(StoreMutation::Deleted { kind: this.kind, path: location.to_string() });
                    }
                    this.answer(back, 0).await;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let this = NodeStore { node: self.node.clone(), kind: self.kind };
        let prefix = prefix.cloned();
        let listing = async move {
            let back = this.reach(0).await;
            let objects: Vec<_> = this.inner().list(prefix.as_ref()).collect().await;
            this.answer(back, 0).await;
            futures::stream::iter(objects)
        };
        futures::stream::once(listing).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let back = self.reach(0).await;
        let result = self.inner().list_with_delimiter(prefix).await;
        self.answer(back, 0).await;
        result
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let back = self.reach(0).await;
        let result = self.inner().copy_opts(from, to, options).await;
        if result.is_ok()
            && let Some(bytes) = self.node.world.stores.read(self.kind, to.as_ref())
        {
            self.tell(StoreMutation::Put { kind: self.kind, path: to.to_string(), bytes });
        }
        self.answer(back, 0).await;
        result
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: object_store::RenameOptions) -> Result<()> {
        let back = self.reach(0).await;
        let mode = match options.target_mode {
            object_store::RenameTargetMode::Overwrite => CopyMode::Overwrite,
            object_store::RenameTargetMode::Create => CopyMode::Create,
        };
        let result = self.inner().copy_opts(from, to, CopyOptions { mode, ..CopyOptions::default() }).await;
        if result.is_ok() {
            self.inner().delete(from).await?;
            let (from, to) = (from.to_string(), to.to_string());
            self.tell(StoreMutation::Renamed { kind: self.kind, from, to });
        }
        self.answer(back, 0).await;
        result
    }
}
