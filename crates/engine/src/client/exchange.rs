//! The exchange for one sent notice: each packet goes to the host manager and is acknowledged by it, and then the server
//! answers (wire format, section 6).

use super::Receipt;
use bytes::Bytes;
use std::{collections::VecDeque, time::Duration};
use zephyr_core::{kind::Kind, notice::Packet, schedule::HMACK_WAIT, time::Now, uid::Uid};

/// The maximum time that a server's answer is awaited, however often the time limit is restarted; more only for messages whose
/// own time limit is longer. No host manager of this project keeps a packet longer.
const MAX_ANSWER_WAIT: Duration = Duration::from_mins(5);

/// The state of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A packet awaits the host manager's acknowledgement.
    Queuing,
    /// The host manager has accepted all packets, and the server's answer is awaited.
    Waiting,
    /// The host manager has accepted all packets, and no answer will come.
    Queued,
    /// The server has answered.
    Answered(Receipt),
    /// The host manager has not acknowledged in time, or does not run.
    HostManagerSilent,
    /// The server has not answered in time.
    TimedOut,
}

/// A packet to be sent, and its uid.
#[derive(Debug)]
pub(super) struct OutgoingPacket {
    pub(super) uid: Uid,
    pub(super) payload: Bytes,
}

/// The exchange for one notice.
#[derive(Debug)]
pub(super) struct Exchange {
    kind: Kind,
    /// The uid of the first packet, which the server's answer carries.
    first: Uid,
    /// The uid of the packet that awaits the host manager's acknowledgement.
    current: Uid,
    /// The packet that awaits it.
    unacknowledged: Bytes,
    rest: VecDeque<OutgoingPacket>,
    stage: Stage,
    deadline: Option<Duration>,
    /// The time limit for the server's answer, restarted by what the host manager sends.
    answer_timeout: Duration,
    /// When the server's answer is not awaited any more in any case; known once all packets are accepted.
    gives_up_at: Duration,
    /// The server's answer, where it came before all packets were accepted.
    early_receipt: Option<Receipt>,
}

impl Exchange {
    /// Begins to send the packets of one notice of this kind; the first goes to `out` at once.
    pub(super) fn begin(
        now: Now,
        kind: Kind,
        first: Uid,
        packets: Vec<OutgoingPacket>,
        answer_timeout: Duration,
        out: &mut VecDeque<Bytes>,
    ) -> Self {
        let mut exchange = Self {
            kind,
            first,
            current: first,
            unacknowledged: Bytes::new(),
            rest: packets.into(),
            stage: Stage::Queuing,
            deadline: None,
            answer_timeout,
            gives_up_at: Duration::MAX,
            early_receipt: None,
        };
        exchange.advance(now, out);
        exchange
    }

    /// Its state.
    pub(super) const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The uid of the notice: that of its first packet.
    pub(super) const fn uid(&self) -> Uid {
        self.first
    }

    /// The monotonic time of the next timeout.
    pub(super) const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Handles an acknowledgement from the host manager; those of other exchanges are ignored.
    pub(super) fn handle_acknowledgement(&mut self, now: Now, packet: &Packet<'_>, out: &mut VecDeque<Bytes>) {
        let uid = packet.notice.uid;
        if self.kind == Kind::Acked
            && uid == self.first
            && let Some(receipt) = Receipt::read(&packet.notice)
        {
            match self.stage {
                Stage::Queuing => self.early_receipt = Some(receipt),
                Stage::Waiting => self.finish(Stage::Answered(receipt)),
                _ => {}
            }
        }
        // An answer for the current packet shows as well that the host manager has it.
        if self.stage == Stage::Queuing && uid == self.current && packet.notice.kind != Kind::ClientAck {
            self.advance(now, out);
        }
    }

    /// Whether the packet with this uid awaits the host manager's acknowledgement.
    pub(super) fn awaits_acknowledgement_of(&self, uid: Uid) -> bool {
        self.stage == Stage::Queuing && uid == self.current
    }

    /// Whether a packet awaits the host manager's acknowledgement for too long.
    pub(super) fn is_unacknowledged(&self, now: Now) -> bool {
        self.stage == Stage::Queuing && self.deadline.is_some_and(|deadline| now.monotonic >= deadline)
    }

    /// Waits for the host manager's acknowledgement without a time limit, until
    /// [`Exchange::send_again`].
    pub(super) fn hold(&mut self) {
        if self.stage == Stage::Queuing {
            self.deadline = None;
        }
    }

    /// Sends the packet that awaits the host manager's acknowledgement again, as there is a new way.
    pub(super) fn send_again(&mut self, now: Now, out: &mut VecDeque<Bytes>) {
        if self.stage == Stage::Queuing {
            out.push_back(self.unacknowledged.clone());
            self.deadline = Some(now.monotonic + HMACK_WAIT);
        }
    }

    /// Handles that nobody listened where the packet with this uid was sent, which was the host manager's port.
    pub(super) fn handle_refusal(&mut self, uid: Uid) {
        if self.stage == Stage::Queuing && uid == self.current {
            self.finish(Stage::HostManagerSilent);
        }
    }

    /// Restarts the time limit for the server's answer, as the host manager has sent something: it may have much to do for
    /// this client. What anybody else sends says nothing about the answer.
    pub(super) fn restart_answer_timeout(&mut self, now: Now) {
        if self.stage == Stage::Waiting {
            self.deadline = Some(self.gives_up_at.min(now.monotonic.saturating_add(self.answer_timeout)));
        }
    }

    /// Ends the exchange if its deadline has passed.
    pub(super) fn expire(&mut self, now: Now) {
        if self.deadline.is_some_and(|deadline| now.monotonic >= deadline) {
            match self.stage {
                Stage::Queuing => self.finish(Stage::HostManagerSilent),
                _ => self.finish(Stage::TimedOut),
            }
        }
    }

    fn advance(&mut self, now: Now, out: &mut VecDeque<Bytes>) {
        while let Some(OutgoingPacket { uid, payload }) = self.rest.pop_front() {
            out.push_back(payload.clone());
            if self.kind.wants_hmack() {
                self.unacknowledged = payload;
                self.current = uid;
                self.deadline = Some(now.monotonic + HMACK_WAIT);
                return;
            }
        }
        match self.early_receipt.take() {
            Some(receipt) => self.finish(Stage::Answered(receipt)),
            None if self.kind == Kind::Acked => {
                self.stage = Stage::Waiting;
                self.gives_up_at = now.monotonic.saturating_add(MAX_ANSWER_WAIT.max(self.answer_timeout));
                self.restart_answer_timeout(now);
            }
            None => self.finish(Stage::Queued),
        }
    }

    fn finish(&mut self, stage: Stage) {
        self.stage = stage;
        self.deadline = None;
        self.unacknowledged = Bytes::new();
        self.rest.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        DeliveryStatus, NakReason,
        doubles::{ack, at, uid},
    };
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
            let packet =
                |number: u32| OutgoingPacket { uid: uid(number), payload: vec![u8::try_from(number).unwrap()].into() };
            let packets = (0..packets).map(packet);
            let exchange = Exchange::begin(at(0), kind, uid(0), packets.collect(), SERVACK_WAIT, &mut out);
            Self { exchange, out }
        }

        fn ack(&mut self, seconds: u64, kind: Kind, number: u32, body: &[u8]) -> &Stage {
            let packet = ack(kind, number, body);
            self.exchange.handle_acknowledgement(at(seconds), &Packet::parse(&packet).unwrap(), &mut self.out);
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
    fn an_answer_may_come_before_all_packets_are_acknowledged() {
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
    fn kinds_await_different_acknowledgements() {
        let mut run = Run::new(Kind::Unsafe, 3);
        assert_eq!((run.sent(), run.exchange.stage()), (vec![0, 1, 2], &Stage::Queued));
        let mut run = Run::new(Kind::Unacked, 2);
        assert_eq!((run.sent(), run.exchange.stage()), (vec![0], &Stage::Queuing));
        run.ack(0, Kind::HmAck, 0, b"");
        assert_eq!(run.ack(0, Kind::HmAck, 1, b""), &Stage::Queued);
    }

    #[test]
    fn timeouts() {
        let mut run = Run::new(Kind::Acked, 2);
        run.exchange.restart_answer_timeout(at(9));
        run.exchange.expire(at(9));
        assert_eq!(run.exchange.stage(), &Stage::Queuing);
        run.exchange.expire(at(10));
        assert_eq!(run.exchange.stage(), &Stage::HostManagerSilent);

        let mut run = Run::new(Kind::Acked, 1);
        run.ack(5, Kind::HmAck, 0, b"");
        assert_eq!(run.exchange.deadline(), Some(Duration::from_secs(65)));
        run.exchange.restart_answer_timeout(at(60));
        run.exchange.expire(at(119));
        assert_eq!(run.exchange.stage(), &Stage::Waiting);
        run.exchange.expire(at(120));
        assert_eq!(run.exchange.stage(), &Stage::TimedOut);
        assert_eq!(run.ack(121, Kind::ServAck, 0, b"SENT\0"), &Stage::TimedOut);
    }

    #[test]
    fn restarts_end_some_time() {
        let mut run = Run::new(Kind::Acked, 1);
        run.ack(0, Kind::HmAck, 0, b"");
        for seconds in (0..300).step_by(12) {
            run.exchange.expire(at(seconds));
            run.exchange.restart_answer_timeout(at(seconds));
        }
        assert_eq!((run.exchange.stage(), run.exchange.deadline()), (&Stage::Waiting, Some(Duration::from_mins(5))));
        run.exchange.expire(at(300));
        assert_eq!(run.exchange.stage(), &Stage::TimedOut);
    }

    #[test]
    fn text_beside_the_answer() {
        for (body, expected) in [
            (&b"LOST\0"[..], None),
            (b"LOST", None),
            (b"LOST\0run kinit\0", Some("run kinit")),
            (b"LOST\0run kinit", Some("run kinit")),
            (b"LOST\0\0x\0", None),
            (b"LOST\0\x1b[2Jbad\n\0", Some("\\u{1b}[2Jbad")),
        ] {
            let mut run = Run::new(Kind::Acked, 1);
            run.ack(0, Kind::HmAck, 0, b"");
            run.ack(0, Kind::ServNak, 0, body);
            assert_eq!(text(run.exchange.stage()), expected, "{}", body.escape_ascii());
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
