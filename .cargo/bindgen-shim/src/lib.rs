//! Stand-in for `bindgen`: hands out committed RocksDB bindings, so that a build needs no libclang.
//!
//! `librocksdb-sys` calls bindgen whatever its features say. Its build script uses only the methods below; the bindings
//! in `bindings.rs` are what the real bindgen 0.72.1 printed for the one version asserted in
//! [`Bindings::write_to_file`] (x86_64 and aarch64 Linux). `README.md` beside this folder's `Cargo.toml` tells how to renew them.

/// The version of `librocksdb-sys` whose C header the bindings were taken from.
const LIBROCKSDB_SYS: &str = "0.19.0+11.8.1";

/// The options that `librocksdb-sys` sets; the committed bindings were made with exactly these.
#[derive(Default)]
pub struct Builder;

impl Builder {
    pub fn header(self, _: impl Into<String>) -> Self {
        self
    }
    pub fn derive_debug(self, _: bool) -> Self {
        self
    }
    pub fn blocklist_type(self, _: impl AsRef<str>) -> Self {
        self
    }
    pub fn ctypes_prefix(self, _: impl Into<String>) -> Self {
        self
    }
    pub fn size_t_is_usize(self, _: bool) -> Self {
        self
    }
    pub fn generate(self) -> Result<Bindings, std::io::Error> {
        Ok(Bindings)
    }
}

/// The committed bindings.
pub struct Bindings;

impl Bindings {
    /// Writes the bindings to `path`; refuses a `librocksdb-sys` they were not made for.
    pub fn write_to_file(&self, path: impl AsRef<std::path::Path>) -> std::io::Result<()> {
        let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
        if version != LIBROCKSDB_SYS {
            return Err(std::io::Error::other(format!(
                "the committed RocksDB bindings are for librocksdb-sys {LIBROCKSDB_SYS}, not {version}: \
                 renew .cargo/bindgen-shim/src/bindings.rs as its README says"
            )));
        }
        std::fs::write(path, include_str!("bindings.rs"))
    }
}
