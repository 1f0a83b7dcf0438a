//! The course of one sent notice: packet after packet to the host manager, each acknowledged, and then the server's answer
//! (wire format, section 6).

use bytes::Bytes;
use std::{collections::VecDeque, time::Duration};
use zephyr_core::{
    body,
    kind::Kind,
    names,
    notice::{Notice, Packet},
    schedule::HMACK_WAIT,
    time::Now,
    uid::Uid,
};

/// What has become of a notice, as far as its sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// Delivered to somebody, or done.
    Sent,
    /// Nobody is there to receive it.
    NobodyThere,
    /// Refused.
    Refused(NakReason),
    /// The server's acknowledgement has a text that the protocol does not have.
    Unknown(Vec<u8>),
    /// The host manager has it, and no answer will come: of kinds that servers do not answer.
    Unanswered,
}

/// Why the server refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NakReason {
    /// It does not say.
    Unspecified,
    /// Who asks is not proven, or may not.
    NotAuthorized,
    /// What it is about does not exist.
    NotFound,
}

/// The answer to a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// What has become of it.
    pub status: DeliveryStatus,
    /// What the server says beside that: why it refuses, wholly or in part. Free of control characters; servers in C say
    /// nothing.
    pub text: Option<String>,
}

impl Receipt {
    /// Reads a SERVACK or SERVNAK; `None` for other kinds.
    pub fn read(notice: &Notice<'_>) -> Option<Self> {
        let status = match (notice.kind, body::first_text(notice.body)) {
            (Kind::ServAck, names::SENT) => DeliveryStatus::Sent,
            (Kind::ServAck, names::LOST) => DeliveryStatus::NobodyThere,
            (Kind::ServAck, other) => DeliveryStatus::Unknown(other.to_vec()),
            (Kind::ServNak, names::LOST) => DeliveryStatus::Refused(NakReason::NotAuthorized),
            (Kind::ServNak, names::FAIL) => DeliveryStatus::Refused(NakReason::NotFound),
            (Kind::ServNak, _) => DeliveryStatus::Refused(NakReason::Unspecified),
            _ => return None,
        };
        Some(Self { status, text: second_text(notice.body) })
    }

    /// Whether somebody has received the notice.
    pub fn is_delivered(&self) -> bool {
        self.status == DeliveryStatus::Sent
    }
}

/// How far a notice has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A packet waits for the host manager's acknowledgement.
    Queuing,
    /// The host manager has everything, and the server's answer is waited for.
    Waiting,
    /// The host manager has everything, and no answer will come.
    Queued,
    /// The server has answered.
    Answered(Receipt),
    /// The host manager has not acknowledged in time.
    HostManagerSilent,
    /// Nothing has come from the server in time.
    TimedOut,
}

/// One notice on its way.
#[derive(Debug)]
pub(super) struct Exchange {
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
    early: Option<Receipt>,
}

impl Exchange {
    /// Begins to send the packets of one notice of this kind: the first is put `out` at once.
    pub(super) fn begin(
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
        };
        exchange.advance(now, out);
        exchange
    }

    /// How far it has come.
    pub(super) const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The uid that the notice has as a whole.
    pub(super) const fn uid(&self) -> Uid {
        self.first
    }

    /// When it must be looked at again, in monotonic time.
    pub(super) const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Takes an acknowledgement from the host manager; others' are ignored.
    pub(super) fn acknowledge(&mut self, now: Now, packet: &Packet<'_>, out: &mut VecDeque<Bytes>) {
        let uid = packet.notice.uid;
        if self.kind == Kind::Acked
            && uid == self.first
            && let Some(receipt) = Receipt::read(&packet.notice)
        {
            match self.stage {
                Stage::Queuing => self.early = Some(receipt),
                Stage::Waiting => self.stop(Stage::Answered(receipt)),
                _ => {}
            }
        }
        // An answer for the current packet shows as well that the host manager has it.
        if self.stage == Stage::Queuing && uid == self.current && packet.notice.kind != Kind::ClientAck {
            self.advance(now, out);
        }
    }

    /// Something well-formed has come: the server's silence begins anew.
    pub(super) fn received(&mut self, now: Now) {
        if self.stage == Stage::Waiting {
            self.deadline = Some(now.monotonic + self.patience);
        }
    }

    /// Gives up what has waited too long.
    pub(super) fn expire(&mut self, now: Now) {
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
            Some(receipt) => self.stop(Stage::Answered(receipt)),
            None if self.kind == Kind::Acked => {
                self.stage = Stage::Waiting;
                self.received(now);
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
fn second_text(body: &[u8]) -> Option<String> {
    const MAX: usize = 300;
    let text = String::from_utf8_lossy(body.split(|&octet| octet == 0).nth(1)?);
    let shown: String = text.chars().filter(|character| !character.is_control()).take(MAX).collect();
    (!shown.trim().is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::super::doubles::{ack, at, uid};
    use super::*;
    use zephyr_core::schedule::SERVACK_WAIT;

    fn answered(status: DeliveryStatus) -> Stage {
        Stage::Answered(Receipt { status, text: None })
    }

    fn text(stage: &Stage) -> Option<&str> {
        let Stage::Answered(receipt) = stage else { panic!("{stage:?}") };
        receipt.text.as_deref()
    }

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
        assert_eq!(run.ack(3, Kind::ServAck, 0, b"SENT\0"), &answered(DeliveryStatus::Sent));
        assert_eq!(run.exchange.deadline(), None);
        assert_eq!(run.ack(3, Kind::ServNak, 0, b""), &answered(DeliveryStatus::Sent), "the first answer counts");
    }

    #[test]
    fn an_answer_may_come_before_all_is_queued() {
        let mut run = Run::new(Kind::Acked, 2);
        run.ack(0, Kind::HmAck, 0, b"");
        assert_eq!(run.ack(0, Kind::ServAck, 0, b"LOST\0"), &Stage::Queuing);
        assert_eq!(run.ack(0, Kind::HmAck, 1, b""), &answered(DeliveryStatus::NobodyThere));

        let mut run = Run::new(Kind::Acked, 1);
        assert_eq!(
            run.ack(0, Kind::ServAck, 0, b"SENT\0"),
            &answered(DeliveryStatus::Sent),
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
        run.exchange.received(at(9));
        run.exchange.expire(at(9));
        assert_eq!(run.exchange.stage(), &Stage::Queuing);
        run.exchange.expire(at(10));
        assert_eq!(run.exchange.stage(), &Stage::HostManagerSilent);

        let mut run = Run::new(Kind::Acked, 1);
        run.ack(5, Kind::HmAck, 0, b"");
        assert_eq!(run.exchange.deadline(), Some(Duration::from_secs(65)));
        run.exchange.received(at(60));
        run.exchange.expire(at(119));
        assert_eq!(run.exchange.stage(), &Stage::Waiting);
        run.exchange.expire(at(120));
        assert_eq!(run.exchange.stage(), &Stage::TimedOut);
        assert_eq!(run.ack(121, Kind::ServAck, 0, b"SENT\0"), &Stage::TimedOut);
    }

    #[test]
    fn text_beside_the_answer() {
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
            assert_eq!(text(run.exchange.stage()), said, "{}", body.escape_ascii());
        }
        let mut run = Run::new(Kind::Acked, 1);
        let stage = run.ack(0, Kind::ServNak, 0, &[b"LOST\0", &[b'x'; 500][..]].concat());
        assert_eq!(text(stage).map(str::len), Some(300));
    }

    #[test]
    fn answers() {
        for (kind, body, answer) in [
            (Kind::ServAck, &b"SENT\0"[..], DeliveryStatus::Sent),
            (Kind::ServAck, b"SENT", DeliveryStatus::Sent),
            (Kind::ServAck, b"LOST\0", DeliveryStatus::NobodyThere),
            (Kind::ServAck, b"what\0", DeliveryStatus::Unknown(b"what".to_vec())),
            (Kind::ServAck, b"", DeliveryStatus::Unknown(Vec::new())),
            (Kind::ServNak, b"LOST\0", DeliveryStatus::Refused(NakReason::NotAuthorized)),
            (Kind::ServNak, b"FAIL\0", DeliveryStatus::Refused(NakReason::NotFound)),
            (Kind::ServNak, b"", DeliveryStatus::Refused(NakReason::Unspecified)),
        ] {
            let mut run = Run::new(Kind::Acked, 1);
            run.ack(0, Kind::HmAck, 0, b"");
            assert_eq!(run.ack(0, kind, 0, body), &answered(answer));
        }
    }
}
