#!/usr/bin/env bash
# Breaks one delicate line after another, in a copy, and expects the crash tests to notice.
# Arguments: see mutate.sh. MUTANTS_TARGET_DIR keeps what was compiled for the next time.
#
# fault 100
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/mutate.sh
export CARGO_TARGET_DIR="${MUTANTS_TARGET_DIR:-$scratch/target}"
export RUSTFLAGS="--cfg killpoints" CRASH_KILLS=200

# judge SUITE TESTS
judge() {
    local test=(cargo test --quiet --release --test "$1")
    if ! (cd "$tree" && "${test[@]}" --no-run) >"$log" 2>&1; then
        echo "$name: DOES NOT BUILD"
        cat "$log"
        return 1
    elif (cd "$tree" && timeout 300 "${test[@]}" "$2") >"$log" 2>&1; then
        echo "$name: MISSED by $(grep -c '^running [1-9]' "$log" || true) of $2"
        return 1
    fi
    echo "$name: caught by $2: $(grep -A1 -m1 "panicked at" "$log" | tail -1)"
}

in_ring=ipc-shm/src/ring.rs in_repair=ipc-shm/src/repair.rs in_members=ipc-shm/src/member.rs

# Signing, and the repair of a channel.
mutant send-unsigned $in_ring 1 's/^ *self.sign_writers\(t\);//' 'crash points::killed_while_sending'
mutant receive-unsigned $in_ring 1 's/^ *self.sign_readers\(h\);//' 'crash points::killed_while_receiving'
mutant repair-unsigned $in_repair 1 's/^ *self.sign_writers\(t\);//' 'crash points::killed_while_repairing'
mutant repair-readers-unsigned $in_repair 1 's/^ *self.sign_readers\(h\);//' 'crash points::killed_while_repairing'
mutant block-in-flight-forgotten $in_repair 1 's/(state == block::in_flight\(p\) .* == )slot::writing\(p, o\)/\1slot::void(p)/' 'crash points::killed_while_repairing'
mutant lent-freed-like-held $in_repair 1 's/found.state.store\(block::lost\(p\), Release\);/found.state.store(block::FREE, Release);/' 'crash points::killed_while_repairing'
mutant slot-of-lent-kept $in_repair 1 's/if self.state\(p\).load\(Acquire\) == slot::reading\(p, o\)/if false/' 'crash points::killed_while_repairing'
mutant orphans-untold $in_repair 1 '/kp!\("recover.cleaned"\)/,/kp!\("recover.orphans"\)/s/self.orphan_seq\(\).fetch_add\(1, AcqRel\);//' 'crash points::killed_while_repairing'
mutant entry-freed-first $in_repair 1 's/kp!\("recover.roles"\);/kp!("recover.roles"); entry.store(0, Release);/' 'crash points::killed_while_repairing'
mutant held-forgotten $in_repair 1 's/== block::held\(o\)/== block::lost(o)/' 'crash points::killed_while_repairing'
mutant forgotten-untold $in_repair 1 '/kp!\("leave.orphans"\)/,/\}/s/self.orphan_seq\(\).fetch_add\(1, AcqRel\);//' 'crash points::killed_while_attaching'
mutant lent-is-no-message $in_ring 1 's/block::LENT => owner\(state\) == me,/block::LENT => true,/' 'crash stops::a_lent_message_holds_up'
mutant trim-before-acknowledging ipc-shm/src/pool.rs 1 's/self.blocks\(\)\[index\].state.store\(block::held\(me\), Release\);/let _ = me;/' 'crash points::killed_with_large_messages'
mutant slot-guards-uncounted ipc-shm/src/hold.rs 1 's/self.deliveries = 2;//' 'crash points::killed_while_receiving_plain_data'
mutant members-not-scanned $in_repair 1 's/let flags = self.settle_membership\(true\);/let flags = 0;/' 'crash points::killed_as_the_last'

# Deaths, as the locks hear of them.
mutant death-uncounted $in_members 1 's/self.table.count_death\(\);//' 'locks deaths::one_that_is_killed_before_it_notifies'
mutant death-uncounted-by-successor $in_members 1 's/self.count_death\(\);//' 'locks deaths::who_is_killed_and_replaced'
mutant exit-taken-for-leaving $in_members 1 's/self.depart\(life::USED \| life::ENDING\);/self.depart(0);/' 'locks deaths::who_ends_without'

finish
