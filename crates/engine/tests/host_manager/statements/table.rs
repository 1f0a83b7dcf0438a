//! Where each statement about the host manager is held: section, statement, file and test. What belongs to a program rather
//! than to a machine (options, the file with the process id, signals that end it, its socket) is held by tests of the program.

/// The sources of the tests that are named.
const FILES: [(&str, &str); 10] = [
    ("main", include_str!("../main.rs")),
    ("names", include_str!("../names.rs")),
    ("outage", include_str!("../outage.rs")),
    ("users", include_str!("../users.rs")),
    ("answers", include_str!("answers.rs")),
    ("programs", include_str!("programs.rs")),
    ("queue", include_str!("queue.rs")),
    ("servers", include_str!("servers.rs")),
    ("sorting", include_str!("sorting.rs")),
    ("statistics", include_str!("statistics.rs")),
];

/// A statement, and the tests that hold it.
struct Row {
    section: u8,
    statement: &'static str,
    /// A file and a name, with a colon between.
    tests: &'static [&'static str],
}

const fn row(section: u8, statement: &'static str, tests: &'static [&'static str]) -> Row {
    Row { section, statement, tests }
}

const TABLE: &[Row] = &[
    row(
        0,
        "hands notices on, keeps them until they are answered, hands the answers back",
        &["main:s144_acknowledged_and_forwarded_as_it_is"],
    ),
    row(0, "knows nothing of subscriptions", &["sorting:subscriptions_are_packets_like_any_others"]),
    row(0, "never sees what is delivered", &["sorting:what_a_server_delivers_is_not_for_a_host_manager"]),
    row(1, "-f: programs may not flush", &["programs:a_flush_may_be_refused"]),
    row(1, "-N: the first contact is ATTACH", &["main:the_greeting_is_as_c_servers_know_it"]),
    row(2, "the first server is the primary", &["servers:the_first_of_the_list_is_greeted_first"]),
    row(2, "names give way to full names", &["names:a_name_that_is_not_known_at_the_start_is_looked_up_until_it_is"]),
    row(
        2,
        "an unknown name is told, and others are used meanwhile",
        &["names:while_one_name_is_unknown_the_other_server_is_greeted_at_once"],
    ),
    row(2, "servers on loopback work here", &["main:a_server_on_this_host_is_told_from_programs_by_its_port"]),
    row(3, "no server until the first answer, and booting", &["servers:there_is_no_server_before_the_first_answer"]),
    row(
        3,
        "a primary without an address: the next server",
        &["names:while_one_name_is_unknown_the_other_server_is_greeted_at_once"],
    ),
    row(
        4,
        "kind, port, class, instance, sender, nothing else, no proof",
        &["servers:all_messages_to_servers_have_the_same_fields", "main:the_greeting_is_as_c_servers_know_it"],
    ),
    row(4, "BOOT at the start", &["main:the_greeting_is_as_c_servers_know_it"]),
    row(4, "BOOT with the first packet after a flush", &["programs:the_first_packet_after_a_flush_boots_the_host"]),
    row(
        4,
        "BOOT at a change while booting or flushed, else ATTACH",
        &["servers:a_change_of_server_boots_only_a_host_that_is_booting"],
    ),
    row(4, "DETACH to the old server", &["main:s148_another_server_on_request"]),
    row(4, "FLUSH by a program's order and a hangup", &["main:s147_flush_and_a_new_beginning", "main:hangup_flushes"]),
    row(4, "DETACH and FLUSH are not answered", &["servers:nobody_waits_for_an_answer_to_a_flush_or_a_farewell"]),
    row(5, "what is no notice is told and dropped", &["main:what_is_no_notice_is_told_and_not_counted"]),
    row(
        5,
        "each kind from its source",
        &[
            "sorting:each_kind_is_taken_from_its_source_only",
            "main:s149_s151_s152_s153_what_is_not_understood_is_dropped",
        ],
    ),
    row(5, "any other kind is told by its number", &["sorting:the_log_names_the_number_of_an_unknown_kind"]),
    row(
        5,
        "other hosts send nothing as programs of this one",
        &["main:s149_s151_s152_s153_what_is_not_understood_is_dropped"],
    ),
    row(
        5,
        "who a program is, or says it is, is not looked at",
        &["sorting:whom_a_program_claims_to_be_is_not_looked_at"],
    ),
    row(6, "the triggers of a change", &["servers:what_makes_it_change_the_server"]),
    row(6, "the steps of a change", &["servers:a_change_of_server_stops_all_packets_and_keeps_them"]),
    row(6, "a suggestion counts if it is in the list", &["answers:a_farewell_may_name_a_server_of_the_list"]),
    row(6, "back to the primary after a few", &["servers:another_server_is_never_the_one_that_is_left"]),
    row(6, "a list of one", &["servers:the_only_server_is_greeted_again"]),
    row(6, "of several another one", &["servers:another_server_is_never_the_one_that_is_left"]),
    row(
        6,
        "fault of C: endless where all entries are equal",
        &["servers:entries_that_are_all_the_same_are_one_server", "names:two_names_of_one_server_are_one"],
    ),
    row(
        6,
        "fault of C: resolving and sleeping block everything",
        &["servers:nothing_waits_for_the_name_service", "names:a_look_up_that_never_ends_keeps_nothing_back"],
    ),
    row(6, "the waits for a greeting", &["servers:greetings_become_rarer_with_each_round"]),
    row(6, "any answer of the server begins them anew", &["servers:any_answer_of_the_server_begins_the_waits_anew"]),
    row(7, "only from the current server's address and port", &["answers:only_the_current_server_is_listened_to"]),
    row(7, "what is taken is counted", &["answers:packets_of_the_server_are_counted"]),
    row(7, "an answer ends booting", &["answers:the_first_answer_of_a_server_ends_booting"]),
    row(
        7,
        "fault of C: whatever comes from a server's address shows that it is there",
        &[
            "answers:what_answers_nothing_shows_no_server",
            "answers:what_answers_nothing_keeps_no_dead_server",
            "answers:an_answer_to_a_greeting_counts_once_and_from_whom_was_greeted",
        ],
    ),
    row(7, "answers to greetings go to nobody", &["answers:the_answer_to_a_greeting_goes_to_nobody"]),
    row(
        7,
        "fault of C: a user's notice with such an opcode is never answered",
        &[
            "answers:answers_to_notices_with_a_greetings_opcode_reach_their_program",
            "main:a_users_notice_with_a_greetings_opcode_is_answered",
        ],
    ),
    row(
        7,
        "an answer ends its packet, and goes to the program of an ACKED one",
        &["answers:an_answer_ends_what_it_answers_and_goes_to_who_wanted_one"],
    ),
    row(7, "an answer to nothing is told", &["answers:an_answer_to_nothing_is_told"]),
    row(7, "to where the packet came from", &["answers:an_answer_goes_where_the_packet_came_from"]),
    row(7, "SHUTDOWN", &["main:s154_a_server_that_goes", "answers:a_farewell_may_name_a_server_of_the_list"]),
    row(
        7,
        "fault of C: any number of SHUTDOWN, each at once",
        &[
            "answers:a_server_that_does_nothing_but_go_is_greeted_seldom",
            "answers:farewells_in_a_row_are_not_believed",
            "answers:a_farewell_that_is_not_believed_at_once_is_looked_into",
        ],
    ),
    row(7, "PING", &["main:s155_ping", "answers:a_question_is_answered_as_it_is"]),
    row(7, "any other order is told", &["answers:an_order_of_the_server_that_is_none_is_told"]),
    row(
        7,
        "the queue goes out when there is a server again, by new waits; fault of C: the newest first",
        &["answers:what_is_kept_goes_out_after_any_answer", "main:a_new_server_gets_the_oldest_first"],
    ),
    row(8, "packets are counted", &["programs:packets_of_programs_are_counted"]),
    row(
        8,
        "a flushed host boots first",
        &["programs:the_first_packet_after_a_flush_boots_the_host", "main:s147_flush_and_a_new_beginning"],
    ),
    row(
        8,
        "FLUSH and NEWSERV by their opcodes, and no reply",
        &["programs:orders_are_told_by_their_opcodes_alone", "users:only_root_orders_what_concerns_several_users"],
    ),
    row(8, "any other order is told", &["programs:orders_are_told_by_their_opcodes_alone"]),
    row(8, "HMACK: the header, no body", &["programs:an_acknowledgement_has_the_packets_header"]),
    row(8, "HMACK: the source's port for a missing one", &["main:the_source_port_stands_in_for_a_missing_port"]),
    row(8, "none for UNSAFE", &["main:s145_s146_who_does_not_want_answers_gets_none"]),
    row(8, "forwarded octet for octet", &["programs:packets_are_forwarded_octet_for_octet"]),
    row(
        8,
        "queued, unless it is already; then only forwarded",
        &["main:the_same_packet_again_is_forwarded_and_kept_once", "queue:a_repeated_packet_is_one_packet"],
    ),
    row(8, "HMACK says nothing of the server", &["programs:packets_are_acknowledged_without_a_server"]),
    row(
        8,
        "found by uid",
        &["queue:an_answer_to_one_packet_is_none_to_another", "users:a_packet_with_anothers_uid_is_another_packet"],
    ),
    row(
        8,
        "fault of C: unbounded",
        &["queue:the_queue_has_a_bound", "outage:what_does_not_fit_is_refused_and_not_lost"],
    ),
    row(
        8,
        "resends at 2, 4, 8, 12 s, and at 20 s the server is left",
        &["queue:packets_are_sent_again_by_the_schedule", "main:resends_until_the_server_is_taken_for_dead"],
    ),
    row(
        8,
        "fault of C: what is never answered changes the server for ever",
        &[
            "queue:what_servers_never_answer_makes_no_server_dead",
            "main:an_unanswerable_packet_does_not_drive_the_host_from_server_to_server",
        ],
    ),
    row(8, "fault of C: blamed although it answers others", &["main:a_server_that_answers_others_is_not_given_up"]),
    row(
        8,
        "fault of C: no age",
        &["queue:packets_age_without_a_server", "outage:ten_thousand_packets_through_five_minutes_all_end"],
    ),
    row(
        9,
        "any STAT from anywhere is answered",
        &["statistics:statistics_are_given_for_any_question", "users:other_hosts_get_few_statistics"],
    ),
    row(9, "with the current version", &["statistics:statistics_have_the_current_version"]),
    row(9, "the ten lines", &["statistics:each_line_says_what_is_so", "main:s150_statistics"]),
    row(9, "it is not counted", &["programs:packets_of_programs_are_counted"]),
    row(10, "HUP: FLUSH, then BOOT with the next packet", &["statistics:a_hangup_flushes_and_the_next_packet_boots"]),
    row(
        11,
        "timers",
        &["queue:packets_are_sent_again_by_the_schedule", "servers:greetings_become_rarer_with_each_round"],
    ),
];

/// The table tells of tests that there are.
#[test]
fn every_statement_has_a_test() {
    let mut sections = std::collections::BTreeSet::new();
    for Row { section, statement, tests } in TABLE {
        assert!(!tests.is_empty(), "section {section}: {statement}");
        sections.insert(*section);
        for test in *tests {
            let (file, name) = test.split_once(':').unwrap();
            let (_, source) = FILES.iter().find(|(known, _)| *known == file).unwrap();
            assert!(
                source.contains(&format!("#[test]\nfn {name}()")),
                "section {section}: {statement}: there is no {test}"
            );
        }
    }
    assert_eq!(sections, (0..=11).collect());
}
