//! The front as a client sees it: raw bytes over real sockets, an echo behind it.
//!
//! # What went wrong with the server of `tiny_http`, and cannot here
//!
//! | fault | test |
//! |---|---|
//! | out of descriptors, accepting ends for good | `running_out_of_descriptors_passes`, `idle_connections_leave_descriptors_for_runs` |
//! | a thread cannot be started, the accepting one panics | `running_out_of_threads_passes` |
//! | clients that open at once wait for threads already taken | `clients_that_open_at_once_are_all_answered` |
//! | behind idle connections the next request hangs | `idle_connections_keep_no_request_waiting` |
//! | no time limit for reading, idling, writing | `slow_requests_and_idle_connections_are_ended`, `a_client_that_reads_nothing_is_cut_off` |
//! | no limit on a head's bytes | `what_is_too_large_is_refused_by_its_own_status`, `heads_without_end_cost_no_memory` |
//! | ambiguous framing smuggles requests | `no_request_is_smuggled` |
//! | folded lines, no Host, control bytes, and silence for a target that is not ASCII | `broken_framing_is_refused_and_nothing_behind_it_is_answered` |
//! | a line end within a header's value is written out | `handlers_cannot_break_the_answer`, `forged_headers_and_statuses_are_found` |
//! | an upgrade with a body never ends | `an_upgrade_with_a_body_is_an_ordinary_request` |
//! | a TLS handshake holds up accepting | `a_tls_handshake_is_refused_at_once_and_holds_nobody_up` |
//! | pipelining without reading takes all memory | `a_client_that_pipelines_and_never_reads_is_left_waiting`, `pipelining_without_reading_costs_no_memory` |
//! | `HTTP/2.0` leaks a thread and two descriptors | `requests_of_another_version_leave_nothing_behind` |
//! | a line of 200 MB, a million lines, a negative length | `heads_without_end_cost_no_memory`, `framing_is_read_strictly` |
//! | a thread for every idle connection | `ten_thousand_idle_connections_are_cheap` |
//!
//! # What the front promises
//!
//! | promise | test |
//! |---|---|
//! | a connection between requests has no thread | `ten_thousand_idle_connections_are_cheap` |
//! | heads are read without blocking, in whatever pieces they come | `requests_may_come_byte_by_byte`, `mutated_streams_mean_the_same_in_whatever_pieces_they_come` |
//! | a handler sees whole requests only | `bodies_that_trickle_are_ended_while_others_are_answered` |
//! | the limit of open files is raised | `the_limit_of_open_files_is_raised_at_the_start` |
//! | large bodies go to a file, under one budget for all | `bodies_of_all_sizes_come_whole`, `without_memory_bodies_go_to_disk_and_without_disk_they_are_refused` |
//! | what a slow reader leaves holds no worker | `a_slow_reader_holds_no_worker_and_gets_everything`, `answers_that_are_taken_by_the_byte_hold_no_worker`, `what_slow_readers_leave_goes_to_disk_when_memory_is_used_up` |
//! | workers and waiting requests are bounded | `requests_beyond_the_queue_are_told_to_come_back` |
//! | long requests have few threads of their own | `long_requests_are_few_and_leave_the_workers_alone` |
//! | a panic is a 500 and costs no thread | `handlers_cannot_break_the_answer` |
//! | connections are bounded, and the least needed makes room | `a_full_house_closes_the_longest_idle`, `a_house_full_of_unfinished_heads_lets_the_next_one_in` |
//! | 414, 431, 413 | `what_is_too_large_is_refused_by_its_own_status` |
//! | a head has its time, and so has a body | `heads_that_trickle_are_ended_while_others_are_answered`, `bodies_that_trickle_are_ended_while_others_are_answered`, `a_body_may_start_slowly_but_not_stay_slow` |
//! | one Host, one length, one coding, no fold, no control bytes | `broken_framing_is_refused_and_nothing_behind_it_is_answered`, `framing_is_read_strictly` |
//! | the value of Host is not parsed | `odd_but_sound_requests_are_answered` |
//! | what breaks a rule is 400 and the end of its connection | `broken_framing_is_refused_and_nothing_behind_it_is_answered`, `no_request_is_smuggled` |
//! | `100 Continue` before the body is read | `continue_is_said_when_the_body_is_awaited_and_wanted` |
//! | a body nobody wants is refused before it comes | `a_body_that_the_handler_does_not_want_is_refused_before_it_comes`, `who_goes_on_sending_what_was_refused_is_cut_off` |
//! | pipelined requests are answered in order, one at a time | `pipelined_requests_are_answered_in_order_and_one_at_a_time` |
//! | headers are checked on the way out | `handlers_cannot_break_the_answer`, `framing_headers_of_handlers_are_left_out` |
//! | HEAD, 204 and 304 carry no body | `head_requests_get_the_head_alone`, `answers_are_framed_as_the_request_allows` |
//! | an unknown length goes out in chunks, each piece at once | `answers_are_framed_as_the_request_allows`, `each_piece_of_a_stream_leaves_at_once` |
//! | TCP and a socket file, which tells who connects | `socket_files_tell_who_is_there` |
//! | sockets passed by systemd | `sockets_that_systemd_passes_are_taken` |
//! | authentication cannot be switched off | `nothing_that_can_be_typed_switches_keys_off` |
//! | stopping answers what has begun and is over in time | `stopping_answers_what_has_begun_and_closes_the_rest`, `stopping_is_over_in_time_whatever_clients_and_handlers_do` |

use std::fs;
use std::path::Path;

mod answers;
mod bodies;
mod coming_and_going;
mod crowd;
mod exhaustion;
mod framing;
mod requests;
mod slow;
mod smuggling;

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
}

fn post(target: &str, headers: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: h\r\n{headers}\r\n{body}")
}

#[test]
fn the_tables_above_name_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: String =
        ["tests/it", "tests/it/front", "src/http"].iter().map(|folder| text_of(&root.join(folder))).collect();
    let rows: Vec<&str> = include_str!("mod.rs").lines().filter(|line| line.starts_with("//! | ")).collect();
    assert!(rows.len() > 40);
    for row in rows {
        let Some(tests) = row.trim_end_matches(" |").rsplit("| ").next().filter(|last| *last != "test")
        else {
            continue;
        };
        for test in tests.split(", ") {
            assert!(sources.contains(&format!("fn {}()", test.trim_matches('`'))), "{row}");
        }
    }
}

/// The Rust files of a folder, one after the other.
fn text_of(folder: &Path) -> String {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}
