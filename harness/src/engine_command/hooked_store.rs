//! A durable store whose requests ask before they go on, where something stands in their way ([`crate::hooks`]).
//!
//! Stands between the engine and the folder that is the store, only in runs on real processes. Requests that need not ask cost a look at
//! the flag.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use flowquake_engine::env::StoreKind;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use crate::hooks::{Access, Overseen, Spoilt};

/// A store that asks.
#[derive(Debug, Clone)]
pub(super) struct HookedStore {
    inner: Arc<dyn ObjectStore>,
    kind: StoreKind,
    overseen: Arc<Overseen>,
}

fn failed(why: &'static str) -> Error {
    Error::Generic { store: "hooked store", source: why.into() }
}

impl HookedStore {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, kind: StoreKind, overseen: Arc<Overseen>) -> Self {
        Self { inner, kind, overseen }
    }

    /// Asks; returns what is done to the request, when it has waited. An error if it gets no further than here.
    async fn reach(&self, access: Access, path: &Path, bytes: u64) -> Result<Option<Spoilt>> {
        if !self.overseen.requests_ask() {
            return Ok(None);
        }
        let (overseen, kind, path) = (self.overseen.clone(), self.kind, path.to_string());
        let asked = tokio::task::spawn_blocking(move || overseen.at_request(kind, access, &path, bytes)).await;
        let (wait, spoilt) = asked.map_err(|_| failed("the process stops"))?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        match spoilt {
            Some(Spoilt::Unavailable) => Err(failed("the store is not available")),
            Some(Spoilt::Failed) => Err(failed("the write failed")),
            Some(Spoilt::NoSpace) => Err(failed("no space left on device")),
            spoilt => Ok(spoilt),
        }
    }
}

/// The error that a write gets whatever it did.
fn ambiguity(spoilt: Option<Spoilt>) -> Result<()> {
    if spoilt == Some(Spoilt::Ambiguous) { Err(failed("the connection broke before the answer")) } else { Ok(()) }
}

impl fmt::Display for HookedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for HookedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let spoilt = self.reach(Access::Put, location, payload.content_length() as u64).await?;
        let payload = match spoilt {
            Some(Spoilt::Torn) => {
                let bytes = Bytes::from(payload);
                bytes.slice(..bytes.len() / 2).into()
            }
            _ => payload,
        };
        let result = self.inner.put_opts(location, payload, options).await;
        ambiguity(spoilt)?;
        result
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.overseen.requests_ask() {
            // Bytes that travel back.
            let bytes = match options.head {
                true => 0,
                false => self.inner.head(location).await.map_or(0, |found| found.size),
            };
            self.reach(Access::Read, location, bytes).await?;
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        locations
            .then(move |location| {
                let this = this.clone();
                async move {
                    let location = location?;
                    this.reach(Access::Delete, &location, 0).await?;
                    this.inner.delete(&location).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix) = (self.clone(), prefix.cloned());
        let listing = async move {
            match this.reach(Access::List, &prefix.clone().unwrap_or_default(), 0).await {
                Err(error) => futures::stream::iter([Err(error)]).boxed(),
                Ok(_) => this.inner.list(prefix.as_ref()),
            }
        };
        futures::stream::once(listing).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.reach(Access::List, &prefix.cloned().unwrap_or_default(), 0).await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let spoilt = self.reach(Access::Rename, to, 0).await?;
        let result = self.inner.copy_opts(from, to, options).await;
        ambiguity(spoilt)?;
        result
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let spoilt = self.reach(Access::Rename, to, 0).await?;
        let result = self.inner.rename_opts(from, to, options).await;
        ambiguity(spoilt)?;
        result
    }
}
