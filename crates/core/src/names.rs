//! Names with a meaning in the protocol: classes, instances, opcodes and answers (wire format, section 11). Compared
//! octet for octet unless said otherwise.

/// Class of messages between people; with instance [`PERSONAL`] or [`URGENT`] it needs a recipient.
pub const MESSAGE: &[u8] = b"MESSAGE";
/// Instance of ordinary personal messages.
pub const PERSONAL: &[u8] = b"PERSONAL";
/// Instance of urgent personal messages.
pub const URGENT: &[u8] = b"URGENT";
/// The default format of zwrite's notices, by which receivers that know it show a signature and a text.
pub const DEFAULT_FORMAT: &[u8] = b"http://zephyr.1ts.org/wiki/df";
/// Opcode of an empty notice that only asks whether somebody would receive.
pub const PING: &[u8] = b"PING";

/// Class of subscription requests and of host managers' announcements to a server.
pub const ZEPHYR_CTL: &[u8] = b"ZEPHYR_CTL";
/// Instance of [`ZEPHYR_CTL`] that clients use.
pub const CLIENT: &[u8] = b"CLIENT";
/// Instance of [`ZEPHYR_CTL`] that host managers use.
pub const HM: &[u8] = b"HM";
/// Instance of [`ZEPHYR_CTL`] that servers of other realms use.
pub const REALM: &[u8] = b"REALM";
/// Opcode of a realm's server: subscribe the realm to notices to all, for a client of its own.
pub const REQ_SUBSCRIBE: &[u8] = b"REQ_SUBSCRIBE";
/// Opcode of a realm's server: what was asked for by [`REQ_SUBSCRIBE`] is granted.
pub const ADD_SUBSCRIBE: &[u8] = b"ADD_SUBSCRIBE";
/// Opcode of a realm's server: nobody there wants it any more.
pub const RLM_UNSUBSCRIBE: &[u8] = b"RLM_UNSUBSCRIBE";
/// Opcode of a realm's server: it has started, and knows of no subscriptions.
pub const SENDSUBS: &[u8] = b"SENDSUBS";
/// The service whose principal all servers of a realm are.
pub const SERVICE: &[u8] = b"zephyr/zephyr";
/// Opcode: subscribe, and add the server's default subscriptions.
pub const SUBSCRIBE: &[u8] = b"SUBSCRIBE";
/// Opcode: subscribe to what is listed, no more.
pub const SUBSCRIBE_NODEFS: &[u8] = b"SUBSCRIBE_NODEFS";
/// Opcode: drop the listed subscriptions.
pub const UNSUBSCRIBE: &[u8] = b"UNSUBSCRIBE";
/// Opcode: forget this client.
pub const CLEARSUB: &[u8] = b"CLEARSUB";
/// Opcode: list a client's subscriptions.
pub const GIMME: &[u8] = b"GIMME";
/// Opcode: list the default subscriptions.
pub const GIMMEDEFS: &[u8] = b"GIMMEDEFS";
/// Opcode: forget all clients of a principal.
pub const FLUSHSUBS: &[u8] = b"FLUSHSUBS";
/// Of a server to a client: shows by being acknowledged that somebody receives there. Never shown.
pub const PROBE: &[u8] = b"PROBE";
/// Opcode: the host has started; nothing of it is left.
pub const BOOT: &[u8] = b"BOOT";
/// Opcode: forget everything of this host.
pub const FLUSH: &[u8] = b"FLUSH";
/// Opcode: the host now talks to another server.
pub const DETACH: &[u8] = b"DETACH";
/// Opcode: the host now talks to this server.
pub const ATTACH: &[u8] = b"ATTACH";

/// Class of control notices to a host manager, and from it.
pub const HM_CTL: &[u8] = b"HM_CTL";
/// Instance of [`HM_CTL`] for notices from a server.
pub const SERVER: &[u8] = b"SERVER";
/// Opcode: the server is going down; of [`WG_CTL`]: subscribe to nothing and show nothing.
pub const SHUTDOWN: &[u8] = b"SHUTDOWN";
/// Opcode: a client asks its host manager for another server.
pub const NEWSERV: &[u8] = b"NEWSERV";

/// Class of statistics queries to a host manager.
pub const HM_STAT: &[u8] = b"HM_STAT";
/// Instance of [`HM_STAT`].
pub const HMST_CLIENT: &[u8] = b"HMST_CLIENT";
/// Opcode of [`HM_STAT`].
pub const GIMMESTATS: &[u8] = b"GIMMESTATS";

/// Class of location changes.
pub const LOGIN: &[u8] = b"LOGIN";
/// Opcode of [`LOGIN`]: the user has come; what servers announce.
pub const USER_LOGIN: &[u8] = b"USER_LOGIN";
/// Opcode of [`LOGIN`]: forget all of the user's locations.
pub const USER_FLUSH: &[u8] = b"USER_FLUSH";
/// Opcode of [`LOGIN`]: the user leaves the place.
pub const USER_LOGOUT: &[u8] = b"USER_LOGOUT";
/// Class of location queries.
pub const USER_LOCATE: &[u8] = b"USER_LOCATE";
/// Opcode of [`USER_LOCATE`]: where is the user?
pub const LOCATE: &[u8] = b"LOCATE";
/// Opcode of [`USER_LOCATE`] between realms: where is the user?
pub const REQ_LOCATE: &[u8] = b"REQ_LOCATE";
/// Opcode of [`USER_LOCATE`] between realms: there.
pub const ANS_LOCATE: &[u8] = b"ANS_LOCATE";
/// Class of administration between servers, and of status queries.
pub const ZEPHYR_ADMIN: &[u8] = b"ZEPHYR_ADMIN";
/// Opcode of [`ZEPHYR_ADMIN`]: how is the server?
pub const STATUS: &[u8] = b"STATUS";
/// Opcode of [`ZEPHYR_ADMIN`]: are you there?
pub const HELLO: &[u8] = b"HELLO";
/// Opcode of [`ZEPHYR_ADMIN`]: I am.
pub const IHEARDYOU: &[u8] = b"IHEARDYOU";
/// Opcode of [`ZEPHYR_ADMIN`]: I am shutting down.
pub const GOODBYE: &[u8] = b"GOODBYE";
/// Opcode of [`ZEPHYR_ADMIN`]: all that I know is to be had at this address and port; its instance is [`DUMP_VERSION`].
pub const DUMP_AVAIL: &[u8] = b"DUMP_AVAIL";
/// The version of dumps.
pub const DUMP_VERSION: &[u8] = b"1.2";
/// Opcode of [`ZEPHYR_ADMIN`]: this client was given up.
pub const KILL_CLIENT: &[u8] = b"KILL_CLIENT";
/// Opcode in a dump: a client, whose subscriptions follow.
pub const NEXT_CLIENT: &[u8] = b"NEXT_CLIENT";
/// Instance of [`NEXT_CLIENT`] where a key follows.
pub const CBLOCK: &[u8] = b"CBLOCK";
/// Opcode in a dump: another realm, whose subscriptions here follow.
pub const NEXT_REALM: &[u8] = b"NEXT_REALM";
/// Opcode in a dump: a subscription of another realm here.
pub const RLM_SUBSCRIBE: &[u8] = b"RLM_SUBSCRIBE";
/// Opcode in a dump: that is all.
pub const DUMP_DONE: &[u8] = b"DUMP_DONE";
/// Class of control notices to a windowgram client.
pub const WG_CTL: &[u8] = b"WG_CTL";
/// Instance of [`WG_CTL`].
pub const USER: &[u8] = b"USER";
/// Opcode: show again what was not to be shown.
pub const UNSUPPRESS: &[u8] = b"UNSUPPRESS";
/// Opcode of [`WG_CTL`]: do not show what the body names.
pub const SUPPRESS: &[u8] = b"SUPPRESS";
/// Opcode of [`WG_CTL`]: what is not shown?
pub const LIST_SUPPRESSED: &[u8] = b"LIST-SUPPRESSED";
/// Opcode of [`WG_CTL`]: read the description again.
pub const REREAD: &[u8] = b"REREAD";
/// Opcode of [`WG_CTL`]: go on after a [`SHUTDOWN`].
pub const STARTUP: &[u8] = b"STARTUP";
/// Opcode of [`WG_CTL`]: end.
pub const EXIT: &[u8] = b"EXIT";
/// Instance of [`WG_CTL`] of an answer to [`LIST_SUPPRESSED`].
pub const WG_REPLY: &[u8] = b"WG_REPLY";

/// The instance in a subscription that stands for every instance.
pub const ANY_INSTANCE: &[u8] = b"*";

/// Body field of an acknowledgement: delivered, or done.
pub const SENT: &[u8] = b"SENT";
/// Body field of an acknowledgement: nobody there (SERVACK), or not authorised (SERVNAK).
pub const LOST: &[u8] = b"LOST";
/// Body field of an acknowledgement: not found.
pub const FAIL: &[u8] = b"FAIL";
/// Second body field with which a server of this project tells a host manager, in its answer to [`BOOT`] and
/// [`ATTACH`], that it takes and acknowledges headers as long as a packet. C host managers do not look at that body.
pub const LONG_HEADERS: &[u8] = b"long-headers";
