//! Tampering on the wire: nothing that was changed on its way is shown as authentic.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Context, Result};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice, Packet},
};
use zephyr_e2e::{
    listener::{Listener, Origin, Received},
    middle::{Way, contains, places, unchanged},
    person::{Person, TIMEOUT},
    stack::Stack,
    stranger::Stranger,
};
use zephyr_testkit::{deadline::wait_until, realm::RealmOptions};

/// Places of the header fields that people ask about.
const CLASS: usize = 8;
const CHECKSUM: usize = 14;
const FIELDS: usize = 19;

const CLASS_NAME: &str = "tamper";
/// The class with the lowest bit of its first octet flipped.
const FLIPPED_CLASS: &str = "uamper";

/// Which bit is flipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flip {
    way: Way,
    place: Place,
    bit: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A header field's number, or [`FIELDS`] for the body, and where in it.
    Field(usize, Position),
    /// An octet of the packet.
    Octet(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    First,
    Middle,
    Last,
    /// The NUL after a field.
    End,
}

impl Flip {
    /// Gives what has become of the octet.
    fn apply(self, packet: &mut [u8]) -> Option<u8> {
        let (fields, body) = places(packet)?;
        let at = match self.place {
            Place::Octet(at) => at,
            Place::Field(field, position) => {
                let place = if field == FIELDS { body } else { fields.get(field)?.clone() };
                // An empty field has no octet of its own but the NUL.
                match position {
                    Position::First => place.start,
                    Position::Middle => place.start.midpoint(place.end),
                    Position::Last => place.end.checked_sub(1)?,
                    Position::End => place.end,
                }
            }
        };
        let octet = packet.get_mut(at)?;
        *octet ^= 1 << self.bit;
        Some(*octet)
    }
}

/// Alice's way to bob's listener leads past the middle.
struct Scene {
    stack: Stack,
    alice: Person,
    bobs: Listener,
}

impl Scene {
    fn set() -> Result<Self> {
        let stack = Stack::with_middle(RealmOptions::default(), unchanged)?;
        let alice = stack.login("alice")?;
        let bobs = stack.login("bob")?.listen(&[(CLASS_NAME, "*", "*"), (FLIPPED_CLASS, "*", "*")])?;
        Ok(Self { stack, alice, bobs })
    }

    /// Sends without waiting for the server, whose answer may be lost in what is done to the notice.
    fn send_and_forget(&self, message: &str) -> Result<()> {
        // Its exit code is always 1: nothing is known to have been sent.
        let sent = self.alice.zwrite(&["-U", "-c", CLASS_NAME, "-i", message, "-s", "", "-m", message])?;
        anyhow::ensure!(!sent.stderr.contains("zwrite: "), "{sent}");
        Ok(())
    }

    fn untouched_is_authentic(&self, message: &str) -> Result<()> {
        self.alice.send(&["-c", CLASS_NAME, "-m", message])?;
        self.bobs.expect(message, Origin::Authentic).map(drop)
    }
}

fn name(number: usize) -> String {
    format!("flip-{number:03}")
}

/// The number of the flip that a packet is for. Looked for once, as whoever is slow in the middle loses packets.
fn number_in(packet: &[u8]) -> Option<usize> {
    let at = packet.windows(5).position(|window| window == b"flip-")? + 5;
    std::str::from_utf8(packet.get(at..at + 3)?).ok()?.parse().ok()
}

#[test]
fn a_flipped_bit_is_never_shown_as_authentic() -> Result<()> {
    let scene = Scene::set()?;
    scene.untouched_is_authentic("before")?;

    let mut flips = Vec::new();
    for way in [Way::ToServer, Way::ToClient] {
        for field in 0..=FIELDS {
            let positions = [Position::First, Position::Middle, Position::Last, Position::End];
            // Nothing comes after the body.
            for position in positions.into_iter().filter(|&position| (field, position) != (FIELDS, Position::End)) {
                flips.push(Flip { way, place: Place::Field(field, position), bit: 0 });
            }
        }
        // Other bits of what matters most.
        for field in [CLASS, CHECKSUM, FIELDS] {
            for bit in 1..8 {
                flips.push(Flip { way, place: Place::Field(field, Position::Middle), bit });
            }
        }
        // All over the packet, which is longer towards the server for its authenticator.
        let length = if way == Way::ToServer { 780 } else { 220 };
        for (number, at) in (0..length).step_by(5).enumerate() {
            flips.push(Flip { way, place: Place::Octet(at), bit: (number % 8) as u8 });
        }
    }
    // The octet that each flip has made.
    let done: Arc<Mutex<Vec<Option<u8>>>> = Arc::new(Mutex::new(vec![None; flips.len()]));
    let (plan, record) = (flips.clone(), Arc::clone(&done));
    scene.stack.middle()?.change(move |way, packet: &mut Vec<u8>| {
        // A notice that is sent again is changed again in the same way.
        let Some((number, flip)) = number_in(packet).and_then(|number| Some((number, plan.get(number)?))) else {
            return true;
        };
        if flip.way == way
            && let Some(octet) = flip.apply(packet)
        {
            record.lock().unwrap()[number] = Some(octet);
        }
        true
    });
    for number in 0..flips.len() {
        scene.send_and_forget(&name(number))?;
    }
    scene.untouched_is_authentic("after")?;

    // What was lost under load is sent again after two seconds, and may come later than that.
    wait_until("all flips are done", TIMEOUT, || Ok(done.lock().unwrap().iter().all(Option::is_some).then_some(())))
        .with_context(|| {
            let done = done.lock().unwrap();
            let not_done = flips.iter().zip(&*done).filter(|(_, done)| done.is_none());
            format!("{:?}", not_done.map(|(flip, _)| *flip).collect::<Vec<Flip>>())
        })?;
    let about = |number: usize, received: &Received| {
        [received.message(), received.instance.clone()].concat().contains(&name(number))
    };
    let made = done.lock().unwrap().clone();
    for (number, (flip, octet)) in flips.iter().zip(made).enumerate() {
        // Where the notice still reaches him, bob sees it, but not as authentic. A checksum with a NUL more is two fields, and
        // with an octet that begins an escape it is none (wire format, section 2.2): then there is no notice.
        let reaches = match flip.place {
            Place::Field(CHECKSUM, _) if matches!(octet, Some(0 | 0xFF)) => false,
            Place::Field(CHECKSUM | FIELDS, position) => position != Position::End,
            Place::Field(CLASS, Position::First) => flip.bit == 0,
            Place::Field(..) | Place::Octet(_) => false,
        };
        if reaches {
            let expected = if flip.way == Way::ToServer { Origin::Unauthenticated } else { Origin::Failed };
            let is_received = |received: &Received| received.origin == expected && about(number, received);
            let any = || Ok(scene.bobs.all().iter().any(is_received).then_some(()));
            wait_until("bob receives it", TIMEOUT, any).with_context(|| format!("{flip:?}"))?;
        }
    }
    let received = scene.bobs.all();
    for (number, flip) in flips.iter().enumerate() {
        let wrong = received.iter().find(|received| received.origin == Origin::Authentic && about(number, received));
        assert_eq!(wrong, None, "{flip:?}");
    }
    let shown = received.iter().filter(|received| received.origin != Origin::Authentic).count();
    assert!(shown * 3 > flips.len(), "only {shown} of {} changed notices were received", flips.len());
    Ok(())
}

#[test]
fn zwgc_says_what_is_wrong() -> Result<()> {
    let stack = Stack::with_middle(RealmOptions::default(), unchanged)?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let zwgc = bob.zwgc(&[])?;
    let mark = zwgc.transcript().mark();
    stack.middle()?.change(|way, packet: &mut Vec<u8>| {
        if way == Way::ToClient
            && let Some(at) = packet.windows(7).position(|window| window == b"pay 100")
        {
            packet[at + 4] = b'9';
        }
        true
    });
    alice.send(&["bob", "-m", "pay 100 dollars"])?;
    zwgc.wait_after(mark, TIMEOUT, |line| line.contains("pay 900 dollars"))?;
    let shown = zwgc.transcript().lines_after(mark).join("\n");
    let words: Vec<&str> = shown.split(|c: char| !c.is_ascii_alphabetic()).collect();
    assert!(words.contains(&"FAILED") && !words.contains(&"AUTHENTIC"), "{shown}");
    Ok(())
}

#[test]
fn a_part_of_a_long_message_that_was_changed_spoils_the_whole() -> Result<()> {
    let scene = Scene::set()?;
    let text = |name: &str| format!("{name} {} the end", "x".repeat(3000));
    // Only the last fragment has this text.
    let rule = |which: Way| {
        move |way, packet: &mut Vec<u8>| {
            if way == which
                && let Some(at) = packet.windows(7).position(|window| window == b"the end")
            {
                packet[at] = b'T';
            }
            true
        }
    };
    // Bob's client waits for a genuine fragment first, which never comes.
    for (way, name) in [(Way::ToServer, "up"), (Way::ToClient, "down")] {
        scene.stack.middle()?.change(rule(way));
        scene.alice.send(&["-c", CLASS_NAME, "-m", &text(name)])?;
        scene.bobs.expect(&text(name).replace("the end", "The end"), Origin::Failed)?;
    }
    scene.stack.middle()?.change(unchanged);
    scene.alice.send(&["-c", CLASS_NAME, "-m", &text("whole")])?;
    scene.bobs.expect(&text("whole"), Origin::Authentic)?;
    Ok(())
}

#[test]
fn a_strangers_fragments_and_copies_disturb_no_proven_notice() -> Result<()> {
    let scene = Scene::set()?;
    let here = scene.stack.network().here();
    let bob = SocketAddr::from((here, scene.bobs.port()));
    let mut stranger = Stranger::at(here)?;
    // Before each packet of the notice two come that look like it: another fragment of it, and a copy that says otherwise.
    scene.stack.middle()?.change(move |way, datagram: &mut Vec<u8>| {
        if way == Way::ToClient
            && let Ok(packet) = Packet::parse(datagram)
            && contains(packet.notice.body, b"xxxx")
        {
            for uid in [stranger.uid(), packet.notice.uid] {
                let forged = Notice { uid, body: b"forged", ..packet.notice };
                stranger.send(bob, &forged.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()).unwrap();
            }
        }
        true
    });
    let text = format!("long {} the end", "x".repeat(3000));
    scene.alice.send(&["-c", CLASS_NAME, "-m", &text])?;
    scene.bobs.expect(&text, Origin::Authentic)?;
    scene.untouched_is_authentic("after")?;
    Ok(())
}

/// The last packet that somebody in the middle wrote down.
type Kept = Arc<Mutex<Option<Vec<u8>>>>;

/// Keeps the last packet with these octets that passes in this direction.
fn keep(way: Way, octets: &'static [u8]) -> (Kept, impl FnMut(Way, &mut Vec<u8>) -> bool + Send) {
    let kept = Kept::default();
    let keeper = Arc::clone(&kept);
    let rule = move |passing, packet: &mut Vec<u8>| {
        if passing == way && contains(packet, octets) {
            *keeper.lock().unwrap() = Some(packet.clone());
        }
        true
    };
    (kept, rule)
}

#[test]
fn a_replayed_notice_is_shown_once() -> Result<()> {
    let scene = Scene::set()?;
    let (kept, rule) = keep(Way::ToClient, b"only once");
    scene.stack.middle()?.change(rule);
    scene.alice.send(&["-c", CLASS_NAME, "-m", "only once"])?;
    scene.bobs.expect("only once", Origin::Authentic)?;

    let packet = kept.lock().unwrap().clone().context("nothing passed")?;
    let here = scene.stack.network().here();
    let bob = SocketAddr::from((here, scene.bobs.port()));
    let mut stranger = Stranger::at(here)?;
    for _ in 0..3 {
        stranger.send(bob, &packet)?;
        // He acknowledges what he does not show.
        stranger.receive(|packet| packet.notice.kind == Kind::ClientAck)?;
    }
    // Under another uid it gets past the filter, and so shows that the way to him is open; but its checksum is wrong.
    let again = Packet::parse(&packet)?;
    let notice = Notice { uid: Notice::EMPTY.uid, ..again.notice };
    stranger.send_notice(bob, notice, &again.claim)?;
    stranger.receive(|packet| packet.notice.kind == Kind::ClientAck)?;

    scene.untouched_is_authentic("after")?;
    let origins: Vec<Origin> = scene.bobs.all_before("after")?.iter().map(|received| received.origin).collect();
    assert_eq!(origins, [Origin::Authentic, Origin::Failed]);
    Ok(())
}

#[test]
fn a_proof_is_good_for_one_direction_and_one_person_only() -> Result<()> {
    let scene = Scene::set()?;
    let alices = scene.alice.listen(&[(CLASS_NAME, "*", "*")])?;
    let here = scene.stack.network().here();
    let stranger = Stranger::at(here)?;
    let send = |listener: &Listener, packet: &[u8]| stranger.send(SocketAddr::from((here, listener.port())), packet);

    // What alice proved to the server is sent back to her, whose key it is, and on to bob; the server's copies are
    // lost.
    let (upwards, mut rule) = keep(Way::ToServer, b"genuine");
    scene.stack.middle()?.change(move |way, packet: &mut Vec<u8>| {
        rule(way, packet) && !(way == Way::ToClient && contains(packet, b"genuine"))
    });
    scene.alice.send(&["-c", CLASS_NAME, "-m", "genuine"])?;
    let packet = upwards.lock().unwrap().clone().context("nothing passed")?;
    for listener in [&alices, &scene.bobs] {
        send(listener, &packet)?;
        listener.expect("genuine", Origin::Failed)?;
    }

    // What the server proved to bob is sent to alice, and to the server, which hands it to somebody new.
    let (downwards, rule) = keep(Way::ToClient, b"for bob");
    scene.stack.middle()?.change(rule);
    scene.alice.send(&["-c", FLIPPED_CLASS, "-m", "for bob"])?;
    scene.bobs.expect("for bob", Origin::Authentic)?;
    let packet = downwards.lock().unwrap().clone().context("nothing passed")?;
    send(&alices, &packet)?;
    alices.expect("for bob", Origin::Failed)?;
    let carols = scene.stack.login("carol")?.listen(&[(FLIPPED_CLASS, "*", "*")])?;
    stranger.send(scene.stack.server(), &packet)?;
    carols.expect("for bob", Origin::Unauthenticated)?;

    scene.untouched_is_authentic("after")?;
    alices.expect("after", Origin::Authentic)?;
    let origins = |listener: &Listener| -> Result<Vec<Origin>> {
        Ok(listener.all_before("after")?.iter().map(|received| received.origin).collect())
    };
    assert_eq!(origins(&alices)?, [Origin::Failed, Origin::Failed]);
    assert_eq!(origins(&scene.bobs)?, [Origin::Failed, Origin::Authentic]);
    Ok(())
}

#[test]
fn a_stripped_proof_leaves_an_unauthenticated_notice() -> Result<()> {
    let scene = Scene::set()?;
    scene.stack.middle()?.change(|way, datagram: &mut Vec<u8>| {
        let stripped = way == Way::ToClient && contains(datagram, b"bare");
        if stripped && let Ok(packet) = Packet::parse(datagram) {
            let bare = packet.notice.write(&Claim::NONE, Limits::WHOLE_PACKET);
            if let Ok(bare) = bare {
                *datagram = bare.to_vec();
            }
        }
        true
    });
    scene.alice.send(&["-c", CLASS_NAME, "-m", "bare"])?;
    scene.bobs.expect("bare", Origin::Unauthenticated)?;
    Ok(())
}
