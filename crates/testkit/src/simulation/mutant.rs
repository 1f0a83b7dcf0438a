//! Mutants: faults injected on purpose from outside of the machines, each of which an invariant must find.

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Sessions take every checksum for right.
    OpensEverything,
    /// Servers believe every authenticator that can be read, whoever made it.
    AcceptsEverything,
    /// What a client shows, its reader now and then gets twice.
    ShowsTwice,
    /// The outcome of an operation is now and then lost on its way to the program.
    LosesOutcomes,
    /// The same outcome is told twice.
    RepeatsOutcomes,
    /// Servers are given larger bounds than they should keep.
    IgnoresBounds,
    /// Host managers now and then lose the timer that they asked for.
    LosesTimers,
    /// Servers ask for a timer that has expired already, again and again.
    NeverRests,
    /// Notices are now and then acknowledged in their readers' place, who never get them.
    SwallowsNotices,
    /// Streams between servers lose a record now and then.
    LosesRecords,
    /// Disks keep what has ended.
    DiskKeepsWhatEnded,
    /// Disks do not keep which changes are known.
    DiskForgetsVersions,
    /// Each run of a server has the identity of the first.
    KeepsIdentity,
    /// Disks say that they have stored what they have not.
    DiskLies,
    /// Dead servers answer greetings.
    DeadAnswer,
    /// When all is calm, host managers are sent from server to server.
    Wanders,
    /// Host managers never learn that a better server answers.
    HidesStatus,
}
