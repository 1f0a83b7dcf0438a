//! Metrics in the Prometheus text format (0.0.4), over minimal HTTP.

use std::{collections::BTreeMap, fmt::Write as _};
use tokio::io::{AsyncRead, AsyncReadExt};
use zephyr_engine::server::Metric;

/// Maximum octets of a request.
const MAX_OCTETS: usize = 8192;

/// All numbers as text. Those of one name are put together, whatever their order.
pub(super) fn render(metrics: &[Metric]) -> String {
    let mut by_name: BTreeMap<&str, Vec<&Metric>> = BTreeMap::new();
    for metric in metrics {
        by_name.entry(metric.name).or_default().push(metric);
    }
    let mut text = String::new();
    for (name, metrics) in by_name {
        let help: Vec<String> = metrics.iter().map(|metric| described(metric)).collect();
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        // Writing to a text does not fail.
        let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", help.join(" "));
        for metric in metrics {
            let _ = match metric.label {
                ("", _) => writeln!(text, "{name} {}", metric.value),
                (label, value) => writeln!(text, "{name}{{{label}=\"{value}\"}} {}", metric.value),
            };
        }
    }
    text
}

fn described(metric: &Metric) -> String {
    match metric.label {
        ("", _) => metric.help.trim().to_owned(),
        (_, value) => format!("{value}: {}", metric.help.trim()),
    }
}

/// Errors of a request for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestError {
    /// It is no HTTP, or too long.
    BadRequest,
    /// Another method than GET.
    BadMethod,
    /// Another path than `/metrics`.
    NotFound,
}

impl RequestError {
    /// The answer to such a request.
    pub(super) fn response(self) -> String {
        let status = match self {
            Self::BadRequest => "400 Bad Request",
            Self::BadMethod => "405 Method Not Allowed",
            Self::NotFound => "404 Not Found",
        };
        reply(status, &format!("{status}\n"))
    }
}

/// The answer with the metrics.
pub(super) fn response(text: &str) -> String {
    reply("200 OK", text)
}

fn reply(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Reads a request to the end of its header; `None` when the connection ends before.
pub(super) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Result<(), RequestError>> {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() >= MAX_OCTETS {
            return Some(Err(RequestError::BadRequest));
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(len) => request.extend_from_slice(buffer.get(..len)?),
        }
    }
    let line = request.split(|&octet| octet == b'\r').next()?;
    let fields: Vec<&[u8]> = line.split(|&octet| octet == b' ').collect();
    Some(match fields.as_slice() {
        [b"GET", path, version] if version.starts_with(b"HTTP/1.") => {
            let path = path.split(|&octet| octet == b'?').next()?;
            if path == b"/metrics" { Ok(()) } else { Err(RequestError::NotFound) }
        }
        [_, _, version] if version.starts_with(b"HTTP/1.") => Err(RequestError::BadMethod),
        _ => Err(RequestError::BadRequest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use zephyr_engine::server::{Counters, Gauges};

    #[test]
    fn numbers_of_one_name_stand_together() {
        let metric = |name, label, value| Metric { field: "", name, label, help: " About it.", value };
        let text = render(&[
            metric("b_total", ("reason", "x"), 1),
            metric("a", ("", ""), 2),
            metric("b_total", ("reason", "y"), 3),
        ]);
        assert_eq!(
            text,
            "# HELP a About it.\n# TYPE a gauge\na 2\n\
             # HELP b_total x: About it. y: About it.\n# TYPE b_total counter\n\
             b_total{reason=\"x\"} 1\nb_total{reason=\"y\"} 3\n"
        );
    }

    #[test]
    fn no_two_numbers_are_called_the_same() {
        let all = [Counters::default().metrics(), Gauges::default().metrics()].concat();
        let mut names: Vec<_> = all.iter().map(|metric| (metric.name, metric.label)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().all(|metric| !metric.help.trim().is_empty()));
    }

    #[tokio::test]
    async fn requests_are_read_and_strangers_told_apart() {
        for (request, expected) in [
            (&b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"[..], Some(Ok(()))),
            (b"GET /metrics?x=y HTTP/1.0\r\n\r\n", Some(Ok(()))),
            (b"GET / HTTP/1.1\r\n\r\n", Some(Err(RequestError::NotFound))),
            (b"POST /metrics HTTP/1.1\r\n\r\n", Some(Err(RequestError::BadMethod))),
            (b"ZEPH0.2\r\n\r\n", Some(Err(RequestError::BadRequest))),
            (b"GET /metrics HTTP/1.1\r\n", None),
            (&[b'x'; 3 * MAX_OCTETS], Some(Err(RequestError::BadRequest))),
        ] {
            let mut stream = request;
            assert_eq!(read_request(&mut stream).await, expected, "{:?}", request.escape_ascii().to_string());
        }
    }
}
