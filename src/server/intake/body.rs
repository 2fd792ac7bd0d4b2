//! A request's body, which is kept before anybody knows whose it is: what all of them take together is limited.

use super::Refusal;
use axum::{
    body::BodyDataStream,
    extract::Request,
    http::{StatusCode, header},
};
use futures::StreamExt;
use std::{ops::Deref, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// GitHub's own limit on a payload: <https://docs.github.com/en/webhooks/webhook-events-and-payloads>
pub const BODY_LIMIT: usize = 25 * 1024 * 1024;

/// What the bodies of all requests at hand may take together.
const ROOM: usize = 64 * 1024 * 1024;

/// The unit in which room is given out.
const UNIT: usize = 1024;

/// A sender that has not sent its body by then is cut off. GitHub itself gives up after as long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The room that bodies have. Clones share it.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Room(Arc::new(Semaphore::new(ROOM / UNIT)))
    }
}

/// The bytes, which give their room back when they are dropped.
pub(super) struct Body {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Body {
    /// Takes a chunk, if there is room for it. Room is taken for what came, not for what was announced: else a sender
    /// could take all of it with a few bytes.
    fn take(&mut self, room: &Room, chunk: &[u8]) -> Result<(), Refusal> {
        let length = self.bytes.len() + chunk.len();
        if length > BODY_LIMIT {
            return Err(too_large());
        }
        let missing = length.div_ceil(UNIT) - self.bytes.len().div_ceil(UNIT);
        let permits = u32::try_from(missing).ok().and_then(|n| room.0.clone().try_acquire_many_owned(n).ok());
        let Some(more) = permits else {
            let why = format!(
                "the bodies of other requests take all of {} MB at the moment; send it again later",
                ROOM / 1024 / 1024
            );
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why));
        };
        match &mut self.room {
            Some(room) => room.merge(more),
            none => *none = Some(more),
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

fn too_large() -> Refusal {
    let limit = BODY_LIMIT / 1024 / 1024;
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("expected a body of at most {limit} MB"))
}

/// The raw body, of which nothing is believed yet.
pub(super) async fn read(request: Request, room: &Room) -> Result<Body, Refusal> {
    // A body that says that it is too large is not read at all.
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT as u64) {
        return Err(too_large());
    }
    let deadline = Instant::now() + TIMEOUT;
    let mut chunks = request.into_body().into_data_stream();
    match timeout_at(deadline, take_all(&mut chunks, room)).await {
        Ok(Err(refusal)) if refusal.status == StatusCode::SERVICE_UNAVAILABLE => {
            // A sender whose connection ends while it sends never sees the answer.
            let _ = timeout_at(deadline, discard(&mut chunks)).await;
            Err(refusal)
        }
        Ok(taken) => taken,
        Err(_) => {
            let why = format!("expected the whole body within {} s", TIMEOUT.as_secs());
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, why))
        }
    }
}

async fn take_all(chunks: &mut BodyDataStream, room: &Room) -> Result<Body, Refusal> {
    let mut body = Body { bytes: Vec::new(), room: None };
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            Refusal::new(StatusCode::BAD_REQUEST, format!("expected the whole body, found its end: {error}"))
        })?;
        body.take(room, &chunk)?;
    }
    Ok(body)
}

async fn discard(chunks: &mut BodyDataStream) {
    let mut rest = BODY_LIMIT;
    while let Some(Ok(chunk)) = chunks.next().await
        && chunk.len() <= rest
    {
        rest -= chunk.len();
    }
}
