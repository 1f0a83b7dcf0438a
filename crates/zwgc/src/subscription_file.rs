//! The user's subscription file (zwgc, section 4.1): a line `class,instance,recipient` for each subscription.

use std::{
    io::stdin,
    path::{Path, PathBuf},
};
use zephyr_client::{OperationError, Subscription, account};
use zephyr_config::file::{self, FileError};
use zephyr_core::{
    sanitize,
    text_file::{self, Oddity},
};

/// The maximum number of lines that are reported.
const MAX_COMPLAINTS: usize = 20;

/// The values of the macros in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Macros {
    /// `%host%`: this host's name.
    pub host: Vec<u8>,
    /// `%canon%`: its fully qualified name.
    pub canon: Vec<u8>,
    /// `%me%`: the user.
    pub me: Vec<u8>,
}

/// A subscription file, as it was when read.
#[derive(Clone, Debug)]
pub struct SubscriptionFile {
    path: PathBuf,
    text: Vec<u8>,
}

/// A line that is no subscription, and why. It costs no other line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The number of the line, counted from one.
    pub line: usize,
    /// The reason.
    pub reason: String,
}

/// The entries of a subscription file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// To subscribe to.
    pub subscriptions: Vec<Subscription>,
    /// To unsubscribe from: lines that begin with `!`.
    pub unsubscriptions: Vec<Subscription>,
    /// Not to be shown: lines that begin with `-`.
    pub punts: Vec<Subscription>,
    /// The invalid lines.
    pub malformed: Vec<Malformed>,
}

impl SubscriptionFile {
    /// Reads the file of this name, once, as `-` is standard input; else that of the user's home directory, which need not exist.
    /// Gives what there is to report about it as well.
    ///
    /// As in C nothing is subscribed to by a named file that cannot be read. By the user's own that cannot be read the user gets the
    /// server's default subscriptions, so that messages come.
    pub fn read(given: Option<&Path>) -> (Option<Self>, Option<String>) {
        match (given, account::home()) {
            (Some(path), _) => Self::named(path),
            (None, Some(home)) => Self::of_home(&home),
            // Not that of the current directory, which may be somebody else's.
            (None, None) => (Some(Self::empty(PathBuf::new())), None),
        }
    }

    fn named(path: &Path) -> (Option<Self>, Option<String>) {
        let read = if path == Path::new("-") { file::octets_of(stdin()).map(Some) } else { file::octets(path) };
        let advice = match &read {
            Err(FileError::NoFile("a pipe")) => "\nzwgc: give it as standard input, with -subfile -.",
            _ => "",
        };
        match read
            .map_err(|error| error.to_string())
            .and_then(|text| text.ok_or("No such file or directory".to_owned()))
        {
            Ok(text) => (Some(Self { path: path.to_owned(), text }), None),
            Err(error) => (None, Some(unreadable(path, &error) + advice)),
        }
    }

    fn of_home(home: &Path) -> (Option<Self>, Option<String>) {
        let path = home.join(".zephyr.subs");
        match file::octets(&path) {
            Ok(text) => (Some(Self { path, text: text.unwrap_or_default() }), None),
            Err(error) => {
                let complaint = unreadable(&path, &error.to_string());
                (
                    Some(Self::empty(path)),
                    Some(complaint + "\nzwgc: subscribing to the server's default subscriptions alone."),
                )
            }
        }
    }

    const fn empty(path: PathBuf) -> Self {
        Self { path, text: Vec::new() }
    }

    /// The entries of the file.
    pub fn entries(&self, macros: &Macros) -> Entries {
        parse(&self.text, macros)
    }

    /// What there is to report about the file's invalid lines.
    pub fn complaints(&self, entries: &Entries) -> Vec<String> {
        let path = sanitize::name(self.path.as_os_str().as_encoded_bytes());
        let complaint =
            |malformed: &Malformed| format!("zwgc: line {} of {path} is skipped: {}", malformed.line, malformed.reason);
        let mut complaints: Vec<String> = entries.malformed.iter().take(MAX_COMPLAINTS).map(complaint).collect();
        let more = entries.malformed.len() - complaints.len();
        if more > 0 {
            complaints.push(format!("zwgc: and so are {more} more lines of it"));
        }
        complaints
    }
}

fn unreadable(path: &Path, reason: &str) -> String {
    let path = sanitize::name(path.as_os_str().as_encoded_bytes());
    format!("zwgc: error while opening {path} for reading: {reason}")
}

/// Parses the text of a file.
///
/// A `#` begins a comment; white space around a line, a class or an instance, and empty lines are ignored. A macro is replaced only
/// where it is a whole field.
pub fn parse(text: &[u8], macros: &Macros) -> Entries {
    let mut entries = Entries::default();
    for line in text_file::lines(text) {
        let list_and_result = match line.oddity() {
            Some((_, odd)) => (&mut entries.subscriptions, Err(odd.to_string())),
            None => {
                let content = line.text.split(|&octet| octet == b'#').next().unwrap_or_default().trim_ascii_end();
                match content.split_first() {
                    None => continue,
                    Some((b'!', rest)) => (&mut entries.unsubscriptions, subscription(rest, macros)),
                    Some((b'-', rest)) => (&mut entries.punts, subscription(rest, macros)),
                    Some(_) => (&mut entries.subscriptions, subscription(content, macros)),
                }
            }
        };
        match list_and_result {
            (list, Ok(subscription)) => list.push(subscription),
            (_, Err(reason)) => entries.malformed.push(Malformed { line: line.number, reason }),
        }
    }
    entries
}

/// The subscription that a line is, or why it is none.
fn subscription(triple: &[u8], macros: &Macros) -> Result<Subscription, String> {
    let incomplete = || "class,instance,recipient is expected".to_owned();
    let mut fields = triple.splitn(3, |&octet| octet == b',');
    let mut field = || fields.next().map(<[u8]>::trim_ascii).ok_or_else(incomplete);
    let (class, instance, rest) = (field()?, field()?, field()?);
    let recipient = rest.split(u8::is_ascii_whitespace).find(|part| !part.is_empty()).ok_or_else(incomplete)?;
    let odd = [class, instance, recipient].into_iter().find_map(text_file::oddity);
    // Octets of another character set are what others send, too.
    if let Some((_, odd)) = odd.filter(|(_, odd)| !matches!(odd, Oddity::NotUtf8(_))) {
        return Err(odd.to_string());
    }
    let expand = |field: &[u8]| match field {
        b"%host%" => macros.host.clone(),
        b"%canon%" => macros.canon.clone(),
        b"%me%" => macros.me.clone(),
        other => other.to_vec(),
    };
    let subscription = Subscription::new(expand(class), expand(instance), expand(recipient));
    match subscription.check() {
        Ok(()) => Ok(subscription),
        Err(OperationError::SubscriptionTooLong) => Err("it is too long for a packet".to_owned()),
        Err(error) => {
            let text = error.to_string();
            Err(text.strip_prefix("not sent: ").unwrap_or(&text).to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    fn parsed(text: &str) -> Entries {
        let macros = Macros { host: b"h".to_vec(), canon: b"h.example".to_vec(), me: b"alice@TEST".to_vec() };
        parse(text.as_bytes(), &macros)
    }

    #[test]
    fn lines() {
        let entries = parsed(
            "# my subscriptions\n\
             geeks,*,*   # all of them\n\
             \n   \n\
             \x20 message,my instance,%me% junk\n\
             syslog,%host%,*\r\n\
             filsrv,%canon%,x,y\n\
             !operations,message,*\n\
             -message,noise,*\n\
             %me%x,%%,*@R",
        );
        assert_eq!(
            entries.subscriptions,
            [
                Subscription::new("geeks", "*", "*"),
                Subscription::new("message", "my instance", "alice@TEST"),
                Subscription::new("syslog", "h", "*"),
                Subscription::new("filsrv", "h.example", "x,y"),
                Subscription::new("%me%x", "%%", "*@R"),
            ]
        );
        assert_eq!(entries.unsubscriptions, [Subscription::new("operations", "message", "*")]);
        assert_eq!(entries.punts, [Subscription::new("message", "noise", "*")]);
        assert!(entries.malformed.is_empty());
    }

    #[test]
    fn incomplete_lines_are_reported_and_do_not_affect_others() {
        let long = "x".repeat(9000);
        let entries =
            parsed(&format!("a,b,*\nc\nd,e\nf,g,\n!x,y\n,,z\n{long},i,*\nh\0,i,*\nl,m,*\n\u{feff}n,o,*\np,,*\n"));
        let triples = [("a", "b", "*"), ("l", "m", "*"), ("p", "", "*")];
        assert_eq!(entries.subscriptions, triples.map(Subscription::from));
        let reasons = entries.malformed.iter().map(|malformed| (malformed.line, malformed.reason.as_str()));
        let incomplete = "class,instance,recipient is expected";
        assert_eq!(
            reasons.collect::<Vec<_>>(),
            [
                (2, incomplete),
                (3, incomplete),
                (4, incomplete),
                (5, incomplete),
                (6, "a subscription needs a class"),
                (7, "it is too long for a packet"),
                (8, "a NUL octet"),
                (10, "a character that cannot be seen: \\u{feff}"),
            ]
        );
        assert!(entries.unsubscriptions.is_empty());
    }
    /// What is subscribed to by a file of this content, read as such.
    fn read(content: &[u8]) -> (Vec<Subscription>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("subs");
        fs::write(&path, content).unwrap();
        let (file, None) = SubscriptionFile::read(Some(&path)) else { panic!("it can be read") };
        let macros = Macros { host: b"h".to_vec(), canon: b"h.example".to_vec(), me: b"alice@TEST".to_vec() };
        let file = file.unwrap();
        let entries = file.entries(&macros);
        let complaints = file.complaints(&entries).into_iter();
        let shortened = complaints.map(|line| line.replace(&path.display().to_string(), "FILE"));
        (entries.subscriptions, shortened.collect())
    }

    #[test]
    fn odd_texts_mean_the_same_or_are_reported() {
        let expected = [Subscription::new("message", "my instance", "alice@TEST"), Subscription::new("news", "*", "*")];
        let text = "message,my instance,%me%\nnews,*,*\n";
        for (odd, content) in [
            ("nothing", text.as_bytes().to_vec()),
            ("a byte order mark", format!("\u{feff}{text}").into()),
            ("CR LF", text.replace('\n', "\r\n").into()),
            ("no last newline", text.trim_end().into()),
            ("trailing blanks", text.replace('\n', " \t\n").into()),
            ("leading tabs", format!("\t{}", text.trim_end().replace('\n', "\n\t")).into()),
            ("blanks around commas", text.replace(',', " ,\t").into()),
            ("blank lines", text.replace('\n', "\n\n \n").into()),
        ] {
            assert_eq!(read(&content), (expected.to_vec(), vec![]), "{odd}");
        }
        assert_eq!(read(b"caf\xe9,*,*\n").0, [Subscription::new(b"caf\xe9", "*", "*")], "as it is sent by others");
        let (subscriptions, complaints) = read(text.replace('\n', "\r").as_bytes());
        assert_eq!(subscriptions, []);
        let carriage_return = "a carriage return inside of a line: lines end with a newline";
        assert_eq!(complaints, [format!("zwgc: line 1 of FILE is skipped: {carriage_return}")]);
        let (_, complaints) = read("x\n".repeat(1000).as_bytes());
        assert_eq!(complaints.len(), MAX_COMPLAINTS + 1);
        assert_eq!(complaints[MAX_COMPLAINTS], "zwgc: and so are 980 more lines of it");
    }

    #[test]
    fn what_is_no_file_is_reported_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".zephyr.subs");
        let utf16 = |path: &Path| fs::write(path, b"\xff\xfea\0").unwrap();
        type Make = (&'static str, fn(&Path));
        let kinds: [Make; 6] = [
            ("this is a directory, not a file", |path| fs::create_dir(path).unwrap()),
            ("this is a pipe, not a file", |path| {
                assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
            }),
            ("this is a socket, not a file", |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
            ("this is a device, not a file", |path| symlink("/dev/zero", path).unwrap()),
            ("SELF is a symbolic link that leads nowhere", |path| symlink("nowhere", path).unwrap()),
            ("this is UTF-16, save it as UTF-8", utf16),
        ];
        for (reason, make) in kinds {
            make(&path);
            let reason = reason.replace("SELF", &path.display().to_string());
            let line = format!("zwgc: error while opening {} for reading: {reason}", path.display());
            let (file, complaint) = SubscriptionFile::of_home(folder.path());
            assert_eq!(file.unwrap().text, b"", "the default subscriptions are had all the same");
            let complaint = complaint.unwrap();
            assert_eq!(complaint.lines().next(), Some(line.as_str()));
            assert!(
                complaint.ends_with("\nzwgc: subscribing to the server's default subscriptions alone."),
                "{complaint}"
            );
            let (file, complaint) = SubscriptionFile::read(Some(&path));
            assert!(file.is_none() && complaint.unwrap().starts_with(&line), "{reason}");
            if path.is_dir() { fs::remove_dir(&path).unwrap() } else { fs::remove_file(&path).unwrap() }
        }
        let (file, complaint) = SubscriptionFile::of_home(folder.path());
        assert!(file.is_some_and(|file| file.text.is_empty()) && complaint.is_none(), "it need not be there");
        let (file, complaint) = SubscriptionFile::read(Some(&path));
        assert!(file.is_none() && complaint.unwrap().ends_with(" for reading: No such file or directory"));
    }
}
