//! The user's subscription file (zwgc, section 4.1): a line `class,instance,recipient` for each subscription.

use zephyr_client::Subscription;

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

/// The entries of a subscription file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// To subscribe to.
    pub subscriptions: Vec<Subscription>,
    /// To unsubscribe from: lines that begin with `!`.
    pub unsubscriptions: Vec<Subscription>,
    /// Not to be shown: lines that begin with `-`.
    pub punts: Vec<Subscription>,
    /// The numbers of invalid lines.
    pub malformed: Vec<usize>,
}

/// Parses the text of a file.
///
/// A `#` begins a comment, blanks before a line and empty lines are ignored. A macro is replaced only where it is a whole
/// field.
pub fn parse(text: &[u8], macros: &Macros) -> Entries {
    let mut entries = Entries::default();
    for (number, line) in (1..).zip(text.split(|&octet| octet == b'\n')) {
        let line = line.split(|&octet| octet == b'#').next().unwrap_or_default();
        let line = line.trim_ascii_end();
        let blanks = line.iter().take_while(|&&octet| octet == b' ').count();
        let line = line.get(blanks..).unwrap_or_default();
        let (list, triple) = match line.split_first() {
            None => continue,
            Some((b'!', rest)) => (&mut entries.unsubscriptions, rest),
            Some((b'-', rest)) => (&mut entries.punts, rest),
            Some(_) => (&mut entries.subscriptions, line),
        };
        match subscription(triple, macros) {
            Some(subscription) => list.push(subscription),
            None => entries.malformed.push(number),
        }
    }
    entries
}

fn subscription(triple: &[u8], macros: &Macros) -> Option<Subscription> {
    let mut fields = triple.splitn(3, |&octet| octet == b',');
    let (class, instance, rest) = (fields.next()?, fields.next()?, fields.next()?);
    let recipient = rest.split(u8::is_ascii_whitespace).find(|part| !part.is_empty())?;
    let expand = |field: &[u8]| match field {
        b"%host%" => macros.host.clone(),
        b"%canon%" => macros.canon.clone(),
        b"%me%" => macros.me.clone(),
        other => other.to_vec(),
    };
    Some(Subscription::new(expand(class), expand(instance), expand(recipient)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let entries = parsed("a,b,*\nc\nd,e\nf,g,\n!x,y\n,,z\n");
        assert_eq!(entries.subscriptions, [Subscription::new("a", "b", "*"), Subscription::new("", "", "z")]);
        assert_eq!(entries.malformed, [2, 3, 4, 5]);
        assert!(entries.unsubscriptions.is_empty());
    }
}
