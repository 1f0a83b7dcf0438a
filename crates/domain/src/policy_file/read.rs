//! Parsing of policy files.

use super::{
    domain::{Domain, Place},
    first_of,
};
use crate::{Backend, BackendSetting, Enctype, Provider, backend::alternatives};
use std::{collections::BTreeMap, path::Path};
use zephyr_config::{
    problem::Problem,
    reader::{Named, Reader, Section, suggestion},
};
use zephyr_core::{
    fold::fold,
    limits::MAX_NOTICE,
    policy::{self, Action, ClassPolicy, Demand, FailedProof, ForeignRule, NamePattern, Policy, Rule, Setting},
    text_file::oddity,
};

/// Maximum rate limit in notices per second; more is a slip.
const MAX_PER_SECOND: usize = 1_000_000;

const DEMANDS: [(&str, Demand); 3] =
    [("required", Demand::Required), ("optional", Demand::Optional), ("closed", Demand::Closed)];
const FAILED_PROOF: [(&str, FailedProof); 3] =
    [("refuse", FailedProof::Refuse), ("show-as-failed", FailedProof::Show), ("drop", FailedProof::Drop)];

/// The backends that a file can name.
type Providers = &'static [&'static Provider];

/// The domains of a file, and everything that is wrong in it.
pub(super) fn read(providers: Providers, file: &Path, content: &str) -> (Vec<Domain>, Vec<Problem>) {
    let mut reader = Reader::new(file, content);
    let mut top = reader.parse();
    let mut domains: Vec<Domain> = Vec::new();
    for named in top.named("domain") {
        let (offset, name) = (named.offset, named.name.to_ascii_uppercase());
        if let Err(problem) = one_word(&named.name) {
            top.problem(offset, format!("domain {problem}"));
        } else if let Some(same) = domains.iter().find(|domain| domain.name == name) {
            let line = same.place.as_ref().map_or(0, |place| place.line);
            top.problem(offset, format!("domain {:?} is the same as that of line {line}", named.name));
        }
        let place = Place { file: file.to_owned(), line: top.place(offset).0 };
        let mut section = top.enter(named);
        let domain = domain(&mut section, providers, name, place);
        for dotted in section.unknown_sections() {
            let advice = "a realm with dots stands in quotes, as in [domain.\"EXAMPLE.ORG\"]";
            let text = format!("unknown section {}: {advice}", dotted.name.escape_debug());
            section.problem(dotted.offset, text);
        }
        section.finish();
        domains.push(domain);
    }
    top.finish();
    (domains, reader.finish().findings.problems)
}

/// The places of the rules.
struct Places<'f> {
    file: &'f Path,
    found: BTreeMap<Rule, Place>,
}

impl Places<'_> {
    fn note(&mut self, reading: &Section<'_, '_>, section: policy::Section, setting: Setting, offset: Option<usize>) {
        if let Some(offset) = offset {
            let place = Place { file: self.file.to_owned(), line: reading.place(offset).0 };
            self.found.insert(Rule { section, setting }, place);
        }
    }
}

fn domain(section: &mut Section<'_, '_>, providers: Providers, name: String, place: Place) -> Domain {
    let mut backend = first_of(providers);
    section.read_checked("backend", &mut backend, |value: String| {
        Backend::named(&value, providers).map_err(|unknown| unknown_value(&value, &unknown.known))
    });
    let mut domain = Domain { name, place: None, ..Domain::undescribed(backend) };
    let file = place.file.clone();
    let mut places = Places { file: &file, found: BTreeMap::new() };

    if let Some(offset) = section.read_list("servers", &mut domain.servers, |host| one_word(host).map(str::to_owned))
        && domain.name.contains(['*', '?'])
    {
        section.problem(offset, "servers: only a domain with one realm can say which they are");
    }
    if let Some(offset) = section.read_list("enctypes", &mut domain.enctypes, str::parse::<Enctype>) {
        if !backend.has(BackendSetting::Enctypes) {
            let having = having(BackendSetting::Enctypes, providers);
            section.problem(offset, format!("enctypes: only a domain with backend {having} has any"));
        } else if domain.enctypes.is_empty() {
            section.problem(offset, "enctypes: with none at all nobody can prove anything");
        }
    }
    believing(section, &mut domain.policy, backend, providers, &mut places);
    demands(section, &mut domain.policy, backend, &mut places);
    measure(section.section("bounds"), &mut domain.policy);
    classes(section, &mut domain.policy, backend, &mut places);
    foreign(section, &mut domain.policy, &mut places);
    domain.places = places.found;
    domain.place = Some(place);
    domain
}

/// The backends that have a setting, as a sentence has them.
fn having(setting: BackendSetting, providers: Providers) -> String {
    let having = Backend::all(providers).filter(|backend| backend.has(setting));
    alternatives(&having.map(|backend| format!("{:?}", backend.name())).collect::<Vec<_>>())
}

fn believing(
    section: &mut Section<'_, '_>,
    policy: &mut Policy,
    backend: Backend,
    providers: Providers,
    places: &mut Places<'_>,
) {
    let offset = section.read("believe-unproven-senders", &mut policy.believe_unproven);
    if policy.believe_unproven
        && !backend.has(BackendSetting::BelieveUnprovenSenders)
        && let Some(offset) = offset
    {
        let having = having(BackendSetting::BelieveUnprovenSenders, providers);
        let text = format!("believe-unproven-senders: only where backend is {having} may they be believed");
        section.problem(offset, text);
    }
    places.note(section, policy::Section::Domain, Setting::BelieveUnproven, offset);
}

fn demands(section: &mut Section<'_, '_>, policy: &mut Policy, backend: Backend, places: &mut Places<'_>) {
    let whole = policy::Section::Domain;
    for action in Action::ALL {
        let believing = policy.believe_unproven;
        let check = provable(one_of(&DEMANDS), backend, believing);
        let offset = section.read_checked(action.name(), policy.demand_mut(action), check);
        places.note(section, whole, Setting::Demand(action), offset);
    }
    let offset = section.read_checked("failed-proof", &mut policy.failed_proof, one_of(&FAILED_PROOF));
    places.note(section, whole, Setting::FailedProof, offset);
}

fn measure(mut section: Section<'_, '_>, policy: &mut Policy) {
    let measure = &mut policy.measure;
    section.read_checked("notice-octets", &mut measure.notice_octets, between(1, MAX_NOTICE));
    section.read_checked("notices-per-second", &mut measure.notices_per_second, between(0, MAX_PER_SECOND));
    section.read_checked("notice-burst", &mut measure.notice_burst, between(1, MAX_PER_SECOND));
    section.finish();
}

fn classes(section: &mut Section<'_, '_>, policy: &mut Policy, backend: Backend, places: &mut Places<'_>) {
    let mut lines: Vec<(Box<[u8]>, usize)> = Vec::new();
    for named in section.named("class") {
        let Some((classes, number)) = name_in(section, "class", &named, fold(named.name.as_bytes()), &mut lines) else {
            continue;
        };
        let mut rules = ClassPolicy { classes, send: None, receive: None, failed_proof: None };
        let here = policy::Section::Class(number);
        let mut class = section.enter(named);
        let demand = || provable(one_of(&DEMANDS), backend, policy.believe_unproven);
        let some = |check: Check<Demand>| move |value: String| check(value).map(Some);
        let offset = class.read_checked("send", &mut rules.send, some(demand()));
        places.note(&class, here, Setting::Demand(Action::Send), offset);
        let offset = class.read_checked("receive", &mut rules.receive, some(demand()));
        places.note(&class, here, Setting::Demand(Action::Receive), offset);
        let failed_proof = one_of(&FAILED_PROOF);
        let offset = class.read_checked("failed-proof", &mut rules.failed_proof, |value| failed_proof(value).map(Some));
        places.note(&class, here, Setting::FailedProof, offset);
        class.finish();
        policy.classes.push(rules);
    }
}

fn foreign(section: &mut Section<'_, '_>, policy: &mut Policy, places: &mut Places<'_>) {
    let mut lines: Vec<(Box<[u8]>, usize)> = Vec::new();
    for named in section.named("foreign") {
        let name: Box<[u8]> = named.name.as_bytes().into();
        let Some((realms, number)) = name_in(section, "foreign", &named, name, &mut lines) else {
            continue;
        };
        let (mut speaks_for, offset) = (vec![NamePattern::new(b"*")], named.offset);
        let mut realm = section.enter(named);
        let said = realm.read_list("speaks-for", &mut speaks_for, |sender| {
            one_word(sender).map(|sender| NamePattern::new(sender.as_bytes()))
        });
        let here = policy::Section::Foreign(number);
        places.note(&realm, here, Setting::SpeaksFor, Some(said.unwrap_or(offset)));
        realm.finish();
        policy.foreign.push(ForeignRule { realms, speaks_for });
    }
}

/// The pattern that a section's name is, and the section's number among those of its sort; `None` when it makes no
/// sense or stands twice.
fn name_in(
    section: &mut Section<'_, '_>,
    sort: &str,
    named: &Named<'_>,
    name: Box<[u8]>,
    lines: &mut Vec<(Box<[u8]>, usize)>,
) -> Option<(NamePattern, usize)> {
    if let Err(problem) = one_word(&named.name) {
        section.problem(named.offset, format!("{sort} {problem}"));
        return None;
    }
    if let Some((_, line)) = lines.iter().find(|(known, _)| *known == name) {
        section.problem(named.offset, format!("{sort} {:?} is the same as that of line {line}", named.name));
        return None;
    }
    let pattern = NamePattern::new(&name);
    lines.push((name, section.place(named.offset).0));
    Some((pattern, lines.len() - 1))
}

type Check<T> = Box<dyn Fn(String) -> Result<T, String>>;

/// A check that a text is one of these names.
fn one_of<T: Copy + 'static>(names: &'static [(&'static str, T)]) -> Check<T> {
    Box::new(move |value: String| {
        let found = names.iter().find(|(known, _)| *known == value);
        found.map(|&(_, value)| value).ok_or_else(|| {
            let known: Vec<&str> = names.iter().map(|&(known, _)| known).collect();
            unknown_value(&value, &known)
        })
    })
}

fn unknown_value(value: &str, known: &[&str]) -> String {
    format!("{value:?} means nothing here{}", suggestion(known, value))
}

/// A demand that can be met.
fn provable(check: Check<Demand>, backend: Backend, believing: bool) -> Check<Demand> {
    Box::new(move |value| match check(value)? {
        Demand::Required if !backend.policy().provable && !believing => {
            let name = backend.name();
            Err(format!("with backend {name:?} nobody can prove anything, so it can only be optional or closed"))
        }
        demand => Ok(demand),
    })
}

/// A check that a number is not out of bounds.
fn between(min: usize, max: usize) -> impl Fn(i64) -> Result<usize, String> {
    move |number| {
        let fitting = usize::try_from(number).ok().filter(|number| (min..=max).contains(number));
        fitting.ok_or_else(|| format!("expected a number from {min} to {max}, not {number}"))
    }
}

fn one_word(text: &str) -> Result<&str, String> {
    const MAX: usize = 255;
    let plain = text.chars().all(|char| !char.is_whitespace() && !char.is_control());
    match text.len() {
        // A name behind a character that cannot be seen is another name.
        1..=MAX if plain => match oddity(text.as_bytes()) {
            Some((_, odd)) => Err(format!("{text:?} has {odd}")),
            None => Ok(text),
        },
        0 => Err("without a name".to_owned()),
        1..=MAX => Err(format!("{text:?} is not one word")),
        _ => Err(format!("with a name of more than {MAX} octets")),
    }
}
