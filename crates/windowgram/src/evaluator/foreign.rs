//! What of a notice may become a file's name, a program or its argument.
//!
//! A description may say `appendport "log" "/home/me/zephyr/" + $class`, or `exec "notify-send" $sender $message`. Whoever sends a
//! notice must not choose by that what is overwritten or run.

use super::value::Value;

/// Programs whose first argument that is no option is a program, too.
const SHELLS: [&[u8]; 10] = [b"sh", b"bash", b"dash", b"ash", b"ksh", b"mksh", b"zsh", b"csh", b"tcsh", b"fish"];

/// Programs that run the program that their first argument names which is no option, no setting and no number.
const WRAPPERS: [&[u8]; 13] = [
    b"env", b"nice", b"ionice", b"chrt", b"nohup", b"setsid", b"timeout", b"time", b"stdbuf", b"xargs", b"sudo",
    b"doas", b"busybox",
];

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
    let first_after = |index: usize, is_passed_over: fn(&Value) -> bool| {
        words.iter().skip(index + 1).find(|word| !is_passed_over(word)).is_some_and(|word| !word.is_own())
    };
    if is_one_of(program, &WRAPPERS) && first_after(0, is_setting) {
        return Err("A notice cannot choose a program".to_owned());
    }
    // A shell may be run by another program. After its script all is data.
    let shell = words.iter().position(|word| is_one_of(word, &SHELLS));
    if shell.is_some_and(|index| first_after(index, is_option)) {
        return Err("A notice cannot be run by a shell".to_owned());
    }
    Ok(words.iter().map(argument).collect())
}

/// Whether a word of the description's own names one of these programs.
fn is_one_of(word: &Value, programs: &[&[u8]]) -> bool {
    let name = word.octets.rsplit(|&octet| octet == b'/').next().unwrap_or_default();
    word.is_own() && programs.contains(&name)
}

fn is_option(word: &Value) -> bool {
    word.is_own() && matches!(word.octets.first(), Some(b'-' | b'+'))
}

fn is_setting(word: &Value) -> bool {
    let is_number = word.octets.first().is_some_and(u8::is_ascii_digit);
    is_option(word) || word.is_own() && (is_number || word.octets.contains(&b'='))
}

fn argument(word: &Value) -> Vec<u8> {
    match word.parts() {
        ([], foreign @ [b'-', ..]) => [b" ", foreign].concat(),
        _ => word.octets.clone(),
    }
}
