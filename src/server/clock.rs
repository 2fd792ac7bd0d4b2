//! The time, and ids: the only places where they come from. Tests move the clock by hand.

use jiff::Timestamp;
use std::sync::{Arc, Mutex};

/// Where the time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    System,
    /// Stands still until it is moved.
    Manual(Arc<Mutex<Timestamp>>),
}

impl Clock {
    /// A clock that a test moves.
    pub fn manual(now: Timestamp) -> Self {
        Clock::Manual(Arc::new(Mutex::new(now)))
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System => Timestamp::now(),
            Clock::Manual(now) => *now.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
        }
    }

    /// The clock as a function, for adapters.
    pub fn source(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }

    /// Moves a manual clock on; the system's clock is left alone.
    pub fn advance(&self, by: jiff::SignedDuration) {
        if let Clock::Manual(now) = self {
            let mut now = now.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *now = now.saturating_add(by).unwrap_or(*now);
        }
    }
}
