//! Settings, intake of webhooks, and the worker that reconciles config repositories.

pub mod clock;
pub mod facts;
pub mod intake;
pub mod settings;
pub mod worker;
