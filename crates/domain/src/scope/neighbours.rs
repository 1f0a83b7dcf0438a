//! Doubts about the list of other realms: it is in nobody's interest that a realm is called otherwise there than in the policy,
//! or that notices are exchanged with one that nobody is believed of.

use super::{NamedRealm, in_line, meant};
use crate::{
    Backend,
    policy_file::{Place, PolicyFile},
    server_domain::ServerDomain,
};
use zephyr_config::problem::Problem;
use zephyr_core::policy::Section;

/// Warns of lines of a list of other realms that are not what their author may think: that are about the server's own realm,
/// about one whose name is nearly that of a realm that this machine or the policy knows, or about one that the policy lets
/// speak for nobody; and of all of them where nobody can prove anything. `realms` are those that this machine knows.
pub fn neighbour_warnings(
    file: &PolicyFile,
    server: &ServerDomain,
    realms: &[String],
    listed: &[NamedRealm],
) -> Vec<Problem> {
    let policy = &server.domain.policy;
    let in_force = file.section(&server.realm).is_some_and(|domain| domain.backend == server.domain.backend);
    let spelled = policy.foreign.iter().map(|rule| String::from_utf8_lossy(rule.realms.text()).into_owned());
    let spelled: Vec<String> = spelled.filter(|name| in_force && !name.contains(['*', '?'])).collect();
    let known: Vec<&str> = std::iter::once(&server.realm).chain(realms).chain(&spelled).map(String::as_str).collect();
    let mut warnings = Vec::new();
    for NamedRealm { file, lines, realm } in listed {
        let shown = realm.escape_debug();
        let everywhere = |text: String| lines.iter().map(move |&line| in_line(file, line, text.clone()));
        if *realm == server.realm {
            warnings.extend(everywhere(format!("{shown} is the server's own realm, so this line says nothing here")));
            continue;
        }
        if realm.eq_ignore_ascii_case(&server.realm) {
            warnings.extend(everywhere(format!(
                "realm {shown} is the server's own but for case, so this line says nothing here; did you mean another?"
            )));
            continue;
        }
        if let Some(near) = near(&known, realm) {
            warnings.extend(everywhere(format!("realm {shown} is not known to this machine; did you mean {near}?")));
        }
        if let Some((number, rule)) = policy.foreign_rule(realm.as_bytes())
            && rule.speaks_for.is_empty()
        {
            let place = server.domain.place_within(Section::Foreign(number)).map(Place::to_string).unwrap_or_default();
            warnings.extend(lines.iter().take(1).map(|&line| {
                let text =
                    format!("the policy lets realm {shown} speak for nobody ({place}), so nobody of it is believed");
                in_line(file, line, text)
            }));
        }
    }
    if server.domain.backend == Backend::NONE
        && let Some(first) = listed.first()
    {
        let text =
            "without Kerberos no other realm can prove anything, so nothing is exchanged with those in this list";
        warnings.push(Problem::whole_file(&first.file, text));
    }
    warnings
}

/// The known realm that a name is nearly.
fn near(known: &[&str], realm: &str) -> Option<String> {
    if known.contains(&realm) {
        return None;
    }
    let in_other_case = known.iter().find(|known| known.eq_ignore_ascii_case(realm)).map(|known| (*known).to_owned());
    in_other_case.or_else(|| known.iter().find_map(|known| meant(known, &realm.to_ascii_uppercase())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const POLICY: &str = "[domain.\"*\"]\n\
        [domain.\"*\".foreign.\"FAR.NET\"]\nspeaks-for = []\n\
        [domain.\"*\".foreign.\"STAFF.EXAMPLE.NET\"]\nspeaks-for = [\"staff-*\"]\n";

    fn warned(policy: &str, forced: Option<Backend>, realm: &str) -> Vec<String> {
        let file = PolicyFile::read(Path::new("p"), policy).unwrap();
        let server = ServerDomain::find(&file, forced, Some("EXAMPLE.ORG"), None).unwrap();
        let listed = NamedRealm { file: "r".into(), lines: vec![2, 5], realm: realm.to_owned() };
        let known = ["EXAMPLE.ORG", "CS.EXAMPLE.ORG"].map(str::to_owned);
        neighbour_warnings(&file, &server, &known, &[listed]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_realm_of_the_list_is_not() {
        for (realm, expected) in [
            ("CS.EXAMPLE.ORG", &[][..]),
            ("ELSEWHERE.EDU", &[]),
            ("STAFF.EXAMPLE.NET", &[]),
            (
                "EXAMPLE.ORG",
                &[
                    "r:2: EXAMPLE.ORG is the server's own realm, so this line says nothing here",
                    "r:5: EXAMPLE.ORG is the server's own realm, so this line says nothing here",
                ],
            ),
            (
                "example.org",
                &[
                    "r:2: realm example.org is the server's own but for case, so this line says nothing here; did you mean \
                     another?",
                    "r:5: realm example.org is the server's own but for case, so this line says nothing here; did you mean \
                     another?",
                ],
            ),
            (
                "CS.EXMAPLE.ORG",
                &[
                    "r:2: realm CS.EXMAPLE.ORG is not known to this machine; did you mean CS.EXAMPLE.ORG?",
                    "r:5: realm CS.EXMAPLE.ORG is not known to this machine; did you mean CS.EXAMPLE.ORG?",
                ],
            ),
            (
                "STAFF.EXAMPLE.NTE",
                &[
                    "r:2: realm STAFF.EXAMPLE.NTE is not known to this machine; did you mean STAFF.EXAMPLE.NET?",
                    "r:5: realm STAFF.EXAMPLE.NTE is not known to this machine; did you mean STAFF.EXAMPLE.NET?",
                ],
            ),
            ("FAR.NET", &["r:2: the policy lets realm FAR.NET speak for nobody (p:3), so nobody of it is believed"]),
        ] {
            assert_eq!(warned(POLICY, None, realm), expected, "{realm}");
        }
    }

    #[test]
    fn a_rule_for_all_others_is_about_those_of_the_list_as_well() {
        let policy = "[domain.\"*\"]\n[domain.\"*\".foreign.\"*\"]\nspeaks-for = []\n";
        let nobody = "r:2: the policy lets realm CS.EXAMPLE.ORG speak for nobody (p:3), so nobody of it is believed";
        assert_eq!(warned(policy, None, "CS.EXAMPLE.ORG"), [nobody]);
    }

    #[test]
    fn realms_need_proof() {
        let text =
            "r: without Kerberos no other realm can prove anything, so nothing is exchanged with those in this list";
        assert_eq!(warned("", Some(Backend::NONE), "CS.EXAMPLE.ORG"), [text]);
    }
}
