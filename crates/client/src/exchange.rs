//! The course of one sent notice: packet after packet to the host manager, each acknowledged, and then the server's answer
//! (wire format, section 6).

use crate::ClientError;
use bytes::Bytes;
use std::{collections::VecDeque, time::Duration};
use zephyr_core::{kind::Kind, names, notice::Packet, schedule::HMACK_WAIT, time::Now, uid::Uid};

/// What the server says of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Delivered to somebody, or done.
    Sent,
    /// Nobody is there to receive it.
    Lost,
    /// Refused.
    Refused(Refusal),
    /// An acknowledgement with a text that the protocol does not have.
    Unknown(Vec<u8>),
}

/// Why the server refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not say.
    Unspecified,
    /// Who asks is not proven, or may not.
    NotAuthorized,
    /// What it is about does not exist.
    NotFound,
}

impl Answer {
    /// Reads a SERVACK or SERVNAK; `None` for other kinds.
    fn read(packet: &Packet<'_>) -> Option<Self> {
        let word = packet.notice.body.split(|&octet| octet == 0).next().unwrap_or_default();
        match (packet.notice.kind, word) {
            (Kind::ServAck, names::SENT) => Some(Self::Sent),
            (Kind::ServAck, names::LOST) => Some(Self::Lost),
            (Kind::ServAck, other) => Some(Self::Unknown(other.to_vec())),
            (Kind::ServNak, names::LOST) => Some(Self::Refused(Refusal::NotAuthorized)),
            (Kind::ServNak, names::FAIL) => Some(Self::Refused(Refusal::NotFound)),
            (Kind::ServNak, _) => Some(Self::Refused(Refusal::Unspecified)),
            _ => None,
        }
    }

    /// The answer to a request that is done or not: being sent to nobody is done as well.
    ///
    /// # Errors
    ///
    /// What the refusal means.
    pub fn done(self) -> Result<(), ClientError> {
        match self {
            Self::Sent | Self::Lost => Ok(()),
            Self::Refused(Refusal::Unspecified) => Err(ClientError::Refused),
            Self::Refused(Refusal::NotAuthorized) => Err(ClientError::Unverified),
            Self::Refused(Refusal::NotFound) => Err(ClientError::NotLoggedIn),
            Self::Unknown(_) => Err(ClientError::Nonsense),
        }
    }
}

/// How far a notice has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A packet waits for the host manager's acknowledgement.
    Queuing,
    /// The host manager has everything, and the server's answer is waited for.
    Waiting,
    /// The host manager has everything, and no answer will come.
    Queued,
    /// The server has answered.
    Answered(Answer),
    /// The host manager has not acknowledged in time.
    HostManagerSilent,
    /// Nothing has come from the server in time.
    TimedOut,
}

/// One notice on its way.
#[derive(Debug)]
pub struct Exchange {
    kind: Kind,
    /// The packet that the server's answer is about.
    first: Uid,
    /// The packet that the host manager should acknowledge.
    current: Uid,
    rest: VecDeque<(Uid, Bytes)>,
    stage: Stage,
    deadline: Option<Duration>,
    /// How long to wait for the answer, each time anything comes.
    patience: Duration,
    early: Option<Answer>,
    remark: Option<String>,
}

impl Exchange {
    /// Begins to send the packets of one notice of this kind: the first is put `out` at once.
    pub fn begin(
        now: Now,
        kind: Kind,
        first: Uid,
        packets: Vec<(Uid, Bytes)>,
        patience: Duration,
        out: &mut VecDeque<Bytes>,
    ) -> Self {
        let mut exchange = Self {
            kind,
            first,
            current: first,
            rest: packets.into(),
            stage: Stage::Queuing,
            deadline: None,
            patience,
            early: None,
            remark: None,
        };
        exchange.advance(now, out);
        exchange
    }

    /// How far it has come.
    pub const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The uid that the notice has as a whole.
    pub const fn uid(&self) -> Uid {
        self.first
    }

    /// What the server has said beside its answer, in words.
    pub fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// When it must be looked at again, in monotonic time.
    pub const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Takes an acknowledgement from the host manager; others' are ignored.
    pub fn acknowledge(&mut self, now: Now, packet: &Packet<'_>, out: &mut VecDeque<Bytes>) {
        let uid = packet.notice.uid;
        if let Some(answer) = Answer::read(packet)
            && uid == self.first
            && self.kind == Kind::Acked
        {
            if matches!(self.stage, Stage::Queuing | Stage::Waiting) {
                self.remark = words(packet.notice.body);
            }
            match self.stage {
                Stage::Queuing => self.early = Some(answer),
                Stage::Waiting => self.stop(Stage::Answered(answer)),
                _ => {}
            }
        }
        // An answer for the current packet shows as well that the host manager has it.
        if self.stage == Stage::Queuing && uid == self.current && packet.notice.kind != Kind::ClientAck {
            self.advance(now, out);
        }
    }

    /// Something well-formed has come: the server's silence begins anew.
    pub fn heard(&mut self, now: Now) {
        if self.stage == Stage::Waiting {
            self.deadline = Some(now.monotonic + self.patience);
        }
    }

    /// Gives up what has waited too long.
    pub fn expire(&mut self, now: Now) {
        if self.deadline.is_some_and(|deadline| now.monotonic >= deadline) {
            match self.stage {
                Stage::Queuing => self.stop(Stage::HostManagerSilent),
                _ => self.stop(Stage::TimedOut),
            }
        }
    }

    fn advance(&mut self, now: Now, out: &mut VecDeque<Bytes>) {
        while let Some((uid, packet)) = self.rest.pop_front() {
            out.push_back(packet);
            if self.kind.wants_hmack() {
                self.current = uid;
                self.deadline = Some(now.monotonic + HMACK_WAIT);
                return;
            }
        }
        match self.early.take() {
            Some(answer) => self.stop(Stage::Answered(answer)),
            None if self.kind == Kind::Acked => {
                self.stage = Stage::Waiting;
                self.heard(now);
            }
            None => self.stop(Stage::Queued),
        }
    }

    fn stop(&mut self, stage: Stage) {
        self.stage = stage;
        self.deadline = None;
        self.rest.clear();
    }
}

/// The second text of an answer's body, fit to be shown: anybody on the way could have written it.
fn words(body: &[u8]) -> Option<String> {
    const MAX: usize = 300;
    let text = body.split(|&octet| octet == 0).nth(1)?;
    let text = String::from_utf8_lossy(text);
    let shown: String = text.chars().filter(|character| !character.is_control()).take(MAX).collect();
    (!shown.trim().is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::{ack, at, uid};
    use zephyr_core::schedule::SERVACK_WAIT;

    struct Run {
        exchange: Exchange,
        out: VecDeque<Bytes>,
    }

    impl Run {
        fn new(kind: Kind, packets: u32) -> Self {
            let mut out = VecDeque::new();
            let packets = (0..packets).map(|number| (uid(number), Bytes::from(vec![u8::try_from(number).unwrap()])));
            let exchange = Exchange::begin(at(0), kind, uid(0), packets.collect(), SERVACK_WAIT, &mut out);
            Self { exchange, out }
        }

        fn ack(&mut self, seconds: u64, kind: Kind, number: u32, body: &[u8]) -> &Stage {
            let packet = ack(kind, number, body);
            self.exchange.acknowledge(at(seconds), &Packet::parse(&packet).unwrap(), &mut self.out);
            self.exchange.stage()
        }

        fn sent(&mut self) -> Vec<u8> {
            self.out.drain(..).map(|packet| packet[0]).collect()
        }
    }

    #[test]
    fn one_packet_after_the_other() {
        let mut run = Run::new(Kind::Acked, 3);
        assert_eq!(run.sent(), [0]);
        assert_eq!(run.ack(1, Kind::HmAck, 7, b""), &Stage::Queuing, "an acknowledgement of something else");
        assert!(run.sent().is_empty());
        run.ack(1, Kind::HmAck, 0, b"");
        assert_eq!(run.sent(), [1]);
        assert_eq!(run.ack(1, Kind::HmAck, 0, b""), &Stage::Queuing, "a repeated acknowledgement");
        assert!(run.sent().is_empty());
        run.ack(2, Kind::HmAck, 1, b"");
        assert_eq!(run.sent(), [2]);
        assert_eq!(run.ack(3, Kind::HmAck, 2, b""), &Stage::Waiting);
        assert_eq!(run.ack(3, Kind::ServAck, 1, b"SENT\0"), &Stage::Waiting, "only the first packet's answer counts");
        assert_eq!(run.ack(3, Kind::ServAck, 0, b"SENT\0"), &Stage::Answered(Answer::Sent));
        assert_eq!(run.exchange.deadline(), None);
        assert_eq!(run.ack(3, Kind::ServNak, 0, b""), &Stage::Answered(Answer::Sent), "the first answer counts");
    }

    #[test]
    fn an_answer_may_come_before_all_is_queued() {
        let mut run = Run::new(Kind::Acked, 2);
        run.ack(0, Kind::HmAck, 0, b"");
        assert_eq!(run.ack(0, Kind::ServAck, 0, b"LOST\0"), &Stage::Queuing);
        assert_eq!(run.ack(0, Kind::HmAck, 1, b""), &Stage::Answered(Answer::Lost));

        let mut run = Run::new(Kind::Acked, 1);
        assert_eq!(
            run.ack(0, Kind::ServAck, 0, b"SENT\0"),
            &Stage::Answered(Answer::Sent),
            "the lost HMACK is implied"
        );
    }

    #[test]
    fn who_waits_for_what() {
        let mut run = Run::new(Kind::Unsafe, 3);
        assert_eq!((run.sent(), run.exchange.stage()), (vec![0, 1, 2], &Stage::Queued));
        let mut run = Run::new(Kind::Unacked, 2);
        assert_eq!((run.sent(), run.exchange.stage()), (vec![0], &Stage::Queuing));
        run.ack(0, Kind::HmAck, 0, b"");
        assert_eq!(run.ack(0, Kind::HmAck, 1, b""), &Stage::Queued);
    }

    #[test]
    fn silence() {
        let mut run = Run::new(Kind::Acked, 2);
        run.exchange.heard(at(9));
        run.exchange.expire(at(9));
        assert_eq!(run.exchange.stage(), &Stage::Queuing);
        run.exchange.expire(at(10));
        assert_eq!(run.exchange.stage(), &Stage::HostManagerSilent);

        let mut run = Run::new(Kind::Acked, 1);
        run.ack(5, Kind::HmAck, 0, b"");
        assert_eq!(run.exchange.deadline(), Some(Duration::from_secs(65)));
        run.exchange.heard(at(60));
        run.exchange.expire(at(119));
        assert_eq!(run.exchange.stage(), &Stage::Waiting);
        run.exchange.expire(at(120));
        assert_eq!(run.exchange.stage(), &Stage::TimedOut);
        assert_eq!(run.ack(121, Kind::ServAck, 0, b"SENT\0"), &Stage::TimedOut);
    }

    #[test]
    fn words_beside_the_answer() {
        for (body, said) in [
            (&b"LOST\0"[..], None),
            (b"LOST", None),
            (b"LOST\0run kinit\0", Some("run kinit")),
            (b"LOST\0run kinit", Some("run kinit")),
            (b"LOST\0\0x\0", None),
            (b"LOST\0\x1b[2Jbad\n\0", Some("[2Jbad")),
        ] {
            let mut run = Run::new(Kind::Acked, 1);
            run.ack(0, Kind::HmAck, 0, b"");
            run.ack(0, Kind::ServNak, 0, body);
            assert_eq!(run.exchange.remark(), said, "{}", body.escape_ascii());
        }
        let mut run = Run::new(Kind::Acked, 1);
        run.ack(0, Kind::ServNak, 0, &[b"LOST\0", &[b'x'; 500][..]].concat());
        assert_eq!(run.exchange.remark().map(str::len), Some(300));
    }

    #[test]
    fn answers() {
        for (kind, body, answer) in [
            (Kind::ServAck, &b"SENT\0"[..], Answer::Sent),
            (Kind::ServAck, b"SENT", Answer::Sent),
            (Kind::ServAck, b"LOST\0", Answer::Lost),
            (Kind::ServAck, b"what\0", Answer::Unknown(b"what".to_vec())),
            (Kind::ServAck, b"", Answer::Unknown(Vec::new())),
            (Kind::ServNak, b"LOST\0", Answer::Refused(Refusal::NotAuthorized)),
            (Kind::ServNak, b"FAIL\0", Answer::Refused(Refusal::NotFound)),
            (Kind::ServNak, b"", Answer::Refused(Refusal::Unspecified)),
        ] {
            let mut run = Run::new(Kind::Acked, 1);
            run.ack(0, Kind::HmAck, 0, b"");
            assert_eq!(run.ack(0, kind, 0, body), &Stage::Answered(answer));
        }
    }
}
