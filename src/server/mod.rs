//! Settings, intake of webhooks, and the worker that reconciles config repositories.

pub mod clock;
mod data_dir;
pub mod facts;
pub mod http;
pub mod intake;
pub mod settings;
pub mod worker;

use crate::{
    adapters::{
        git,
        github::{AppKey, AppKeyError, Forge, ForgeError, ForgeSettings, Patience},
        registry::{Credentials, Reach, Registry, RegistryError},
        store::{JobKey, JobRequest, Store, StoreError},
    },
    engine::memory::Key,
};
use clock::Clock;
use data_dir::DataDir;
pub use data_dir::DataDirError;
use intake::IntakeState;
use secrecy::ExposeSecret;
use settings::Settings;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use worker::{Worker, WorkerOptions};

/// Why the server did not start. Whoever runs it has to act.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("github.private-key: {0}")]
    Key(#[from] AppKeyError),
    #[error("github.previous-private-keys[{index}]: {source}")]
    PreviousKey { index: usize, source: AppKeyError },
    #[error("github.api-url: {0}")]
    ApiUrl(String),
    #[error("{0}")]
    Forge(#[from] ForgeError),
    #[error("registries: {0}")]
    Registry(#[from] RegistryError),
    #[error("database: {0}")]
    Store(#[from] StoreError),
    #[error("data-dir: {0}")]
    DataDir(#[from] DataDirError),
    #[error("listen: cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
}

/// A server that runs.
pub struct Server {
    pub address: SocketAddr,
    pub worker: Arc<Worker>,
    shutdown: watch::Sender<bool>,
    serving: JoinHandle<()>,
    /// How long jobs at hand may take when it is to stop.
    grace: Duration,
    /// `None` when it ended by itself.
    working: Option<JoinHandle<Result<(), StoreError>>>,
    /// Held for as long as the server runs.
    _data: DataDir,
}

/// The parts of a server, put together but not at work: tests pump the worker themselves.
pub async fn assemble(settings: &Settings, clock: Clock, patience: Patience) -> Result<Arc<Worker>, StartError> {
    git::init();
    let key = AppKey::from_pem(settings.github.private_key.expose_secret().as_bytes())?;
    let mut seals = vec![Key::derive(key.der())];
    for (index, pem) in settings.github.previous_private_keys.iter().enumerate() {
        let key = AppKey::from_pem(pem.expose_secret().as_bytes());
        seals.push(Key::derive(key.map_err(|source| StartError::PreviousKey { index, source })?.der()));
    }
    let forge = Forge::new(ForgeSettings {
        app_id: settings.github.app_id,
        key,
        api_url: settings
            .github
            .api_url
            .parse()
            .map_err(|error: url::ParseError| StartError::ApiUrl(error.to_string()))?,
        clock: clock.source(),
        patience,
    })?;
    let credentials = settings.registries.iter().map(|registry| {
        let mut credentials = Credentials::anonymous(registry.host.clone());
        if registry.insecure {
            credentials = credentials.over_http();
        }
        match &registry.credentials {
            Some((username, password)) => credentials.with_login(username.clone(), password.clone()),
            None => credentials,
        }
    });
    let registry = Registry::new(credentials.collect(), Reach::Public)?;
    let store = Store::open(&settings.database).await?;
    let owner = DataDir::open(&settings.data_dir)?.owner()?;
    let options = WorkerOptions {
        data_dir: settings.data_dir.clone(),
        git_url: settings.github.git_url.clone(),
        lease: settings.worker.lease,
        sweep: settings.worker.sweep,
        count: settings.worker.count as usize,
    };
    Ok(Arc::new(Worker::new(store, forge, registry, clock, seals, owner, options)))
}

impl Server {
    /// Starts everything: the intake listens, the worker works, a first sweep finds what was missed.
    pub async fn start(settings: &Settings) -> Result<Server, StartError> {
        let clock = Clock::System;
        let data = DataDir::open(&settings.data_dir)?;
        data.claim()?;
        let worker = assemble(settings, clock.clone(), Patience::default()).await?;
        worker.take_over().await?;
        worker.store.enqueue(&[JobRequest::urgent(JobKey::Sweep)], clock.now()).await?;
        let listener = TcpListener::bind(settings.listen)
            .await
            .map_err(|source| StartError::Listen { address: settings.listen, source })?;
        let address =
            listener.local_addr().map_err(|source| StartError::Listen { address: settings.listen, source })?;
        let router = intake::router(IntakeState::new(worker.store.clone(), settings, clock.source()));
        let (shutdown, stopping) = watch::channel(false);
        let serving = tokio::spawn(http::serve(listener, router, http::Limits::default(), stopping.clone()));
        let working = tokio::spawn(worker.clone().run(stopping));
        let grace = settings.worker.grace;
        Ok(Server { address, worker, shutdown, serving, grace, working: Some(working), _data: data })
    }

    /// Ends only when the server cannot go on, and says why; it is to be stopped then.
    pub async fn failed(&mut self) -> StoreError {
        if let Some(working) = &mut self.working
            && let Ok(ended) = working.await
        {
            self.working = None;
            if let Err(error) = ended {
                return error;
            }
        }
        std::future::pending().await
    }

    /// Stops: no new requests, the jobs at hand are finished. Those that take longer than `worker.grace` are handed back
    /// to the queue, and requests that take longer are cut off.
    pub async fn stop(mut self) {
        let _ = self.shutdown.send(true);
        let over = Instant::now() + self.grace;
        if let Some(mut working) = self.working
            && timeout_at(over, &mut working).await.is_err()
        {
            tracing::warn!(grace = ?self.grace, "jobs at hand take too long: they are handed back");
            self.worker.halt();
            let _ = working.await;
        }
        if timeout_at(over, &mut self.serving).await.is_err() {
            self.serving.abort();
        }
        self.worker.store.close().await;
    }
}
