//! HTTP/1.1 for senders that nobody knows yet: `axum::serve` waits for a request's head for ever and takes any number of
//! connections.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a request's head may take to come, and how long a connection may wait for its next request.
    pub head: Duration,
    /// Connections at the same time; further ones wait to be accepted.
    pub connections: usize,
    /// How long one connection is kept; then the request at hand is answered, and it is closed.
    pub age: Duration,
    /// How long that answer may take.
    pub last_answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head: Duration::from_secs(10),
            // With the files that the worker opens below the usual 1024 of a process.
            connections: 512,
            age: Duration::from_secs(300),
            last_answer: Duration::from_secs(60),
        }
    }
}

/// The most of a request's head, and of what is read ahead, that a connection keeps.
const BUFFER: usize = 64 * 1024;

/// Serves until `stopping` turns true, or its sender is gone; then the requests at hand are answered.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, mut stopping: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut open = JoinSet::new();
    loop {
        let mut stop = stopping.clone();
        tokio::select! {
            () = stopped(&mut stopping) => break,
            Some(_) = open.join_next() => {}
            (stream, room) = accept(&listener, &room) => {
                let router = router.clone();
                open.spawn(async move {
                    let _room = room;
                    if let Err(error) = connection(stream, router, limits, &mut stop).await {
                        tracing::debug!(%error, "a connection ended early");
                    }
                });
            }
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        // Nobody closes the semaphore.
        let Ok(room) = room.clone().acquire_owned().await else { std::future::pending().await };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, room),
            Err(error) => {
                // Too many open files, or a connection that was gone already: neither ends the server.
                tracing::warn!(%error, "a connection was not accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    stopping: &mut watch::Receiver<bool>,
) -> Result<(), hyper::Error> {
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = stopped(stopping) => {}
        () = sleep(limits.age) => {}
    }
    connection.as_mut().graceful_shutdown();
    // A sender that does not read its answers would stay for ever.
    timeout(limits.last_answer, connection).await.unwrap_or(Ok(()))
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // The sender is gone: stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}
