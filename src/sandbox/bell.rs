//! Tells whoever waits that something happened, so that nothing has to be asked for again and again.

use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// Things that ring no bell (a person's act in this process) are seen after so long.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// Rung after each request that was performed, and when a stage was synced. Clones are the same bell.
#[derive(Clone, Debug)]
pub struct Bell(Arc<watch::Sender<u64>>);

/// Somebody who listens.
#[derive(Debug)]
pub struct Listener(watch::Receiver<u64>);

impl Default for Bell {
    fn default() -> Self {
        Bell(Arc::new(watch::Sender::new(0)))
    }
}

impl Bell {
    pub fn ring(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

impl Listener {
    /// Call it before looking: what rings from here on is not missed by [`Listener::rung`].
    pub fn heed(&mut self) {
        self.0.mark_unchanged();
    }

    /// Returns when the bell rang since [`Listener::heed`], or after a second.
    pub async fn rung(&mut self) {
        // Neither an error nor the time running out matters: look again.
        let _ = tokio::time::timeout(LOOK_AROUND, self.0.changed()).await;
    }
}
