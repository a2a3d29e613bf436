#!/usr/bin/env bash
# Breaks one delicate line after another, in a copy, and expects the crash tests to notice.
#
#     ci/mutants.sh            all
#     ci/mutants.sh NAME...    some
#
# Each mutant: name | file in ipc-shm/src | what to look for | what to put there | the tests that must fail, those of
# `crash` if no other suite is named. The texts are Perl regular expressions over the whole file; a text that is not
# there is an error.
#
# fault 100
set -euo pipefail
cd "$(dirname "$0")/.."

mutants() {
    cat <<'EOF'
send-unsigned | ring.rs | self\.sign_writers\(t\); | | points::killed_while_sending
receive-unsigned | ring.rs | self\.sign_readers\(h\); | | points::killed_while_receiving
repair-unsigned | repair.rs | self\.sign_writers\(t\); | | points::killed_while_repairing
repair-readers-unsigned | repair.rs | self\.sign_readers\(h\); | | points::killed_while_repairing
block-in-flight-forgotten | repair.rs | == slot::writing\(p, o\) \{\s*kp!\("clean.in_flight | == slot::void(p) { kp!("clean.in_flight | points::killed_while_repairing
lent-freed-like-held | repair.rs | found\.state\.store\(block::lost\(p\), Release\); | found.state.store(block::FREE, Release); | points::killed_while_repairing
slot-of-lent-kept | repair.rs | if self\.state\(p\)\.load\(Acquire\) == slot::reading\(p, o\) | if false | points::killed_while_repairing
orphans-untold | repair.rs | self\.orphan_seq\(\)\.fetch_add\(1, AcqRel\);\s*kp!\("recover | kp!("recover | points::killed_while_repairing
entry-freed-first | repair.rs | kp!\("recover\.roles"\); | kp!("recover.roles"); entry.store(0, Release); | points::killed_while_repairing
held-forgotten | repair.rs | == block::held\(o\) | == block::lost(o) | points::killed_while_repairing
forgotten-untold | repair.rs | kp!\("leave\.orphans"\);\s*self\.orphan_seq\(\)\.fetch_add\(1, AcqRel\); | kp!("leave.orphans"); | points::killed_while_attaching
lent-is-no-message | ring.rs | block::LENT => owner\(state\) == me, | block::LENT => true, | stops::a_lent_message_holds_up
trim-before-acknowledging | pool.rs | self\.blocks\(\)\[index\]\.state\.store\(block::held\(me\), Release\); | let _ = me; | points::killed_with_large_messages
slot-guards-uncounted | hold.rs | self\.deliveries = 2; | | points::killed_while_receiving_plain_data
death-uncounted | member.rs | self\.table\.count_death\(\); | | locks/deaths::one_that_is_killed_before_it_notifies
death-uncounted-by-successor | member.rs | self\.count_death\(\); | | locks/deaths::who_is_killed_and_replaced
exit-taken-for-leaving | member.rs | self\.depart\(life::USED.*?ENDING\); | self.depart(0); | locks/deaths::who_ends_without
members-not-scanned | repair.rs | let flags = self\.settle_membership\(true\); | let flags = 0; | points::killed_as_the_last
EOF
}

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
export CARGO_TARGET_DIR="${MUTANTS_TARGET_DIR:-$copy/target}"
export RUSTFLAGS="--cfg killpoints" CRASH_KILLS=200
missed=0
while IFS='|' read -r name file from to tests; do
    name=${name// /} file=${file// /} tests=${tests// /}
    from=$(sed 's/^ *//; s/ *$//' <<<"$from") to=$(sed 's/^ *//; s/ *$//' <<<"$to")
    suite=crash
    if [[ $tests == */* ]]; then suite=${tests%%/*} tests=${tests#*/}; fi
    if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
    rm -rf "$copy/tree" && mkdir "$copy/tree"
    # With new times: what was restored must be compiled again.
    tar c --exclude ./target --exclude ./.git . | tar xm -C "$copy/tree"
    FROM="$from" TO="$to" perl -0pi -e '
        my ($from, $to) = @ENV{qw(FROM TO)};
        s/$from/$to/ or die "mutants: nothing to change in $ARGV\n";
    ' "$copy/tree/ipc-shm/src/$file"
    if ! (cd "$copy/tree" && cargo test --quiet --release --no-run --test "$suite") >"$copy/log" 2>&1; then
        echo "$name: does not compile"
        cat "$copy/log"
        exit 1
    fi
    if (cd "$copy/tree" && timeout 300 cargo test --quiet --release --test "$suite" "$tests") >"$copy/log" 2>&1; then
        echo "$name: MISSED by $tests"
        missed=$((missed + 1))
    else
        echo "$name: caught by $tests: $(grep -A1 -m1 "panicked at" "$copy/log" | tail -1)"
    fi
done < <(mutants)
exit $((missed > 0))
