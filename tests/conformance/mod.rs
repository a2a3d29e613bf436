//! One suite of truths, every route: a channel is a channel, whatever carries its messages.
//!
//! A route is one line below. The suite sees it through [`routes::Route`]: a way to make a channel,
//! and a message type that counts. What only routes for any serde type can do is in `values`; what
//! does not depend on a route at all, in `errors`.

mod basics;
mod batches;
mod blocking;
mod disconnect;
mod errors;
mod full;
mod iterators;
mod lending;
mod many;
mod promptly;
mod routes;
mod values;

/// Each truth becomes a test of each route.
macro_rules! truths {
    ($($topic:ident: $($truth:ident)*;)*) => {
        $(mod $topic {
            $(#[test]
            fn $truth() {
                let _watchdog = testkit::watchdog();
                crate::conformance::$topic::$truth::<super::Route>();
            })*
        })*
    };
}

macro_rules! suite {
    ($($bound:ident { $($route:ident = $Route:ty;)* })*) => {
        $($(mod $route {
            #[allow(unused_imports, reason = "not every route names a message type of its own")]
            use crate::conformance::routes::*;

            type Route = $Route;

            truths! {
                basics:
                    smoke
                    an_empty_channel_is_reported_as_empty
                    same_channel_means_that
                    ends_print_what_they_are
                    ends_go_to_other_threads;
                blocking:
                    recv_waits_for_a_message
                    recv_times_out_in_time
                    many_short_timeouts_lose_nothing;
                disconnect:
                    receivers_drain_first
                    senders_get_their_message_back
                    blocked_receivers_wake
                    the_last_of_several_counts
                    neither_side_left_is_no_harm
                    the_error_says_which_side_and_why;
                full:
                    send_waits_for_room
                    send_times_out_in_time
                    a_full_channel_has_no_time_at_all
                    blocked_senders_get_their_messages_back
                    a_blocked_batch_comes_back;
                iterators:
                    iter_ends_with_the_senders
                    a_borrowed_receiver_iterates
                    an_owned_receiver_iterates
                    try_iter_takes_what_is_there
                    drain_takes_what_is_there_and_no_more;
                batches:
                    send_many_keeps_order_through_a_small_channel
                    send_many_of_nothing_is_nothing
                    recv_many_takes_at_most_max
                    recv_many_of_nothing_waits_for_nothing
                    try_recv_many_never_waits
                    recv_many_appends
                    unsent_messages_come_back;
                many:
                    one_to_one_in_order
                    many_to_one_each_once
                    one_to_many_each_once
                    many_to_many_each_once
                    capacity_one_under_stress
                    capacity_three_under_stress
                    batches_and_single_ones_mix
                    one_end_shared_by_threads
                    try_and_blocking_calls_mix
                    ping_pong;
                lending:
                    a_lent_message_is_delivered_once
                    dropping_the_guard_acknowledges
                    a_panic_with_a_guard_releases_it
                    guards_may_outnumber_the_capacity
                    lending_waits_and_times_out
                    a_lent_message_does_not_keep_the_channel_open;
            }
            $bound!();
        })*)*
    };
}

/// What more is true of a channel with a capacity.
macro_rules! with_a_capacity {
    () => {
        mod capacity {
            type Route = super::Route;

            truths! {
                full:
                    what_was_sent_is_inside
                    a_full_channel_gives_the_message_back;
                basics:
                    counts_follow_clones_and_drops
                    capacity_is_exact
                    len_tracks_what_is_inside
                    a_full_channel_gives_the_message_back
                    laps_do_not_matter;
                blocking:
                    send_waits_for_room
                    send_times_out_in_time
                    no_time_at_all_is_enough_for_what_is_there
                    deadlines_in_the_past_have_passed
                    endless_timeouts_wait_for_what_comes;
                disconnect:
                    a_blocked_sender_gets_its_message_back
                    every_blocked_sender_wakes;
                iterators:
                    a_drain_that_is_dropped_ends;
                batches:
                    a_blocked_batch_comes_back;
                promptly:
                    what_a_thread_has_sent_can_be_received_at_once
                    what_a_thread_has_received_leaves_room_at_once
                    what_len_counts_the_only_receiver_gets_at_once;
            }
        }
    };
}

/// What more is true of a channel that the kernel's buffer bounds.
macro_rules! with_a_buffer {
    () => {
        mod buffer {
            type Route = super::Route;

            truths! {
                basics:
                    counts_follow_clones_and_drops;
                full:
                    what_was_sent_is_inside
                    a_full_channel_gives_the_message_back
                    there_is_no_capacity;
            }
        }
    };
}

/// As a channel that the kernel's buffer bounds, but its messages are not counted, nor the ends in
/// other processes.
#[cfg(feature = "ipc-channel")]
macro_rules! with_a_buffer_only {
    () => {
        mod buffer {
            type Route = super::Route;

            truths! {
                full:
                    there_is_no_capacity;
            }
        }
    };
}

suite! {
    with_a_capacity {
        thread = Thread<u64>;
        shm = Shm<u64>;
        shm_large = Shm<Large>;
        typed = Typed<u64>;
        pod = Pod<u64>;
        pod_lines = Pod<[u64; 24]>;
        pod_large = Pod<[u64; 300]>;
    }
    with_a_buffer {
        pipe = Pipe<u64>;
        pipe_large = Pipe<Huge>;
        local = Local<u64>;
        anonymous = Anonymous<u64>;
        anonymous_large = Anonymous<Huge>;
    }
}

#[cfg(feature = "ipc-channel")]
suite! {
    with_a_buffer_only {
        ipc_channel = IpcChannel<u64>;
    }
}
