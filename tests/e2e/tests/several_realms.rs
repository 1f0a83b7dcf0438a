//! One process that is somebody in several realms, none of which trusts or knows the others.

use anyhow::{Context, Result};
use std::{fs, time::Duration};
use zephyr_e2e::{
    listener::Origin,
    person::{Person, TIMEOUT},
    stack::Stack,
};
use zephyr_testkit::{
    bins, process,
    process::Daemon,
    realm::{Engine, Realm, RealmOptions},
    user::User,
};

const NORTH: &str = "NORTH.TEST";
const SOUTH: &str = "SOUTH.EDU";
const CLASS: &str = "bridge";

fn stack(realm: &str) -> Result<Stack> {
    Stack::start(Engine::Native, RealmOptions { realm: realm.to_owned(), ..RealmOptions::default() })
}

/// The user of a realm, with the cache or the collection of caches.
fn user(realm: &Realm, name: &str, cache: &str) -> Result<User> {
    Ok(realm.user(name)?.with_cache(cache))
}

/// The person whose programs find both realms, and use this collection.
fn traveller(north: &Stack, south: &Stack, collection: &str) -> Result<Person> {
    let (home, away) = (north.realm()?, south.realm()?);
    home.add_settings("south", &away.whereabouts())?;
    let environment = [("ZEPHYR_AUTH", "kerberos".to_owned()), ("KRB5CCNAME", collection.to_owned())];
    let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Ok(Person::of_realm(user(home, "alice", collection)?, environment))
}

/// How the servers of a realm are spoken to.
#[derive(Clone, Copy)]
enum By {
    HostManager,
    Itself,
}

impl By {
    /// The argument of the example that says so.
    fn argument(self, stack: &Stack) -> Result<String> {
        let realm = stack.realm()?.name();
        Ok(match self {
            Self::HostManager => format!("{realm}={}", stack.host_manager()),
            Self::Itself => format!("{realm}@{}", stack.server()),
        })
    }
}

fn start_bridge(person: &Person, from: String, to: String) -> Result<Daemon> {
    let mut command = person.command(bins::example("two_realms")?);
    command.args([CLASS.to_owned(), from, to]);
    Daemon::spawn(command, person.home().join("two_realms.log"))
}

#[test]
fn one_process_proves_itself_in_two_realms_at_once() -> Result<()> {
    proves_itself(By::HostManager, By::HostManager)
}

#[test]
fn one_process_speaks_to_the_servers_of_two_realms() -> Result<()> {
    proves_itself(By::Itself, By::Itself)
}

#[test]
fn one_process_has_a_host_manager_in_one_realm_and_none_in_the_other() -> Result<()> {
    proves_itself(By::HostManager, By::Itself)
}

fn proves_itself(here: By, there: By) -> Result<()> {
    let (north, south) = (stack(NORTH)?, stack(SOUTH)?);
    let folder = north.realm()?.folder().join("collection");
    fs::create_dir(&folder)?;
    let collection = format!("DIR:{}", folder.display());
    // Whoever she is in the south came last, and so is in the default cache.
    north.realm()?.kinit(&user(north.realm()?, "alice", &collection)?, None)?;
    let guest = user(south.realm()?, "bob", &collection)?;
    south.realm()?.kinit(&guest, None)?;
    let traveller = traveller(&north, &south, &collection)?;

    let bridge = start_bridge(&traveller, here.argument(&north)?, there.argument(&south)?)?;
    let began = bridge.wait_for(TIMEOUT, |line| line.starts_with("from "))?;
    assert_eq!(began, "from NORTH.TEST as alice@NORTH.TEST to SOUTH.EDU as bob@SOUTH.EDU");
    let reader = south.login("carol")?.listen(&[(CLASS, "*", "*")])?;
    let writer = north.login("carol")?;
    writer.send(&["-c", CLASS, "-i", "one", "-m", "hello"])?;
    let received = reader.expect("carol@NORTH.TEST says in NORTH.TEST: hello", Origin::Authentic)?;
    assert_eq!((received.sender.as_str(), received.instance.as_str()), ("bob@SOUTH.EDU", "one"));

    // Without tickets there, what comes here is received as before, and proven.
    let gone = process::run(guest.command("kdestroy"), Duration::from_secs(20))?.success();
    gone.context("the default cache cannot be destroyed")?;
    writer.send(&["-c", CLASS, "-i", "two", "-m", "is anybody there?"])?;
    bridge.wait_for(TIMEOUT, |line| line == "carol@NORTH.TEST says in NORTH.TEST: is anybody there?")?;
    let said = bridge.wait_for(TIMEOUT, |line| line.starts_with("in SOUTH.EDU: ") && !line.ends_with("Sent"))?;
    // Nor is it proven there as whoever she is here.
    assert!(!said.contains(NORTH), "{said}");

    south.realm()?.kinit(&guest, None)?;
    writer.send(&["-c", CLASS, "-i", "three", "-m", "and now?"])?;
    let received = reader.expect("carol@NORTH.TEST says in NORTH.TEST: and now?", Origin::Authentic)?;
    assert_eq!(received.sender, "bob@SOUTH.EDU");
    let unproven = reader.all().into_iter().filter(|received| received.origin != Origin::Authentic).count();
    assert_eq!(unproven, 0, "{:?}", reader.all());
    Ok(())
}
