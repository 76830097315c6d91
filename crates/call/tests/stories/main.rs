//! Stories of single calls, one behaviour a file, in virtual time and without sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // A story that goes wrong fails.

mod a_full_mailbox;
mod amr;
mod b_does_not_take_the_call;
mod bridged_calls_end;
mod changes_pass_between_the_legs;
mod delayed_offer;
mod early_dialogs;
mod emergency_calls;
mod early_media;
mod foreign_formats_are_relayed;
mod hash_skips_the_hold;
mod held_on_the_greeting;
mod held_then_bridged;
mod hold_and_resume;
mod identity_stays_fresh;
mod keys_by_event_and_info;
mod loops;
mod no_answer_leaves_a_message;
mod no_clip_rings_at_once;
mod plain_calls_go_on;
mod redirected;
mod refused;
mod reliable_early_media;
mod renditions_fit_the_offer;
mod sent_on_to_the_mailbox;
mod several_targets;
mod stage;
mod star_prolongs_the_hold;
mod the_caller_gives_up;
mod the_early_phase_has_a_cap;
mod the_longest_call;
mod the_operator_hangs_up;
mod volte;
mod what_cannot_be_played;
mod what_ends_the_recording;
