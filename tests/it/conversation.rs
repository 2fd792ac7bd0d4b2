//! What people see: each test reads like the conversation.

use crate::support::world::{REPO, World};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pushed_and_goes_all_the_way() {
    let world = World::new().await;
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.1.0");
    println!("{:#?}", world.log("main"));
    let [pull] = world.open_pulls()[..] else { panic!("one pull request: {:?}", world.open_pulls()) };
    println!("{}", world.shown(world.github.issue(REPO, pull).unwrap().body.unwrap().as_str()));
    world.comment("ann", pull, "/merge").await;
    println!("{}", world.reply(pull));
    assert_eq!(world.tag("staging"), "1.1.0");
    println!("{:?} {:#?}", world.open_pulls(), world.log("main"));
}
