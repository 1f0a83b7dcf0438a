//! Realms with the defaults of current KDCs, and users without a valid ticket.

use anyhow::Result;
use std::time::{Duration, Instant};
use zephyr_e2e::{
    engines::{in_a_container, natively},
    listener::Origin,
    middle::{self, Way, contains, places},
    person::TIMEOUT,
    stack::Stack,
};
use zephyr_testkit::{
    deadline::wait_until,
    realm::{Engine, Keys, RealmOptions},
};

/// Personal, by class, and in fragments: authentic, and acknowledged by the server.
fn everything_works(engine: Engine, options: RealmOptions) -> Result<()> {
    let stack = Stack::start(engine, options)?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let listener = bob.listen(&[("MESSAGE", "*", "bob"), ("news", "*", "*")])?;
    let sent = alice.send(&["bob", "-m", "personally"])?;
    assert_eq!(sent.stdout, "Message queued for bob... sent\n");
    listener.expect("personally", Origin::Authentic)?;
    let long = "0123456789".repeat(500);
    let sent = alice.send(&["-c", "news", "-i", "today", "-m", &long])?;
    assert_eq!(sent.stdout, "Message queued for class \"news\", instance \"today\"... sent\n");
    listener.expect(&long, Origin::Authentic)?;
    Ok(())
}

fn pac_off(engine: Engine) -> Result<()> {
    everything_works(engine, RealmOptions { pac: false, ..RealmOptions::default() })
}

fn sha2_only(engine: Engine) -> Result<()> {
    everything_works(engine, RealmOptions { keys: Keys::Sha2Only, ..RealmOptions::default() })
}

fn sha2_without_pac(engine: Engine) -> Result<()> {
    everything_works(engine, RealmOptions { keys: Keys::Sha2Only, pac: false, ..RealmOptions::default() })
}

fn pac_on(engine: Engine) -> Result<()> {
    everything_works(engine, RealmOptions::default())
}

#[test]
fn tickets_without_a_pac_natively() -> Result<()> {
    natively(pac_off)
}

#[test]
fn tickets_without_a_pac_in_a_container() -> Result<()> {
    in_a_container(pac_off)
}

#[test]
fn sha2_keys_natively() -> Result<()> {
    natively(sha2_only)
}

#[test]
fn sha2_keys_in_a_container() -> Result<()> {
    in_a_container(sha2_only)
}

#[test]
fn sha2_keys_without_a_pac_natively() -> Result<()> {
    natively(sha2_without_pac)
}

#[test]
fn tickets_with_a_pac_natively() -> Result<()> {
    natively(pac_on)
}

#[test]
fn tickets_with_a_pac_in_a_container() -> Result<()> {
    in_a_container(pac_on)
}

#[test]
fn every_session_key_that_is_permitted() -> Result<()> {
    let enctypes = ["aes128-cts-hmac-sha1-96", "camellia128-cts-cmac", "camellia256-cts-cmac"];
    for enctype in enctypes {
        let options = RealmOptions {
            keys: Keys::These(vec!["aes256-cts-hmac-sha1-96".to_owned(), enctype.to_owned()]),
            session_enctypes: vec![enctype.to_owned()],
            ..RealmOptions::default()
        };
        let stack = Stack::start(Engine::Native, options)?;
        let wanted =
            format!("[libdefaults]\n default_tgs_enctypes = {enctype} aes\n permitted_enctypes = {enctype} aes\n");
        stack.realm()?.add_settings("wanted", &wanted)?;
        let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
        let listener = bob.listen(&[("MESSAGE", "*", "bob")])?;
        alice.send(&["bob", "-m", enctype])?;
        listener.expect(enctype, Origin::Authentic)?;
        let tickets = stack.realm()?.user("alice")?.tickets()?;
        assert!(tickets.contains(enctype), "{tickets}");
    }
    Ok(())
}

/// The header of a notice whose ticket has a PAC is longer than C programs can take, and so are its acknowledgements.
#[test]
fn headers_above_the_old_limit_really_go_through() -> Result<()> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static MAX_HEADER: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let stack = Stack::with_middle(RealmOptions::default(), |way, packet: &mut Vec<u8>| {
        let max = match way {
            Way::ToServer => &MAX_HEADER[0],
            Way::ToHost => &MAX_HEADER[1],
            Way::ToClient | Way::FromClient => return true,
        };
        if let Some((_, body)) = places(packet) {
            max.fetch_max(body.start, Ordering::Relaxed);
        }
        true
    })?;
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let listener = bob.listen(&[("MESSAGE", "*", "bob"), ("a class with quite a long name", "*", "*")])?;
    let sent = alice.send(&["bob", "-m", "large"])?;
    assert_eq!(sent.stdout, "Message queued for bob... sent\n");
    listener.expect("large", Origin::Authentic)?;
    alice.send(&["-c", "a class with quite a long name", "-i", "and an instance", "-m", "larger"])?;
    listener.expect("larger", Origin::Authentic)?;
    for max in &MAX_HEADER {
        let max = max.load(Ordering::Relaxed);
        assert!((833..=1024).contains(&max), "a header of {max} octets");
    }
    Ok(())
}

#[test]
fn nothing_is_sent_without_a_ticket() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let (alice, bob) = (stack.person("alice")?, stack.login("bob")?);
    let listener = bob.listen(&[("MESSAGE", "*", "bob")])?;
    let failed = alice.zwrite(&["bob", "-m", "nothing"])?;
    assert_eq!(failed.status.code(), Some(1), "{failed}");
    let complaint = "zwrite: No credentials cache found while sending notice to bob\n";
    assert!(failed.stderr.replace(&program_path()?, "zwrite").starts_with(complaint), "{failed}");
    assert!(failed.stderr.contains("kinit"), "the error must name the cure: {failed}");

    // Without proof it works, under the login name.
    alice.send(&["-d", "bob", "-m", "end"])?;
    assert_eq!(listener.all_before("end")?, []);
    listener.expect("end", Origin::Unauthenticated)?;
    Ok(())
}

fn program_path() -> Result<String> {
    Ok(zephyr_testkit::bins::path("zwrite")?.display().to_string())
}

fn an_expired_ticket_is_told(engine: Engine) -> Result<()> {
    let life = Duration::from_secs(12);
    let stack = Stack::start(engine, RealmOptions { max_life: life, ..RealmOptions::default() })?;
    let listener = stack.login("bob")?.listen(&[("MESSAGE", "*", "bob")])?;
    let alice = stack.login("alice")?;
    alice.send(&["bob", "-m", "in time"])?;

    let user = stack.realm()?.user("alice")?;
    wait_until("alice's ticket expires", TIMEOUT, || Ok((!user.has_valid_ticket()?).then_some(())))?;
    // Times in tickets are whole seconds, and the last one still counts.
    let expired = Instant::now();
    let a_second = Duration::from_secs(1);
    wait_until("a second later", TIMEOUT, || Ok((expired.elapsed() > a_second).then_some(())))?;
    let failed = alice.zwrite(&["bob", "-m", "too late"])?;
    assert_eq!(failed.status.code(), Some(1), "{failed}");
    assert_eq!(failed.stdout, "", "{failed}");
    let complaint = failed.stderr.replace(&program_path()?, "zwrite");
    assert!(complaint.starts_with("zwrite: Ticket expired while sending notice to bob\n"), "{failed}");
    assert!(complaint.contains("kinit"), "the error must name the cure: {failed}");

    stack.login("alice")?.send(&["bob", "-m", "in time again"])?;
    let received: Vec<String> =
        listener.all_before("in time again")?.iter().map(|received| received.message()).collect();
    assert_eq!(received, ["in time"], "nothing else was sent");
    listener.expect("in time again", Origin::Authentic)?;
    Ok(())
}

#[test]
fn an_expired_ticket_is_told_natively() -> Result<()> {
    natively(an_expired_ticket_is_told)
}

#[test]
fn an_expired_ticket_is_told_in_a_container() -> Result<()> {
    in_a_container(an_expired_ticket_is_told)
}

/// Where there is no PAC the header stays within what C programs take.
#[test]
fn headers_stay_within_the_old_limit_without_a_pac() -> Result<()> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static MAX_HEADER: AtomicUsize = AtomicUsize::new(0);
    let rule = |_, packet: &mut Vec<u8>| {
        if contains(packet, b"small") {
            MAX_HEADER.fetch_max(places(packet).map_or(0, |(_, body)| body.start), Ordering::Relaxed);
        }
        true
    };
    let stack = Stack::with_middle(RealmOptions { pac: false, ..RealmOptions::default() }, middle::unchanged)?;
    stack.middle()?.change(rule);
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let listener = bob.listen(&[("MESSAGE", "*", "bob")])?;
    alice.send(&["bob", "-m", "small"])?;
    listener.expect("small", Origin::Authentic)?;
    let max = MAX_HEADER.load(Ordering::Relaxed);
    assert!((500..=832).contains(&max), "a header of {max} octets");
    Ok(())
}
