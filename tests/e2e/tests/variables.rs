//! Files of variables, changed by C's zctl and by the library: they must be the same afterwards.

use anyhow::Result;
use std::fs;
use zephyr_client::variables::{VariableFile, Variables};
use zephyr_e2e::{
    domain::{self, Keeps},
    person::Make,
};

/// What is in the file before each change.
const FILES: [&str; 4] = [
    "",
    "# c\nFoo = 1\n foo = 2\nfoo bar=3\nfoo\nFOO=4  \nother = x",
    "foo\t=\tx = y\n\n  # c\nfoobar = 1\nbar foo = 2\n=foo\n#foo = 3\n",
    "other = 1\nlast = 2\n",
];

/// A change: the name, and the value that it is set to; `None` unsets it.
const CHANGES: [(&str, Option<&str>); 5] =
    [("foo", Some("new val")), ("foo", None), ("fresh", Some("")), ("OTHER", None), ("last", Some("a = b"))];

#[test]
fn zctl_and_the_library_change_files_the_same_way() -> Result<()> {
    let Some((lan, mut domain)) = domain::alone(&[Make::C], Keeps::Nothing)? else { return Ok(()) };
    let station = domain.add_station(&lan, Make::Ours, &[0])?;
    let person = domain.login(station, "alice")?.with(Make::C);
    let (theirs, ours) = (person.home().join(".zephyr.vars"), person.home().join("ours"));
    for before in FILES {
        for (name, value) in CHANGES {
            fs::write(&theirs, before)?;
            fs::write(&ours, before)?;
            let file = VariableFile::at(&ours);
            match value {
                Some(value) => {
                    person.run("zctl", &["set", name, value])?.success()?;
                    file.set(name, value.as_bytes())?;
                }
                None => {
                    person.run("zctl", &["unset", name])?.success()?;
                    file.unset(name)?;
                }
            }
            let changed = [&theirs, &ours].map(fs::read_to_string);
            let [theirs, ours] = changed;
            let (theirs, ours) = (theirs?, ours?);
            assert_eq!(ours, theirs, "{name} = {value:?} in {before:?}");
            // And read: what is shown is the value, or that there is none.
            let shown = person.run("zctl", &["show", name])?.success()?.stdout;
            let read = Variables::from_files(&[ours.as_bytes()]).text(name);
            let expected = read.map_or_else(|| format!("{name}: not defined\n"), |read| format!("{name}: {read}\n"));
            assert_eq!(shown, expected, "{ours:?}");
        }
    }
    Ok(())
}
