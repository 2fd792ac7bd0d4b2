//! How many REST calls things cost: GitHub counts them, and so do we.

use super::{World, flux::automation, only_pull};

/// REST calls since the last count; those for tokens do not count, because a token is used for an hour.
fn calls(world: &World) -> Vec<String> {
    let requests = world.github.recorded();
    world.github.clear_requests();
    let rest = requests.iter().filter(|request| !request.path.ends_with("/access_tokens"));
    rest.map(|request| format!("{} {}", request.method, request.path)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_few() {
    let world = World::new().await;
    world.github.clear_requests();
    world.push_image("1.1.0").await;
    let proposal = calls(&world);
    println!("commit and promotion pull request: {} calls\n{proposal:#?}", proposal.len());
    assert!(proposal.len() <= 12, "{}: {proposal:#?}", proposal.len());

    world.push("dan", "main", "notes.md", "Unrelated\n").await;
    let nothing = calls(&world);
    println!("a push that changes nothing: {} calls\n{nothing:#?}", nothing.len());
    assert!(nothing.len() <= 2, "{}: {nothing:#?}", nothing.len());

    let number = only_pull(&world);
    world.comment("ann", number, "/merge").await;
    world.reply(number);
    let merge = calls(&world);
    println!("/merge and the next pull request: {} calls\n{merge:#?}", merge.len());
    assert!(merge.len() <= 40, "{}: {merge:#?}", merge.len());

    world.push("dan", "main", "notes.md", "Unrelated again\n").await;
    let nothing = calls(&world);
    println!("a push that changes nothing, after a merge: {} calls\n{nothing:#?}", nothing.len());
    assert!(nothing.len() <= 2, "{}: {nothing:#?}", nothing.len());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_flux_costs_a_call_where_something_is_new() {
    let world = World::with(|files| files.push(automation("apps", "./deploy", false, ""))).await;
    world.github.clear_requests();
    world.push_image("1.1.0").await;
    let waits = calls(&world);
    assert!(waits.len() <= 3, "{}: {waits:#?}", waits.len());

    world.push("dan", "main", "notes.md", "Unrelated\n").await;
    let nothing = calls(&world);
    assert!(nothing.len() <= 2, "{}: {nothing:#?}", nothing.len());
    world.finish().await;
}
