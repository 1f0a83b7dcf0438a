//! zstat's output (clients, section 7): the labels of each text of an answer, and what they are in JSON.

use serde_json::{Map, Value};
use zephyr_client::status::Status;
use zephyr_core::sanitize;

/// The program that has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// A host manager.
    HostManager,
    /// A server.
    Server,
}

/// What a text of an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    /// A number, which words may follow.
    Count,
    /// A number of seconds, which words may follow.
    Seconds,
}

/// The meaning of a text of an answer.
struct Field {
    label: &'static str,
    key: &'static str,
    form: Form,
}

const fn field(label: &'static str, key: &'static str, form: Form) -> Field {
    Field { label, key, form }
}

const OF_HOST_MANAGER: [Field; 10] = [
    field("Current server =", "server", Form::Text),
    field("Items in queue:", "queue", Form::Count),
    field("Client packets received:", "client_packets", Form::Count),
    field("Server packets received:", "server_packets", Form::Count),
    field("Server changes:", "server_changes", Form::Count),
    field("Version:", "version", Form::Text),
    field("Looking for a new server:", "looking", Form::Text),
    field("Time running:", "running_seconds", Form::Seconds),
    field("Size:", "size", Form::Count),
    field("Machine type:", "machine", Form::Text),
];

/// Those of a server before its list of servers and realms.
const OF_SERVER: [Field; 3] = [
    field("Current server version =", "version", Form::Text),
    field("Packets handled:", "packets", Form::Count),
    field("Uptime:", "uptime_seconds", Form::Seconds),
];

impl Program {
    const fn fields(self) -> &'static [Field] {
        match self {
            Self::HostManager => &OF_HOST_MANAGER,
            Self::Server => &OF_SERVER,
        }
    }

    /// The line before an answer, with the host's name.
    pub fn heading(self, host: &str) -> String {
        match self {
            Self::HostManager => format!("Hostmanager stats: {host}"),
            Self::Server => format!("Server stats: {host}"),
        }
    }

    /// The lines of an answer, without an empty one after it.
    pub fn lines(self, status: &Status) -> Vec<String> {
        let protocol = sanitize::name(&status.protocol);
        let mut lines = vec![match self {
            Self::HostManager => format!("HostManager protocol version = {protocol}"),
            Self::Server => format!("Server protocol version = {protocol}"),
        }];
        let fields = self.fields();
        lines.extend(fields.iter().zip(&status.texts).map(|(field, text)| {
            let value = match (field.form, number(text)) {
                (Form::Seconds, Some(seconds)) => duration(seconds),
                _ => sanitize::name(text),
            };
            format!("{} {value}", field.label)
        }));
        let more = status.texts.get(fields.len()..).unwrap_or_default();
        if self == Self::Server && !more.is_empty() {
            lines.push("Server states:".to_owned());
        }
        lines.extend(more.iter().map(|text| sanitize::name(text)));
        lines
    }

    /// The same as an object of JSON, in one line.
    pub fn json(self, host: &str, status: &Status) -> String {
        let text = |text: &[u8]| Value::from(sanitize::name(text));
        let (program, more_key) = match self {
            Self::HostManager => ("host-manager", "more"),
            Self::Server => ("server", "states"),
        };
        let mut object = Map::new();
        object.insert("host".to_owned(), host.into());
        object.insert("program".to_owned(), program.into());
        object.insert("protocol".to_owned(), text(&status.protocol));
        let fields = self.fields();
        for (field, value) in fields.iter().zip(&status.texts) {
            let shown = match (field.form, number(value)) {
                (Form::Count | Form::Seconds, Some(number)) => number.into(),
                _ => text(value),
            };
            object.insert(field.key.to_owned(), shown);
        }
        let more = status.texts.get(fields.len()..).unwrap_or_default();
        if self == Self::Server || !more.is_empty() {
            object.insert(more_key.to_owned(), more.iter().map(|value| text(value)).collect());
        }
        Value::from(object).to_string()
    }
}

/// The number at the beginning of a text.
fn number(text: &[u8]) -> Option<u64> {
    let end = text.iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    if !rest.is_empty() && !rest.starts_with(b" ") {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

/// A length of time as C prints it.
fn duration(seconds: u64) -> String {
    let (days, seconds) = (seconds / 86_400, seconds % 86_400);
    format!("{days} days, {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(texts: &[&str]) -> Status {
        Status { protocol: b"ZEPH0.2".to_vec(), texts: texts.iter().map(|text| text.as_bytes().to_vec()).collect() }
    }

    #[test]
    fn a_host_manager() {
        let texts = ["zsrv", "1", "2", "3", "4", "3.1.2 (5)", "no", "90061", "102074671", "x86_64-pc-linux-gnu"];
        let lines = [
            "HostManager protocol version = ZEPH0.2",
            "Current server = zsrv",
            "Items in queue: 1",
            "Client packets received: 2",
            "Server packets received: 3",
            "Server changes: 4",
            "Version: 3.1.2 (5)",
            "Looking for a new server: no",
            "Time running: 1 days, 01:01:01",
            "Size: 102074671",
            "Machine type: x86_64-pc-linux-gnu",
        ];
        assert_eq!(Program::HostManager.heading("h"), "Hostmanager stats: h");
        assert_eq!(Program::HostManager.lines(&status(&texts)), lines);
        let object: Value = serde_json::from_str(&Program::HostManager.json("h", &status(&texts))).unwrap();
        let expected = json!({
            "host": "h", "program": "host-manager", "protocol": "ZEPH0.2", "server": "zsrv", "queue": 1,
            "client_packets": 2, "server_packets": 3, "server_changes": 4, "version": "3.1.2 (5)", "looking": "no",
            "running_seconds": 90061, "size": 102_074_671, "machine": "x86_64-pc-linux-gnu",
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn a_server() {
        let texts =
            ["Zephyr Server 3", "2742 pkts", "1210 seconds operational", "10.0.0.1/SERV_UP", "R(10.0.0.9)/REALM_UP"];
        let lines = [
            "Server protocol version = ZEPH0.2",
            "Current server version = Zephyr Server 3",
            "Packets handled: 2742 pkts",
            "Uptime: 0 days, 00:20:10",
            "Server states:",
            "10.0.0.1/SERV_UP",
            "R(10.0.0.9)/REALM_UP",
        ];
        assert_eq!(Program::Server.heading("h"), "Server stats: h");
        assert_eq!(Program::Server.lines(&status(&texts)), lines);
        let object: Value = serde_json::from_str(&Program::Server.json("h", &status(&texts))).unwrap();
        let expected = json!({
            "host": "h", "program": "server", "protocol": "ZEPH0.2", "version": "Zephyr Server 3", "packets": 2742,
            "uptime_seconds": 1210, "states": ["10.0.0.1/SERV_UP", "R(10.0.0.9)/REALM_UP"],
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn an_answer_may_be_anything() {
        assert_eq!(Program::Server.lines(&status(&[])), ["Server protocol version = ZEPH0.2"]);
        assert_eq!(Program::HostManager.lines(&status(&["a"])).last().unwrap(), "Current server = a");
        let odd = ["s", "-1", "99999999999999999999", "3x", "", "\n\x1b[2J", "", "soon", "", "\u{202e}", "more"];
        let lines = Program::HostManager.lines(&status(&odd));
        assert_eq!(lines.len(), 12);
        assert_eq!((&*lines[6], &*lines[8]), ("Version: \\u{a}\\u{1b}[2J", "Time running: soon"));
        assert_eq!((&*lines[10], &*lines[11]), ("Machine type: \\u{202e}", "more"));
        let json = Program::HostManager.json("h", &status(&odd));
        assert!(json.bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{json}");
        let object: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&object["queue"], &object["server_packets"], &object["size"]),
            (&json!("-1"), &json!("3x"), &json!(""))
        );
        assert_eq!((&object["client_packets"], &object["more"]), (&json!("99999999999999999999"), &json!(["more"])));
    }

    #[test]
    fn lengths_of_time() {
        for (seconds, text) in
            [(0, "0 days, 00:00:00"), (86_399, "0 days, 23:59:59"), (40_000_000, "462 days, 23:06:40")]
        {
            assert_eq!(duration(seconds), text);
        }
        assert!(duration(u64::MAX).ends_with(":15"));
    }
}
