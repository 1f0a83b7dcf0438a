//! The scope of a policy file: a domain whose realm is mistyped enforces nothing, and nobody would notice.

mod neighbours;

pub use neighbours::neighbour_warnings;

use crate::{
    policy_file::{Domain, PolicyFile},
    server_domain::ServerDomain,
};
use std::path::{Path, PathBuf};
use zephyr_config::{
    problem::Problem,
    reader::{is_slip, nearest},
};
use zephyr_core::policy::{ClassPolicy, ForeignRule, NamePattern, Section};

/// The realms that the configurations of all backends on this machine name.
pub fn known_realms(file: &PolicyFile) -> Vec<String> {
    let mut realms: Vec<String> =
        file.backends().filter_map(|backend| backend.configured_realms().ok()).flatten().collect();
    realms.sort();
    realms.dedup();
    realms
}

/// What the file says and is not in force, although its author may think so: domains that fit no realm that this machine
/// knows, neither the server's nor one of `realms`; that nothing fits the server's realm; and that the server was told to
/// use another backend than its domain's.
///
/// A domain that names its servers is for clients who find it by them, and needs no realm that is known otherwise.
pub fn warnings(file: &PolicyFile, server: &ServerDomain, realms: &[String]) -> Vec<Problem> {
    let known: Vec<String> =
        std::iter::once(&server.realm).chain(realms).map(|realm| realm.to_ascii_uppercase()).collect();
    let mut warnings: Vec<Problem> = file.domains().filter_map(|domain| out_of_scope(domain, server, &known)).collect();
    match file.section(&server.realm) {
        None => {
            if let Some(place) = file.domains().find_map(|domain| domain.place.as_ref()) {
                let text =
                    format!("no domain here fits {}, the server's realm, so the defaults are in force", server.realm);
                warnings.push(Problem::whole_file(&place.file, text));
            }
        }
        Some(domain) if domain.backend != server.domain.backend => warnings.extend(at(
            domain,
            format!(
                "domain {:?} is not in force: its backend is {}, and the server is told to use {}",
                domain.name, domain.backend, server.domain.backend
            ),
        )),
        Some(domain) => {
            let foreign = domain.policy.foreign.iter().enumerate();
            warnings.extend(foreign.filter_map(|(number, rule)| mistyped(domain, number, rule, &known)));
        }
    }
    warnings
}

/// A realm that an access control list names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRealm {
    /// The list.
    pub file: PathBuf,
    /// The lines, counted from one.
    pub lines: Vec<usize>,
    /// The realm.
    pub realm: String,
}

/// Warns of realms in lists that are nearly the server's, or another one that this machine knows: a line of such a realm
/// admits and refuses nobody. What is unlike all of them may well be a realm that only the KDC knows.
pub fn list_warnings(
    file: &PolicyFile,
    server: &ServerDomain,
    realms: &[String],
    named: &[NamedRealm],
) -> Vec<Problem> {
    let known: Vec<&str> = std::iter::once(&server.realm).chain(realms).map(String::as_str).collect();
    let foreign = file.section(&server.realm).map_or(&[][..], |domain| &domain.policy.foreign);
    let is_known =
        |realm: &str| known.contains(&realm) || foreign.iter().any(|rule| rule.realms.matches(realm.as_bytes()));
    let mut warnings = Vec::new();
    for NamedRealm { file, lines, realm } in named.iter().filter(|named| !is_known(&named.realm)) {
        let doubt = match known.iter().find(|known| known.eq_ignore_ascii_case(realm)) {
            Some(near) => format!("realms that differ in case are different; did you mean {near}?"),
            None => match known.iter().find_map(|known| meant(known, &realm.to_ascii_uppercase())) {
                Some(near) => format!("it is no realm that this machine knows; did you mean {near}?"),
                None => continue,
            },
        };
        let realm = realm.escape_debug();
        warnings
            .extend(lines.iter().map(|&line| in_line(file, line, format!("a principal of realm {realm}: {doubt}"))));
    }
    warnings
}

/// Warns of demands for classes that are nearly registered ones, folded as given here: the class that is meant is without them.
pub fn class_warnings(server: &ServerDomain, registered: &[&[u8]]) -> Vec<Problem> {
    let ServerDomain { domain, .. } = server;
    let mistyped = |(number, class): (usize, &ClassPolicy)| {
        if registered.iter().any(|known| class.classes.matches(known)) {
            return None;
        }
        let name = String::from_utf8_lossy(class.classes.text());
        let near = registered.iter().map(|known| String::from_utf8_lossy(known)).find(|known| is_near(known, &name))?;
        let place = domain.place_within(Section::Class(number))?;
        let text = format!("class {name:?} is not in the registry, where {near:?} is: did you mean that?");
        Some(in_line(&place.file, place.line, text))
    };
    domain.policy.classes.iter().enumerate().filter_map(mistyped).collect()
}

/// As [`is_slip`], also of short names, unless they are told apart by a number.
fn is_near(known: &str, name: &str) -> bool {
    const SHORT: usize = 4;
    let letters = |text: &str| text.chars().filter(|character| !character.is_ascii_digit()).collect::<String>();
    let padded = |text: &str| format!("{text}.......");
    name.chars().count() >= SHORT && letters(known) != letters(name) && is_slip(&padded(known), &padded(name))
}

/// The realm that a name stands for which is nearly `known`, or ends nearly so: `CS.EXAMPLE.ORG` for `CS.EXAMLPE.ORG`.
fn meant(known: &str, name: &str) -> Option<String> {
    let known = known.to_ascii_uppercase();
    if is_slip(&known, name) {
        return Some(known);
    }
    let labels = known.matches('.').count() + 1;
    let (at, _) = name.rmatch_indices('.').nth(labels - 1)?;
    let (head, tail) = name.split_at_checked(at + 1)?;
    is_slip(&known, tail).then(|| format!("{head}{known}"))
}

/// Another spelling of the server's realm, by which this machine's configuration knows it.
pub fn other_spelling<'r>(server: &ServerDomain, realms: &'r [String]) -> Option<&'r str> {
    let mut same = realms.iter().filter(|realm| realm.eq_ignore_ascii_case(&server.realm));
    same.clone().all(|realm| *realm != server.realm).then(|| same.next().map(String::as_str)).flatten()
}

fn out_of_scope(domain: &Domain, server: &ServerDomain, known: &[String]) -> Option<Problem> {
    let pattern = NamePattern::new(domain.name.as_bytes());
    if known.iter().any(|realm| pattern.matches(realm.as_bytes())) {
        return None;
    }
    let own = server.realm.to_ascii_uppercase();
    if !domain.servers.is_empty() && !is_slip(&own, &domain.name) {
        return None;
    }
    let realms = known.iter().map(String::as_str);
    let meant =
        match realms.clone().find(|realm| is_slip(realm, &domain.name)).or_else(|| nearest(realms, &domain.name)) {
            Some(near) if near == own => format!("did you mean {near}, the server's realm?"),
            Some(near) => format!("did you mean {near}? The server's realm is {own}"),
            None => format!("the server's realm is {own}"),
        };
    at(domain, format!("domain {:?} fits no realm that this machine knows and is not in force; {meant}", domain.name))
}

/// A rule about a foreign realm whose name is nearly that of one which is known. One that is unlike all of them may well be
/// of a realm that only the KDC knows.
fn mistyped(domain: &Domain, number: usize, rule: &ForeignRule, known: &[String]) -> Option<Problem> {
    let name = String::from_utf8_lossy(rule.realms.text()).to_ascii_uppercase();
    if known.iter().any(|realm| rule.realms.matches(realm.as_bytes()) || *realm == name) {
        return None;
    }
    let near = known.iter().find_map(|realm| meant(realm, &name))?;
    let place = domain.place_within(Section::Foreign(number))?;
    let text = format!("foreign {name:?} is no realm that this machine knows; did you mean {near}?");
    Some(in_line(&place.file, place.line, text))
}

fn at(domain: &Domain, text: String) -> Option<Problem> {
    domain.place.as_ref().map(|place| in_line(&place.file, place.line, text))
}

fn in_line(file: &Path, line: usize, text: String) -> Problem {
    Problem { line, ..Problem::whole_file(file, text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Backend;

    const REALMS: [&str; 2] = ["EXAMPLE.ORG", "CS.EXAMPLE.ORG"];

    fn warned(content: &str, forced: Option<Backend>) -> Vec<String> {
        let file = PolicyFile::read(Path::new("p"), content).unwrap();
        let server = ServerDomain::find(&file, forced, Some("EXAMPLE.ORG"), None).unwrap();
        let warnings = warnings(&file, &server, &REALMS.map(str::to_owned));
        warnings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_mistyped_realm_is_named() {
        let none = "p: no domain here fits EXAMPLE.ORG, the server's realm, so the defaults are in force";
        for (content, expected) in [
            ("", &[][..]),
            ("[domain.\"*\"]\n", &[]),
            ("[domain.\"example.org\"]\n[domain.\"CS.EXAMPLE.ORG\"]\n", &[]),
            (
                "\n[domain.\"EXMAPLE.ORG\"]\nsend = \"required\"\n",
                &[
                    "p:2: domain \"EXMAPLE.ORG\" fits no realm that this machine knows and is not in force; did you mean \
                     EXAMPLE.ORG, the server's realm?",
                    none,
                ],
            ),
            (
                "[domain.\"EXAMPLE.ORG\"]\n[domain.\"CS.EXAMPLE.OGR\"]\n",
                &[
                    "p:2: domain \"CS.EXAMPLE.OGR\" fits no realm that this machine knows and is not in force; did you mean \
                   CS.EXAMPLE.ORG? The server's realm is EXAMPLE.ORG",
                ],
            ),
            (
                "[domain.\"EXAMPLE.ORG\"]\n[domain.\"*.FAR.NET\"]\n",
                &[
                    "p:2: domain \"*.FAR.NET\" fits no realm that this machine knows and is not in force; the server's realm \
                   is EXAMPLE.ORG",
                ],
            ),
            ("[domain.\"CS.EXAMPLE.ORG\"]\n", &[none]),
            // Clients of this machine find it by its servers.
            ("[domain.\"*\"]\n[domain.\"FAR.NET\"]\nservers = [\"z.far.net\"]\n", &[]),
            (
                "[domain.\"*\"]\n[domain.\"EXAMPEL.ORG\"]\nservers = [\"z.example.org\"]\n",
                &[
                    "p:2: domain \"EXAMPEL.ORG\" fits no realm that this machine knows and is not in force; did you mean \
                   EXAMPLE.ORG, the server's realm?",
                ],
            ),
            (
                "[domain.\"*\".foreign.\"CS.EXAMPEL.ORG\"]\nspeaks-for = []\n\
                 [domain.\"*\".foreign.\"FAR.NET\"]\nspeaks-for = []\n",
                &["p:2: foreign \"CS.EXAMPEL.ORG\" is no realm that this machine knows; did you mean CS.EXAMPLE.ORG?"],
            ),
        ] {
            assert_eq!(warned(content, None), expected, "{content}");
        }
    }

    #[test]
    fn a_mistyped_realm_in_a_list_is_named() {
        let content = "[domain.\"*\".foreign.\"*.FAR.NET\"]\nspeaks-for = []\n";
        let file = PolicyFile::read(Path::new("p"), content).unwrap();
        let server = ServerDomain::find(&file, None, Some("EXAMPLE.ORG"), None).unwrap();
        for (realm, doubt) in [
            ("EXAMPLE.ORG", None),
            ("CS.EXAMPLE.ORG", None),
            ("X.FAR.NET", None),
            ("ELSEWHERE.NET", None),
            ("MATH.EXAMPLE.ORG", None),
            ("EXMAPLE.ORG", Some("it is no realm that this machine knows; did you mean EXAMPLE.ORG?")),
            ("EXAMPLE.ORG;", Some("it is no realm that this machine knows; did you mean EXAMPLE.ORG?")),
            ("MATH.EXMAPLE.ORG", Some("it is no realm that this machine knows; did you mean MATH.EXAMPLE.ORG?")),
            ("example.org", Some("realms that differ in case are different; did you mean EXAMPLE.ORG?")),
        ] {
            let named = NamedRealm { file: "l".into(), lines: vec![2, 7], realm: realm.to_owned() };
            let warnings = list_warnings(&file, &server, &REALMS.map(str::to_owned), &[named]);
            let expected =
                doubt.map(|doubt| [2, 7].map(|line| format!("l:{line}: a principal of realm {realm}: {doubt}")));
            assert_eq!(
                warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
                expected.into_iter().flatten().collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn a_mistyped_class_is_named() {
        for (class, near) in [
            ("secret", None),
            ("SECRET", None),
            ("sec*", None),
            ("other", None),
            ("lab2", None),
            ("lba1", Some("lab1")),
            ("secert", Some("secret")),
            ("secrets", Some("secret")),
        ] {
            let content = format!("[domain.\"*\"]\n[domain.\"*\".class.\"{class}\"]\nsend = \"closed\"\n");
            let file = PolicyFile::read(Path::new("p"), &content).unwrap();
            let server = ServerDomain::find(&file, None, Some("EXAMPLE.ORG"), None).unwrap();
            let warnings = class_warnings(&server, &[b"secret", b"lab1"]);
            let expected = near.map(|near| {
                format!("p:3: class {class:?} is not in the registry, where {near:?} is: did you mean that?")
            });
            assert_eq!(warnings.first().map(ToString::to_string), expected, "{class}");
        }
    }

    #[test]
    fn a_policy_of_another_backend_is_not_in_force() {
        let content = "[domain.\"EXAMPLE.ORG\"]\nsend = \"required\"\n";
        assert_eq!(warned(content, Some(Backend::KERBEROS)), [""; 0]);
        assert_eq!(
            warned(content, Some(Backend::NONE)),
            [
                "p:1: domain \"EXAMPLE.ORG\" is not in force: its backend is kerberos, and the server is told to use none"
            ]
        );
    }

    #[test]
    fn a_realm_has_one_spelling() {
        let server = |realm| ServerDomain::find(&PolicyFile::default(), None, Some(realm), None).unwrap();
        let realms = REALMS.map(str::to_owned);
        assert_eq!(other_spelling(&server("EXAMPLE.ORG"), &realms), None);
        assert_eq!(other_spelling(&server("example.org"), &realms), Some("EXAMPLE.ORG"));
        assert_eq!(other_spelling(&server("FAR.NET"), &realms), None);
    }
}
