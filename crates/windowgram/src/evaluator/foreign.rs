//! What of a notice may become a file's name, a program or its argument.
//!
//! A description may say `appendport "log" "/home/me/zephyr/" + $class`, or `exec "notify-send" $sender $message`. Whoever sends a
//! notice must not choose by that what is overwritten or run.

use super::value::Value;

/// Programs whose first argument that is no option is a program, too.
const SHELLS: [&[u8]; 10] = [b"sh", b"bash", b"dash", b"ash", b"ksh", b"mksh", b"zsh", b"csh", b"tcsh", b"fish"];

/// The name of a file: what may be a notice's is a part of the last component only, and is neither `.` nor `..`, nor makes it hidden.
pub(super) fn file_name(name: &Value) -> Result<&[u8], String> {
    let (own, foreign) = name.parts();
    let begins_component = own.last().is_none_or(|&octet| octet == b'/');
    if !foreign.is_empty()
        && (own.is_empty() || foreign.contains(&b'/') || begins_component && foreign.starts_with(b"."))
    {
        return Err("A notice cannot choose a file".to_owned());
    }
    Ok(&name.octets)
}

/// A program and its arguments: the program is no notice's, nor is what a shell runs. An argument of which the beginning may be a
/// notice's is no option: before its hyphen comes a blank.
pub(super) fn command(words: &[Value]) -> Result<Vec<Vec<u8>>, String> {
    let program = words.first().filter(|program| program.is_own());
    let Some(program) = program else { return Err("A notice cannot choose a program".to_owned()) };
    let name = program.octets.rsplit(|&octet| octet == b'/').next().unwrap_or_default();
    if SHELLS.contains(&name) {
        let is_option = |word: &&Value| word.is_own() && matches!(word.octets.first(), Some(b'-' | b'+'));
        if words.iter().skip(1).find(|word| !is_option(word)).is_some_and(|script| !script.is_own()) {
            return Err("A notice cannot be run by a shell".to_owned());
        }
    }
    Ok(words.iter().map(argument).collect())
}

fn argument(word: &Value) -> Vec<u8> {
    match word.parts() {
        ([], foreign @ [b'-', ..]) => [b" ", foreign].concat(),
        _ => word.octets.clone(),
    }
}
