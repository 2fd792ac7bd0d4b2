//! What people see: each test reads like the conversation, over a whole world that nothing is mocked in.
//!
//! Every test ends with `world.finish()`, which fails where a job is left, a comment of butler's was not read, or one
//! more sweep would change something.

mod branches;
mod breaker;
mod calls;
mod commands;
mod consent;
mod declines;
mod flux;
mod harmless;
mod holds;
mod main_job;
mod memory;
mod merging;
mod methods;
mod pulls;
mod trouble;

use crate::support::world::{REPO, World};

/// The only pull request that is open.
fn only_pull(world: &World) -> u64 {
    let [number] = world.open_pulls()[..] else { panic!("one pull request: {:?}", world.open_pulls()) };
    number
}

/// A world in which 1.1.0 runs in development and waits in a pull request for staging.
async fn proposed() -> (World, u64) {
    let world = World::new().await;
    world.push_image("1.1.0").await;
    let number = only_pull(&world);
    (world, number)
}
