#!/usr/bin/env bash
# Weakens the protocol in one place at a time, in a scratch copy, and expects the loom models to
# notice: what no model fails for, no model checks. Runs every night; at most 2 hours. Arguments:
# see mutate.sh.
#
# fault 100
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/loom-mutants"
export RUSTFLAGS="--cfg loom" RUST_BACKTRACE=0 LOOM_FULL=1
. ci/mutate.sh

# Compiled often and run shortly: the models themselves unoptimised, loom as always.
quick=(--config profile.release.package.ipc-shm.opt-level=0
    --config profile.release.package.ipc-shm.debug=false
    --config profile.release.package.ipc-thread.opt-level=0
    --config profile.release.package.ipc-thread.debug=false)

judge() {
    local package=ipc-shm
    case $1 in array::* | list::* | meet::*) package=ipc-thread ;; esac
    if (cd "$tree" && cargo test --quiet --release "${quick[@]}" -p "$package" --test loom -- "$@") \
        >"$log" 2>&1; then
        echo "$name: MISSED"
        return 1
    elif grep -qE '^test result: FAILED|signal: 6' "$log"; then
        echo "$name: caught by $(sed -n 's/^    \([a-z_]*::[a-z_]*\)$/\1/p' "$log" | sort -u | tr '\n' ' ')"
    else
        echo "$name: DOES NOT BUILD"
        grep -m 3 -A 5 '^error' "$log" || true
        return 1
    fi
}

# Orderings and steps of the ring.
mutant ready-relaxed ipc-shm/src/channel/ring.rs 1 's/(to.state.store\(slot::ready\(q\), )Release/\1Relaxed/' 'ring::two_sends'
mutant receive-slot-relaxed ipc-shm/src/channel/ring.rs 1 's/^( {20}let state = memory.state\(q\).load\()Acquire/\1Relaxed/' 'ring::each'
mutant send-slot-relaxed ipc-shm/src/channel/ring.rs 1 's/(self.memory.state\(q\).load\()Acquire(\) == slot::free\(q\) \{)$/\1Relaxed\2/' 'ring::messages'
mutant send-tail-relaxed ipc-shm/src/channel/ring.rs 3 's/(let mut t = self.memory.tail\(\).load\()Acquire/\1Relaxed/; s/(let now = self.memory.tail\(\).load\()Acquire/\1Relaxed/; s/(self.memory.tail\(\).compare_exchange\(t, claim\(q, found, me.id\), )AcqRel, Acquire/\1Release, Relaxed/' 'ring::an_old'
mutant receive-head-relaxed ipc-shm/src/channel/ring.rs 3 's/(let mut h = memory.head\(\).load\()Acquire/\1Relaxed/; s/(let now = memory.head\(\).load\()Acquire/\1Relaxed/; s/(memory.head\(\).compare_exchange\(h, claim\(q, found, me.id\), )AcqRel, Acquire/\1Release, Relaxed/' 'ring::an_old'
mutant free-relaxed ipc-shm/src/channel/ring.rs 1 's/(from.state.store\(freed, )Release(\); .. Release: RING-E2. The)/\1Relaxed\2/' 'ring::messages'
mutant block-slot-free-relaxed ipc-shm/src/channel/ring.rs 1 '/kill_point!\("receive.lent"\)/,/kill_point!\("receive.block"\)/s/Release/Relaxed/' 'blocks::disconnected'
mutant send-unsigned ipc-shm/src/channel/ring.rs 1 's/^( {16})self.sign_writers\(t\);/\1();/' 'crashes::a_sender'
mutant receive-unsigned ipc-shm/src/channel/ring.rs 1 's/^( {16,20})self.sign_readers\(h\);/\1();/' 'crashes::a_receiver'
mutant ready-before-written ipc-shm/src/channel/ring.rs 1 '/kill_point!\("send.claimed"\)/,/kill_point!\("send.written"\)/s/write\(to, q\);/to.state.store(slot::ready(q), Release); write(to, q);/' 'ring::messages'
mutant publishes-downwards ipc-shm/src/channel/ring.rs 2 '/^        let mut q = first;$/,/me.last.store/{s/let mut q = first;/let mut q = (1..found).fold(first, |q, _| g.next(q));/; s/q = g.next\(q\);/q = g.prev(q);/}' 'ring::a_batch crashes::a_sender_that_dies_in'
mutant signs-downwards ipc-shm/src/channel/ring.rs 2 '/fn sign_writers_slow/,/^    }/{s/let mut q = .*$/let mut q = self.memory.geometry.prev(pos(t));/; s/q = self.memory.geometry.next\(q\);/q = self.memory.geometry.prev(q);/}' 'crashes::a_signer'
mutant void-not-signed ipc-shm/src/channel/ring.rs 1 's/slot::VOID if state == slot::void\(q\) =>/slot::VOID if state == 1 =>/' 'crashes::a_void'
mutant lost-not-looked-for ipc-shm/src/channel/ring.rs 1 's/if state == block::lost\(pos\(state\)\)/if state == u64::MAX/' 'blocks::a_dead_receivers'
mutant reminder-ignored ipc-shm/src/channel/ring.rs 1 's/if memory.orphan_seq\(\).load\(Relaxed\) != me.orphans_seen.load\(Relaxed\)/if false/' 'crashes::an_orphan'
mutant last-before-publish ipc-shm/src/channel/ring.rs 1 's/kill_point!\("send.claimed"\);/me.last.store(g.next(q), Release);/' ring::threads
mutant last-before-free ipc-shm/src/channel/ring.rs 1 's/kill_point!\("receive.claimed"\);/me.last.store(g.next(q), Release);/' ring::threads
mutant void-freed-by-store ipc-shm/src/channel/ring.rs 1 's/let _ = memory.state\(q\).compare_exchange\(slot::void\(q\), freed, AcqRel, Relaxed\);/memory.state(q).store(freed, Release);/' 'ring::a_late'
mutant slot-freed-before-lent ipc-shm/src/channel/ring.rs 1 's/kill_point!\("receive.lend"\);/from.state.store(freed, Release); &/' 'blocks::disconnected blocks::a_dead_receivers blocks::a_message'
mutant orphan-adopted-by-store ipc-shm/src/channel/ring.rs 1 's/self.memory.state\(p\).compare_exchange\(from, to, AcqRel, Relaxed\).is_ok\(\)/{ let _ = from; self.memory.state(p).store(to, Release); true }/' 'crashes::of_two_adopters'
mutant lost-adopted-by-store ipc-shm/src/channel/ring.rs 1 's/lost.state.compare_exchange\(from, to, AcqRel, Relaxed\).is_ok\(\)/{ let _ = from; lost.state.store(to, Release); true }/' 'blocks::of_two_adopters'
mutant scan-before-orphan-seq ipc-shm/src/channel/ring.rs 1 's/me.orphans_seen.store\(seq, Relaxed\);/let _ = seq; me.orphans_seen.store(self.memory.orphan_seq().load(Acquire), Relaxed);/' 'crashes::an_orphan_made'
mutant orphan-seq-relaxed ipc-shm/src/channel/ring.rs 1 's/(let seq = self.memory.orphan_seq\(\).load\()Acquire/\1Relaxed/' 'crashes::an_orphan'
mutant disconnected-ignores-lent ipc-shm/src/channel/ring.rs 1 's/block::LENT => owner\(state\) == me,/block::LENT => true,/' 'blocks::disconnected'
mutant disconnected-ignores-slots ipc-shm/src/channel/ring.rs 1 's/kind\(self.memory.slot_at\(index\).state.load\(Acquire\)\) != slot::FREE/false/' blocks::disconnected

# A value with one writer.
mutant seq-reader-no-fence ipc-shm/src/value/seq.rs 1 's/^        fence\(Ordering::Acquire\);$//' latch::a_reading
mutant seq-writer-no-fence ipc-shm/src/value/seq.rs 1 's/^        fence\(Ordering::Release\);$//' latch::a_reading
mutant seq-complete-relaxed ipc-shm/src/value/seq.rs 1 's/(self.seq.store\(number, Ordering::)Release/\1Relaxed/' latch::a_reading
mutant seq-no-look-back ipc-shm/src/value/seq.rs 1 's/now.wrapping_sub\(number\) < COPIES - 1/now <= u64::MAX/' latch::a_reading
mutant seq-looks-too-late ipc-shm/src/value/seq.rs 1 's/(now.wrapping_sub\(number\) < COPIES) - 1/\1/' latch::a_reading
mutant seq-writes-the-last ipc-shm/src/value/seq.rs 1 's/(copy::write_bytes\(self.copy\()number/\1last/' latch::a_killed

# Blocks. Not the Release of `InFlight`: the store of `Ready` comes after it, and carries it to
# every reader.
mutant block-free-relaxed ipc-shm/src/channel/pool.rs 1 's/(store\(block::FREE, )Release/\1Relaxed/' 'blocks::a_block'
mutant loan-relaxed ipc-shm/src/channel/pool.rs 1 's/(block::held\(me.id\), )AcqRel/\1Relaxed/' 'blocks::a_block'

# Sleeping and waking.
mutant ring-no-fence ipc-wait/src/bell.rs 1 's/Barrier::Ours => fence\(SeqCst\),/Barrier::Ours => (),/' 'bells::a_sleeping'
mutant register-no-fence ipc-wait/src/bell.rs 1 's/fence\(SeqCst\); (.. S2)/\1/' 'bells::a_sleeping'
# Not the fence in `wake_all`: `wake_all` always changes the word, so it is ordered with every
# registration anyway.
mutant unregister-any-seq ipc-wait/src/bell.rs 1 's/while seq\(w\) == ticket.seq \&\& tokens/while tokens/' bells::a_waiter_that
mutant ring-keeps-seq ipc-wait/src/bell.rs 1 's/(let notified = wait_word\(arms\(w\), tokens\(w\) - k, seq\(w\))\.wrapping_add\(1\)/\1/' 'bells::a_sleeping'
mutant ring-drops-tokens ipc-wait/src/bell.rs 1 's/if woken == 0 \{/if true {/' 'bells::two_messages'

mutant leave-keeps-wake-up ipc-wait/src/bell.rs 1 's/^            self.ring\(1, barrier\);$/let _ = barrier;/' 'select::a_selector_passes'

# Waiters with bell sockets.
in_sockets=ipc-wait/src/sockets.rs
mutant arm-relaxed $in_sockets 1 's/compare_exchange\(w, armed, SeqCst, Relaxed\)/compare_exchange(w, armed, Relaxed, Relaxed)/' 'bells::two_wakers bells::a_process'
mutant arm-word-first $in_sockets 2 's/^        self.sockets.set\(id\);$//; s/^        kill_point!\("arm.armed"\);/        self.sockets.set(id);/' 'bells::two_wakers bells::a_process'
mutant bits-unordered $in_sockets 1 's/let mut w = self.bell.word.load\(Acquire\);$/let mut w = self.bell.word.load(Relaxed);/' 'bells::two_wakers bells::a_process'
mutant none-keeps-seq $in_sockets 1 's/(let none = wait_word\(0, tokens\(w\), seq\(w\))\.wrapping_add\(1\)/\1/' 'bells::two_wakers'
mutant none-blindly $in_sockets 1 's/while arms\(w\) == arms\(before\) \&\& seq\(w\) == seq\(before\)/while before != 0/' 'bells::two_wakers bells::a_process'
mutant surplus-drops-sockets ipc-wait/src/bell.rs 1 's/wait_word\(arms\(notified\), 0,/wait_word(0, 0,/' 'bells::a_token_without'
mutant leave-on-socket-keeps-wake-up $in_sockets 1 's/^            self.ring\(1, barrier\);$/let _ = barrier;/' 'bells::a_wake_of_a'
mutant threads-only $in_sockets 1 's/if woken < n \{/if woken == 0 \&\& n == u32::MAX {/' 'bells::a_process bells::two_messages_wake_a'
mutant refused-is-delivered $in_sockets 1 's/woken \+= u32::from\(self.call\((.*)\)\);/{ self.call(\1); woken += 1; }/' 'bells::a_dead_process'
mutant claimed-twice $in_sockets 1 's/if word.fetch_and\(!bit, AcqRel\) \& bit != 0 \{/word.fetch_and(!bit, AcqRel); if bit != 0 {/' 'bells::'
mutant death-calls-no-one ipc-shm/src/channel/memory.rs 1 's/self.sockets\(Side::Receivers\).call_everyone\(\);//' 'bells::a_dead_wakers'

# Channels between threads.
in_array=ipc-thread/src/array.rs in_list=ipc-thread/src/list.rs in_meet=ipc-thread/src/meet.rs
mutant thread-ready-relaxed $in_array 1 's/(state.store\(state\(self.at, READY\), )Release/\1Relaxed/' array::a_message_arrives
mutant thread-free-relaxed $in_array 1 '/fn take/,/^    \}/s/(FREE\), )Release/\1Relaxed/' array::room
mutant thread-silent ipc-thread/src/ends.rs 1 '/fn publish/,/^    \}/s/self.0.shared.ring\(Side::Receivers, 1\);//' array::a_message_arrives
mutant thread-room-untold ipc-thread/src/ends.rs 1 '/fn recv_now/,/^    \}/s/^                self.room\(\);//' array::room
mutant thread-claim-relaxed $in_array 1 's/(state\(at, CLAIMED\), state\(at, READY\), )AcqRel, Acquire/\1Relaxed, Relaxed/' array::a_claimed
mutant thread-void-forgotten $in_array 1 's/^( *)slot.state.store\(state\(at, VOID\), Release\);/\1();/' array::a_void
mutant thread-returned-unflagged $in_array 1 's/self.head.0.fetch_or\(RETURNED, AcqRel\);/();/' array::a_message_that_is
mutant thread-returned-unordered $in_array 1 's/other > at\)/other < at)/' array::of_two
mutant thread-claim-outlives $in_array 1 's/state\(head, ABANDONED\), AcqRel/claimed, AcqRel/' array::a_claim_meets
mutant thread-end-silent ipc-thread/src/shared.rs 1 's/self.0.bell\(self.1\).wake_all\(\);//' 'array::the_last'
mutant thread-end-unseen ipc-thread/src/ends.rs 1 's/self.recv_now\(\).ok_or\(RecvTimeoutError::Disconnected\)/Err(RecvTimeoutError::Disconnected)/' array::the_last_sender
mutant list-ready-relaxed $in_list 1 's/(slot.state.store\(READY, )Release/\1Relaxed/' list::a_message_arrives
mutant list-linked-late $in_list 2 's/^            here.next.store\(next, Release\);.*$//; s/^        slot.state.store\(READY, Release\);.*$/&if offset + 1 == SLOTS { here.next.store(self.tail.0.block.load(Relaxed), Release); }/' 'list::two_receivers list::a_freed'
mutant list-freed-early $in_list 1 's/(fetch_add\(1, AcqRel\) \+ )1 == SLOTS/\12 == SLOTS/' list::two_receivers
mutant list-read-relaxed $in_list 1 's/read.fetch_add\(1, AcqRel\)/read.fetch_add(1, Relaxed)/' 'list::a_freed list::two_receivers'
mutant meet-relaxed $in_meet 1 '/fn complete\(/,/^    \}/s/AcqRel/Relaxed/' meet::a_sender
mutant meet-end-silent $in_meet 2 's/^        waiting.iter\(\).for_each\(.*$//' meet::the_last

# Membership, leaving, repair.
mutant settle-no-fence ipc-shm/src/channel/membership.rs 1 's/^        fence\(SeqCst\);$//' 'members::of_the_last_two_senders'
mutant settle-by-store ipc-shm/src/channel/membership.rs 1 's/self.word.compare_exchange\(m, flags, AcqRel, Relaxed\).is_err\(\)/{ self.word.store(flags, Release); false }/' 'members::a_process_that_joins'
mutant join-without-cas ipc-shm/src/channel/membership.rs 1 's/match self.word.compare_exchange\(m, m.wrapping_add\(members::SEQ\), AcqRel, Acquire\)/match Ok::<u64, u64>(m)/' 'members::a_process_that_joins'
mutant join-without-close ipc-shm/src/channel/membership.rs 1 '/kill_point!\("join.joined"\)/,/self.close/s/self.close\(\);/();/' 'members::a_sender_that'
mutant leave-without-discard ipc-shm/src/channel/recovery.rs 1 '/pub\(crate\) fn leave\(/,/kill_point!\("leave.free"\)/s/self.discard\(\);/();/' 'members::a_message'
mutant forgotten-kept ipc-shm/src/channel/recovery.rs 1 '/pub\(crate\) fn leave\(/,/kill_point!/s/self.give_back_forgotten\(\);/();/' 'blocks::a_forgotten'
mutant repair-without-lease ipc-shm/src/channel/recovery.rs 1 's/if !leases.try_repair\(dead\)/if !leases.try_repair(dead) \&\& false/' 'crashes::of_two_recoverers members::an_id'
mutant repair-does-not-sign ipc-shm/src/channel/recovery.rs 1 's/^ {16}ring.sign_writers\(t\);/();/' 'crashes::a_dead'
mutant owner-kept ipc-shm/src/channel/recovery.rs 1 's/let cleared = claim\(pos\(t\), 0, 0\)/let cleared = claim(pos(t), 0, o)/' crashes::of_two_recoverers
mutant no-orphan-seq ipc-shm/src/channel/recovery.rs 1 '/7. Always/,/kill_point!/s/self.memory.orphan_seq\(\).fetch_add\(1, AcqRel\);/();/' 'crashes::an_orphan'
mutant repair-is-silent ipc-shm/src/channel/recovery.rs 1 '/kill_point!\("recover.orphans"\)/,/kill_point!\("recover.free"\)/s/self.memory.ring_after_death\(\);/();/' 'bells::a_repair'
mutant in-flight-kept ipc-shm/src/channel/recovery.rs 1 '/kill_point!\("clean.in_flight"\)/,/\}/s/found.state.store\(block::FREE, Release\);/();/' 'blocks::a_dead_senders'
mutant lent-slot-kept ipc-shm/src/channel/recovery.rs 1 '/kill_point!\("clean.lent_slot"\)/,/\}/s/memory.state\(p\).store\(.*\);/();/' 'blocks::a_dead'
mutant lent-freed ipc-shm/src/channel/recovery.rs 1 's/found.state.store\(block::lost\(p\), Release\);/found.state.store(block::FREE, Release);/' 'blocks::a_dead_receivers'
mutant forgotten-after-discard ipc-shm/src/channel/recovery.rs 2 '/pub\(crate\) fn leave\(/,/kill_point!\("leave.freed"\)/{s/^        self.give_back_forgotten\(\);$//; s/^        kill_point!\("leave.clean"\);/        self.give_back_forgotten();/}' 'blocks::what_the_last'
mutant held-kept ipc-shm/src/channel/recovery.rs 1 '/kill_point!\("clean.held"\)/,/\}/s/found.state.store\(block::FREE, Release\);/();/' 'blocks::a_dead_senders'

# Locks.
mutant lock-relaxed ipc-shm/src/lock/raw/mutex.rs 2 's/(compare_exchange\((0|w), me, )Acquire/\1Relaxed/' locks::a_mutex
mutant unlock-relaxed ipc-shm/src/lock/raw/mutex.rs 1 's/(self.state.swap\(0, )Release/\1Relaxed/' locks::a_mutex
mutant slept-uncontended ipc-shm/src/lock/raw/mutex.rs 1 's/if parking.slept \{ me . CONTENDED \} else \{ me \}/me/' locks::each_of_three
mutant unlock-silent ipc-shm/src/lock/raw/mutex.rs 1 's/^        env.wake\(self.state, 1\);//' locks::a_mutex
mutant taken-over-by-store ipc-shm/src/lock/raw/mutex.rs 1 's/if self.state.compare_exchange\(w, mine . CONTENDED, Acquire, Relaxed\).is_err\(\) \{/self.state.store(mine | CONTENDED, Release); if false {/' 'locks::a_dead_holders_mutex locks::a_try'
mutant taken-over-as-updating ipc-shm/src/lock/raw/mutex.rs 1 's/let mine = if updating \{ me \} else \{ holder\(me\) \};/let mine = me;/' locks::a_death_while
mutant update-marks ipc-shm/src/lock/raw/mutex.rs 1 's/^        if !updating \{/        if true {/' locks::a_death_in_an_update
mutant death-unmarked ipc-shm/src/lock/raw/mutex.rs 1 's/^            self.mark.store\(.*$//' locks::a_dead_holders_mutex
mutant count-relaxed ipc-shm/src/lock/raw/rwlock.rs 1 '/^        kill_point!\("read.counted"\);/,/^        Ok/s/model_fence\(\);//' locks::a_writer
mutant turn-unordered ipc-shm/src/lock/raw/rwlock.rs 1 '/kill_point!\("turn.claimed"\);/,/return/s/model_fence\(\);//' locks::a_writer
mutant count-first ipc-shm/src/lock/raw/rwlock.rs 1 's/if again \|\| admits\(self.turn.load\(SeqCst\)\)/if true/' locks::a_writer
mutant uncount-relaxed ipc-shm/src/lock/raw/rwlock.rs 2 's/compare_exchange\(found, found - 1, SeqCst, Relaxed\)/compare_exchange(found, found - 1, Relaxed, Relaxed)/; /kill_point!\("read.uncounted"\);/,/Ok/s/model_fence\(\);//' locks::a_writer
mutant highest-unraised ipc-shm/src/lock/raw/rwlock.rs 1 's/^        self.highest.fetch_max\(id, SeqCst\);.*$//' locks::a_writer
mutant highest-late ipc-shm/src/lock/raw/rwlock.rs 2 's/self.raise_highest\(id\);/let _ = id;/; s/^        if again \|\| admits\(self.turn.load\(SeqCst\)\) \{/& self.raise_highest(u64::from(id(owner(me))));/' locks::a_writer
mutant drained-writer-asleep ipc-shm/src/lock/raw/rwlock.rs 1 's/^            self.wake_writer\(env\);//' locks::a_writer
mutant turn-relaxed ipc-shm/src/lock/raw/rwlock.rs 1 's/(let w = self.turn.swap\(0, )Release/\1Relaxed/' 'locks::a_writer locks::two_writers'
mutant readers-kept ipc-shm/src/lock/raw/rwlock.rs 1 's/if !check_deaths \|\| env.liveness\(owner\) != Liveness::Dead \{/if true {/' locks::a_dead_reader
mutant pending-poisons ipc-shm/src/lock/raw/rwlock.rs 1 's/let wrote = w \& MODE == ACTIVE;/let wrote = true;/' locks::a_dead_writer
mutant writer-unmarked ipc-shm/src/lock/raw/rwlock.rs 1 '/kill_point!\("turn.taken_over"\)/,/kill_point!\("turn.marked"\)/s/self.mark.store.*$//' locks::a_dead_writer
mutant deaths-ignored ipc-shm/src/lock/raw/condvar.rs 1 's/Parked::Elapsed if peer_died\(\) => \{/Parked::Elapsed if deaths == u64::MAX => {/' 'locks::a_dead_waiters_notification locks::a_notifier_that_dies locks::a_death_wakes'
mutant deaths-counted-late ipc-shm/src/lock/raw/condvar.rs 1 's/^( +)let mut slices = 0\.\.;/\1let deaths = env.deaths().max(deaths);\n\1let mut slices = 0..;/' locks::a_notifier_that_dies
mutant gives-up-silently ipc-shm/src/lock/raw/condvar.rs 1 '/fn give_up/,/^    \}/s/self.notify_one\(env\);//' locks::a_waiter_that_gives
mutant notify-silent ipc-shm/src/lock/raw/condvar.rs 1 '/kill_point!\("condvar.wake"\)/,/kill_point!/s/env.wake\(place, 1\);//' locks::one_that
mutant unsettled ipc-shm/src/lock/raw/semaphore.rs 1 '/fn settled/,/^    \}/s/self.settle\(g\)\?;//' locks::a_dead_holders_permit
mutant settled-twice ipc-shm/src/lock/raw/semaphore.rs 1 's/if after\(h\) != operation\(g\) \{/if false {/' 'locks::a_permit locks::a_dead_holders_permit'
mutant reclaimed-from-successor ipc-shm/src/lock/raw/semaphore.rs 1 's/if self.generation_of\(id\)\?.load\(Acquire\) != whose \{/if false {/' locks::a_dead_holders_permit_is_not
mutant permit-relaxed ipc-shm/src/lock/raw/semaphore.rs 5 's/(compare_exchange\(g, to, )AcqRel/\1Relaxed/; s/(let g = self.grant.load\()Acquire/\1Relaxed/' locks::a_permit
mutant second-permit-unwoken ipc-shm/src/lock/raw/semaphore.rs 2 's/if slept \&\& to \& PERMITS > 0 \{/if false {/; s/let waiters = if slept \{ WAITERS \} else \{ g \& WAITERS \};/let waiters = g \& WAITERS;/' locks::two_permits
mutant once-relaxed ipc-shm/src/lock/raw/once.rs 1 's/let w = self.state.swap\(to, Release\)/let w = self.state.swap(to, Relaxed)/' locks::once
mutant once-silent ipc-shm/src/lock/raw/once.rs 1 '/kill_point!\("once.ended"\)/,/kill_point!\("once.woken"\)/s/env.wake\(self.state, u32::MAX\);//' locks::once
mutant initialiser-not-followed ipc-shm/src/lock/raw/once.rs 1 '/kill_point!\("once.take_over"\)/,/kill_point!/s/self.state.compare_exchange.*is_ok\(\)/mine == 0/' locks::a_dead_initialiser
mutant event-relaxed ipc-shm/src/lock/raw/event.rs 1 's/(compare_exchange\(w, to, )AcqRel, Relaxed/\1Relaxed, Relaxed/' locks::an_event
mutant event-silent ipc-shm/src/lock/raw/event.rs 1 's/^            env.wake\(self.state, if self.auto .*$//' locks::an_event
mutant event-not-passed-on ipc-shm/src/lock/raw/event.rs 1 '/fn pass_on/,/^    }/s/^                env.wake\(self.state, 1\);//' locks::a_waiter_that_stops
mutant event-waiters-unmarked ipc-shm/src/lock/raw/event.rs 1 's/while self.auto && w & WAITERS == 0 \{/while self.auto \&\& w \& (WAITERS | SET) == SET {/' locks::a_waiter_for_several
mutant event-missed ipc-shm/src/lock/raw/event.rs 1 '/fn is_due/,/^    }/s/w & SET != 0 \|\| .*$/w \& SET != 0 || began == u64::MAX/' locks::a_manual_event
mutant event-unregistered ipc-shm/src/lock/raw/event.rs 1 '/fn register/,/^    }/s/while w & \(SET \| WAITERS\) == 0/while w \& (SET | WAITERS) == WAITERS | SET/' locks::a_waiter_for_several
mutant permit-not-passed-on ipc-shm/src/lock/raw/semaphore.rs 1 '/fn pass_on/,/^    }/s/env.wake\(self.grant, 1\);//' locks::a_waiter_that_stops
mutant permit-waiters-unmarked ipc-shm/src/lock/raw/semaphore.rs 1 '/fn pass_on/,/^    }/s/if self.add_waiters\(g\) \{/if g == g {/' locks::a_waiter_for_several
mutant mutex-not-passed-on ipc-shm/src/lock/raw/mutex.rs 1 '/fn pass_on/,/^    }/s/self.wake\(env\);//' locks::a_waiter_that_stops
mutant mutex-waiters-unmarked ipc-shm/src/lock/raw/mutex.rs 1 '/fn pass_on/,/^    }/s/self.contend\(\).is_none\(\)/self.is_free()/' locks::a_waiter_for_several
mutant drained-unlooked ipc-shm/src/lock/raw/rwlock.rs 1 '/fn finish_write/,/^    }/s/if self.any_reader\(env, false\) \{/if env.spins() > 0 {/' locks::waiters_for_several
mutant free-is-slept-on ipc-shm/src/lock/raw/mutex.rs 1 's/self.contend\(\).unwrap_or\(AWAKE\)/self.contend().unwrap_or(0)/' locks::a_waiter_for_several
mutant waiter-not-contended ipc-shm/src/lock/raw/mutex.rs 1 's/^    while keeps_out\(w\) && w & CONTENDED == 0 \{/    while w \& CONTENDED == w \& !CONTENDED \&\& keeps_out(w) {/' locks::a_waiter_for_several
mutant barrier-silent ipc-shm/src/lock/raw/barrier.rs 1 '/kill_point!\("barrier.pass"\)/,/kill_point!/s/env.wake\(self.state, u32::MAX\);//' locks::a_barrier
mutant dead-party-ignored ipc-shm/src/lock/raw/barrier.rs 2 's/if self.any_party_died\(env\) \{/if false {/' locks::a_dead_party

# Waiting for one of several ends. Rule by rule: one barrier, after all registrations and before the
# second look; a wake-up that is not used is passed on.
in_select=ipc-core/src/select.rs
mutant select-no-second-look $in_select 1 '/sound &= !barrier/,/return/s/if let Some\(done\) = attempts\(\) \{/if let (Some(done), false) = (None, false) {/' 'select::a_selector_is select::two_selectors'
mutant select-no-barrier $in_select 1 's/sound \&= !barrier \|\| self.sleeper.barrier\(\);/sound \&= !barrier || true;/' 'select::a_selector_is select::two_selectors'
mutant select-barrier-early $in_select 2 's/^( *)if let Some\(barrier\) = self.register\(\&mut registered\) \{/\1let early = self.sleeper.barrier();\n&/; s/sound \&= !barrier \|\| self.sleeper.barrier\(\);/sound \&= !barrier || early;/' 'select::a_selector_is select::two_selectors'
mutant select-passes-nothing $in_select 1 's/if used \{ Outcome::Used \} else \{ Outcome::Unused \}/if used { Outcome::Used } else { Outcome::Used }/' 'select::a_selector_passes'
mutant select-keeps-tickets $in_select 1 's/let notified = \|one: .*$/let notified = |_: \&mut Registration<\x27_>| { let _ = end; false };/' 'select::'
mutant select-sleeps-on-one $in_select 1 's/registered.iter\(\).flatten\(\).map\(/registered.iter().flatten().take(1).map(/' 'select::a_selector_is'
# Rule 4: a waker that wakes no thread drops only tokens that are older than its `seq`.
mutant surplus-newer-too ipc-wait/src/bell.rs 1 's/^( {28})notified,$/\1self.word.load(Relaxed),/' 'bells:: select::'

# Claims that are kept.
mutant kept-place-is-last ipc-shm/src/channel/ring.rs 1 's/self.claim_to_send\(me, 1\).map\(\|\(pos, _\)\| pos\)/self.claim_to_send(me, 1).map(|(pos, _)| { me.last.store(self.memory.geometry.next(pos), Release); pos })/' 'select::a_place_that_is_kept'
mutant ready-late-relaxed ipc-shm/src/channel/ring.rs 1 's/(self.memory.state\(q\).store\(slot::ready\(q\), )Release/\1Relaxed/' 'select::a_message_in'
mutant kept-message-is-last ipc-shm/src/channel/ring.rs 1 's/^            if finished \{$/            if finished || true {/' 'select::messages_that'
mutant give-up-is-silent ipc-shm/src/channel/ring.rs 1 '/fn give_up/,/^    \}/s/self.memory.bell\(Side::Receivers\).wake_all\(\);/();/' 'select::a_receiver_that_sleeps'
mutant give-up-frees ipc-shm/src/channel/ring.rs 1 '/fn give_up/,/^    \}/s/slot::void\(q\)/slot::free(self.memory.geometry.next_lap(q))/' 'select::a_place_that_is_given_up'
mutant give-back-is-silent ipc-shm/src/channel/ring.rs 1 '/fn give_back_slot/,/^    \}/s/self.memory.bell\(Side::Receivers\).wake_all\(\);/();/' 'select::a_message_that_is_given_back'
mutant give-back-uncounted ipc-shm/src/channel/ring.rs 1 '/fn give_back_slot/,/^    \}/s/self.memory.orphan_seq\(\).fetch_add\(1, AcqRel\);.*$/();/' 'select::a_message_that_is_given_back'
mutant give-back-counted-first ipc-shm/src/channel/ring.rs 2 '/fn give_back_slot/,/^    \}/{s/self.memory.orphan_seq\(\).fetch_add\(1, AcqRel\);.*$/();/; s/self.memory.state\(q\).store\(slot::orphan\(q\), Release\);/self.memory.orphan_seq().fetch_add(1, AcqRel); &/}' 'select::a_message_that_is_given_back'

finish
