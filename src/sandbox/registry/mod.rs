//! An OCI registry in this process, on loopback: push, pull, tags in pages, bearer tokens, notifications. It keeps
//! everything in memory and speaks to real clients. What goes wrong in life can be made to: see
//! [`RegistryServer::fail_next`], [`RegistryServer::away`] and [`RegistryServer::on_request`].

mod image;
mod line;
mod notify;
mod push;
mod routes;
mod store;

pub use notify::Notify;
pub use push::{PushError, push_image};

use image::MANIFEST_TYPE;
use jiff::Timestamp;
use line::{Lines, Peer};
use notify::{Notifier, Told};
use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use store::Store;
use tokio::net::TcpListener;

/// How a registry is set up.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Who is told about pushes and pulls.
    pub notify: Option<Notify>,
    /// A user and password: everything then needs a bearer token from the registry's own token server.
    pub login: Option<(String, String)>,
    /// The most tags on one page, however many a client asks for; without it a client gets what it asks for, or all.
    pub page: Option<usize>,
}

/// One request, as it came in.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Counted from 1, since the registry started.
    pub number: u64,
    pub method: String,
    /// With its query: `/v2/app/tags/list?n=1000`
    pub path: String,
}

/// A running registry. It ends when it is dropped.
pub struct RegistryServer {
    shared: Arc<Shared>,
    away: Arc<AtomicBool>,
    server: tokio::task::AbortHandle,
}

type Observer = Arc<dyn Fn(&Seen) + Send + Sync>;

/// An answer that a test asked for.
#[derive(Clone, Copy)]
struct Fault {
    status: u16,
    retry_after: Option<u64>,
}

struct Shared {
    options: Options,
    /// `127.0.0.1:5000`
    host: String,
    store: Mutex<Store>,
    /// Token -> what it opens.
    tokens: Mutex<HashMap<String, routes::Grant>>,
    notifier: Notifier,
    faults: Mutex<VecDeque<Fault>>,
    requests: AtomicU64,
    observer: Mutex<Option<Observer>>,
}

/// A lock that a panic of another test's thread does not take away.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RegistryServer {
    /// Starts a registry on a spare port of 127.0.0.1.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(options: Options) -> io::Result<Self> {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await
    }

    /// Starts a registry at this address, which must be on loopback to be safe.
    ///
    /// # Errors
    /// Where the port is taken.
    pub async fn start_at(address: SocketAddr, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let host = listener.local_addr()?.to_string();
        let notifier = Notifier::start(&host, options.notify.clone());
        let shared = Arc::new(Shared {
            options,
            host,
            store: Mutex::default(),
            tokens: Mutex::default(),
            notifier,
            faults: Mutex::default(),
            requests: AtomicU64::new(0),
            observer: Mutex::default(),
        });
        let away = Arc::new(AtomicBool::new(false));
        let lines = Lines { listener, away: away.clone() };
        let service = routes::router(shared.clone()).into_make_service_with_connect_info::<Peer>();
        let server = tokio::spawn(async move { axum::serve(lines, service).await }).abort_handle();
        Ok(RegistryServer { shared, away, server })
    }

    /// As image references spell it: `127.0.0.1:5000`.
    pub fn host(&self) -> &str {
        &self.shared.host
    }

    /// `http://127.0.0.1:5000`
    pub fn url(&self) -> String {
        format!("http://{}", self.shared.host)
    }

    /// Pushes a small image, as a build would, without going over HTTP: no fault and no observer applies, but whoever
    /// is to be notified is. Gives the manifest's digest.
    pub fn push_image(&self, repository: &str, tag: &str, created: Timestamp, labels: &[(&str, &str)]) -> String {
        let image = image::build(created, labels);
        let size = image.manifest.len();
        let mut store = lock(&self.shared.store);
        for (digest, bytes) in image.blobs {
            // The digest was made from these very bytes.
            let _ = store.put_blob(&digest, bytes);
        }
        // Its blobs were stored just above.
        let _ = store.put_manifest(repository, tag, MANIFEST_TYPE, image.manifest);
        drop(store);
        self.shared.notifier.tell(Told {
            action: "push",
            media_type: MANIFEST_TYPE,
            size,
            digest: &image.digest,
            repository,
            tag: Some(tag),
            kind: "manifests",
            method: "PUT",
            agent: "butler sandbox",
            from: &self.shared.host,
        });
        image.digest
    }

    /// Takes a tag away, as a retention run does; whether it was there. Nobody is told, as in the real one.
    pub fn remove_tag(&self, repository: &str, tag: &str) -> bool {
        lock(&self.shared.store).remove_tag(repository, tag)
    }

    /// Changes who is notified; `None` for nobody: what waits is dropped then.
    pub fn notify(&self, target: Option<Notify>) {
        self.shared.notifier.set_target(target);
    }

    /// Returns when every notification was taken.
    pub async fn idle(&self) {
        self.shared.notifier.idle().await;
    }

    /// Answers the next `count` requests with this status.
    pub fn fail_next(&self, count: usize, status: u16) {
        self.fail(count, Fault { status, retry_after: None });
    }

    /// The same, with a `Retry-After` header of so many seconds.
    pub fn fail_next_until(&self, count: usize, status: u16, retry_after: u64) {
        self.fail(count, Fault { status, retry_after: Some(retry_after) });
    }

    fn fail(&self, count: usize, fault: Fault) {
        lock(&self.shared.faults).extend(std::iter::repeat_n(fault, count));
    }

    /// Whether the registry is away: every connection is closed without an answer.
    pub fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// Calls this with each request from now on, before it is answered.
    pub fn on_request(&self, observer: impl Fn(&Seen) + Send + Sync + 'static) {
        *lock(&self.shared.observer) = Some(Arc::new(observer));
    }

    /// How many requests came in so far.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        self.server.abort();
        // Connections live in tasks of their own; this ends them, and with the last one what they share.
        self.away(true);
        self.notify(None);
    }
}
