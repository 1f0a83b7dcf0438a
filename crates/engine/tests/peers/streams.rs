//! What servers tell each other, step by step.

use crate::world::{Client, World};
use std::time::Duration;

const ALICE: Client<'static> = Client { host: 1, port: 5000, who: "alice@R.TEST" };

#[test]
fn what_one_is_told_the_other_knows() {
    let mut world = World::new(2, 1);
    world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"early\0*\0\0");
    world.pass(Duration::from_secs(3));
    assert!(world.has(1, ALICE, "early"), "{:?} {:?} {:?}", world.nodes[1].log, world.nodes[0].log, world.state(0));
    world.control(0, ALICE, "SUBSCRIBE_NODEFS", b"foo\0*\0\0bar\0x\0\0");
    world.login(0, ALICE, "NET-VISIBLE");
    world.pass(Duration::from_secs(1));
    assert!(world.has(1, ALICE, "foo") && world.has(1, ALICE, "bar"));
    world.check("told");
    world.control(1, ALICE, "UNSUBSCRIBE", b"foo\0*\0\0");
    world.login(1, ALICE, "USER_LOGOUT");
    world.pass(Duration::from_secs(1));
    assert!(!world.has(0, ALICE, "foo") && world.has(0, ALICE, "bar"));
    world.check("ended");
}
