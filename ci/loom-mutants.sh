#!/bin/sh
# Weakens the protocol in one place at a time, in a scratch copy, and expects the loom models to notice:
# what no model fails for, no model checks. Takes some minutes.
#
#   ci/loom-mutants.sh [name-prefix]
#
# fault 100
set -eu
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/tree"
cp -r Cargo.toml Cargo.lock README.md src benches ipc-core ipc-shm ipc-pipes "$scratch/tree"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/loom-mutants"
export RUSTFLAGS="--cfg loom" RUST_BACKTRACE=0
# Compiled often and run shortly: the models themselves unoptimised, loom as always.
quick='--config profile.release.package.ipc-shm.opt-level=0 --config profile.release.package.ipc-shm.debug=false'
only=${1:-}
missed=0

# name, file below ipc-shm/src, sed script, which models to run
mutant() {
    case $1 in "$only"*) ;; *) return 0 ;; esac
    file=$scratch/tree/ipc-shm/src/$2
    cp "$file" "$scratch/whole"
    sed -i -E "$3" "$file"
    if cmp -s "$file" "$scratch/whole"; then
        echo "$1: DOES NOT APPLY"
        missed=1
        return 0
    fi
    # shellcheck disable=SC2086
    if (cd "$scratch/tree" && cargo test --quiet --release $quick -p ipc-shm --test loom -- $4) >"$scratch/log" 2>&1; then
        echo "$1: MISSED"
        missed=1
    elif grep -q '^test result: FAILED' "$scratch/log"; then
        echo "$1: caught by $(sed -n 's/^    \([a-z_]*::[a-z_]*\)$/\1/p' "$scratch/log" | sort -u | tr '\n' ' ')"
    else
        echo "$1: DOES NOT BUILD"
        grep -m 3 -A 5 '^error' "$scratch/log" || true
        missed=1
    fi
    cp "$scratch/whole" "$file"
}

# Orderings and steps of the ring.
mutant ready-relaxed ring.rs 's/(store\(slot::ready\(q\), )Release/\1Relaxed/' 'ring::two_sends'
mutant receive-slot-relaxed ring.rs 's/^( {20}let state = self.state\(q\).load\()Acquire/\1Relaxed/' 'ring::each'
mutant send-slot-relaxed ring.rs 's/(self.state\(q\).load\()Acquire(\) == slot::free\(q\) \{)$/\1Relaxed\2/' 'ring::messages'
mutant send-tail-relaxed ring.rs 's/(let mut t = self.tail\(\).load\()Acquire/\1Relaxed/; s/(let now = self.tail\(\).load\()Acquire/\1Relaxed/; s/(claim\(q, found, hand.me\), )AcqRel, Acquire/\1Release, Relaxed/' 'ring::an_old'
mutant receive-head-relaxed ring.rs 's/(let mut h = self.head\(\).load\()Acquire/\1Relaxed/; s/(let now = self.head\(\).load\()Acquire/\1Relaxed/; s/(claim\(q, found, hand.me\), )AcqRel, Acquire/\1Release, Relaxed/' 'ring::an_old'
mutant free-relaxed ring.rs 's/(from.state.store\(freed, )Release(\); .. Release: E2. The)/\1Relaxed\2/' 'ring::messages'
mutant block-slot-free-relaxed ring.rs '/kp!\("receive.lent"\)/,/kp!\("receive.block"\)/s/Release/Relaxed/' 'blocks::disconnected'
mutant send-unsigned ring.rs 's/^( {16})self.sign_writers\(t\);/\1();/' 'crashes::a_sender'
mutant receive-unsigned ring.rs 's/^( {16,20})self.sign_readers\(h\);/\1();/' 'crashes::a_receiver'
mutant ready-before-written ring.rs '/kp!\("send.claimed"\)/,/kp!\("send.written"\)/s/write\(to, q\);/to.state.store(slot::ready(q), Release); write(to, q);/' 'ring::messages'
mutant publishes-downwards ring.rs '/^        let mut q = first;$/,/hand.last.store/{s/let mut q = first;/let mut q = (1..found).fold(first, |q, _| g.next(q));/; s/q = g.next\(q\);/q = g.prev(q);/}' 'ring::a_batch crashes::a_sender_that_dies_in'
mutant signs-downwards ring.rs '/fn sign_writers_slow/,/^    }/{s/let mut q = .*$/let mut q = self.geometry.prev(pos(t));/; s/q = self.geometry.next\(q\);/q = self.geometry.prev(q);/}' 'crashes::a_signer'
mutant void-not-signed ring.rs 's/slot::VOID if state == slot::void\(q\) =>/slot::VOID if state == 1 =>/' 'crashes::a_void'
mutant lost-not-looked-for ring.rs 's/if state == block::lost\(pos\(state\)\)/if state == u64::MAX/' 'blocks::a_dead_receivers'
mutant reminder-ignored ring.rs 's/if self.orphan_seq\(\).load\(Relaxed\) != hand.orphans_seen.load\(Relaxed\) \&\&/if false \&\&/' 'crashes::an_orphan'
mutant last-before-publish ring.rs 's/kp!\("send.claimed"\);/hand.last.store(g.next(q), Release);/' ring::threads
mutant last-before-free ring.rs 's/kp!\("receive.claimed"\);/hand.last.store(g.next(q), Release);/' ring::threads
mutant void-freed-by-store ring.rs 's/let _ = self.state\(q\).compare_exchange\(slot::void\(q\), freed, AcqRel, Relaxed\);/self.state(q).store(freed, Release);/' 'ring::a_late'
mutant slot-freed-before-lent ring.rs 's/kp!\("receive.lend"\);/from.state.store(freed, Release); &/' 'blocks::disconnected blocks::a_dead_receivers blocks::a_message'
mutant orphan-adopted-by-store ring.rs 's/self.state\(p\).compare_exchange\(from, to, AcqRel, Relaxed\).is_ok\(\)/{ let _ = from; self.state(p).store(to, Release); true }/' 'crashes::of_two_adopters'
mutant lost-adopted-by-store ring.rs 's/lost.state.compare_exchange\(from, to, AcqRel, Relaxed\).is_ok\(\)/{ let _ = from; lost.state.store(to, Release); true }/' 'blocks::of_two_adopters'
mutant scan-before-orphan-seq ring.rs 's/hand.orphans_seen.store\(seq, Relaxed\);/let _ = seq; hand.orphans_seen.store(self.orphan_seq().load(Acquire), Relaxed);/' 'crashes::an_orphan_made'
mutant orphan-seq-relaxed ring.rs 's/(let seq = self.orphan_seq\(\).load\()Acquire/\1Relaxed/' 'crashes::an_orphan'
mutant disconnected-ignores-lent ring.rs 's/block::LENT => owner\(state\) == me,/block::LENT => true,/' 'blocks::disconnected'
mutant disconnected-ignores-slots ring.rs 's/kind\(self.slot_at\(index\).state.load\(Acquire\)\) != slot::FREE/false/' blocks::disconnected

# A value with one writer.
mutant seq-reader-no-fence seq.rs 's/^        fence\(Ordering::Acquire\);$//' latch::a_reading
mutant seq-writer-no-fence seq.rs 's/^        fence\(Ordering::Release\);$//' latch::a_reading
mutant seq-complete-relaxed seq.rs 's/(self.seq.store\(number, Ordering::)Release/\1Relaxed/' latch::a_reading
mutant seq-no-look-back seq.rs 's/now.wrapping_sub\(number\) < COPIES - 1/now <= u64::MAX/' latch::a_reading
mutant seq-looks-too-late seq.rs 's/(now.wrapping_sub\(number\) < COPIES) - 1/\1/' latch::a_reading
mutant seq-writes-the-last seq.rs 's/(copy::write_bytes\(self.copy\()number/\1last/' latch::a_killed

# Blocks. Not the Release of `InFlight`: the slot's Ready comes after it, and carries it to every reader.
mutant block-free-relaxed pool.rs 's/(store\(block::FREE, )Release/\1Relaxed/' 'blocks::a_block'
mutant loan-relaxed pool.rs 's/(block::held\(hand.me\), )AcqRel/\1Relaxed/' 'blocks::a_block'

# Sleeping and waking.
mutant ring-no-fence doorbell.rs 's/Barrier::Ours => fence\(SeqCst\),/Barrier::Ours => (),/' 'bells::a_sleeping'
mutant announce-no-fence doorbell.rs 's/fence\(SeqCst\); (.. S2)/\1/' 'bells::a_sleeping'
# Not the fence in `ring_all`: it always changes the word, and so is ordered with every announcement as it is.
mutant withdraw-any-seq doorbell.rs 's/while seq\(w\) == ticket.seq \&\& tokens/while tokens/' bells::who
mutant ring-keeps-seq doorbell.rs 's/(let rung = wait_word\(tokens\(w\) - k, seq\(w\))\.wrapping_add\(1\)/\1/' 'bells::a_sleeping'
mutant ring-drops-tokens doorbell.rs 's/self.wake\(side, k\) == 0/{ self.wake(side, k); true }/' 'bells::two_messages'

# Membership, leaving, repair.
mutant settle-no-fence repair.rs 's/^        fence\(SeqCst\);$//' 'members::of_the_last_two_senders'
mutant settle-by-store repair.rs 's/self.members\(\).compare_exchange\(m, flags, AcqRel, Relaxed\).is_err\(\)/{ self.members().store(flags, Release); false }/' 'members::who'
mutant join-without-cas repair.rs 's/match self.members\(\).compare_exchange\(m, m.wrapping_add\(members::SEQ\), AcqRel, Acquire\)/match Ok::<u64, u64>(m)/' 'members::who'
mutant join-without-close repair.rs '/kp!\("join.joined"\)/,/self.close/s/self.close\(\);/();/' 'members::a_sender_that'
mutant leave-without-discard repair.rs '/pub\(crate\) fn leave\(/,/kp!\("leave.free"\)/s/self.discard\(me, block_of\);/();/' 'members::a_message'
mutant forgotten-kept repair.rs '/pub\(crate\) fn leave\(/,/kp!/s/self.give_back_forgotten\(me.me\);/();/' 'blocks::a_forgotten'
mutant repair-without-lease repair.rs 's/if !leases.try_repair\(dead\)/if !leases.try_repair(dead) \&\& false/' 'crashes::of_two_recoverers members::an_id'
mutant repair-does-not-sign repair.rs 's/^ {16}self.sign_writers\(t\);/();/' 'crashes::a_dead'
mutant owner-kept repair.rs 's/let cleared = claim\(pos\(t\), 0, 0\)/let cleared = claim(pos(t), 0, o)/' crashes::of_two_recoverers
mutant no-orphan-seq repair.rs '/7. Always/,/kp!/s/self.orphan_seq\(\).fetch_add\(1, AcqRel\);/();/' 'crashes::an_orphan'
mutant repair-is-silent repair.rs '/kp!\("recover.orphans"\)/,/kp!\("recover.free"\)/s/self.ring_all\(Side::Receivers\);/();/' 'bells::a_repair'
mutant in-flight-kept repair.rs '/kp!\("clean.in_flight"\)/,/\}/s/found.state.store\(block::FREE, Release\);/();/' 'blocks::a_dead_senders'
mutant lent-slot-kept repair.rs '/kp!\("clean.lent_slot"\)/,/\}/s/self.state\(p\).store\(.*\);/();/' 'blocks::a_dead'
mutant lent-freed repair.rs 's/found.state.store\(block::lost\(p\), Release\);/found.state.store(block::FREE, Release);/' 'blocks::a_dead_receivers'
mutant forgotten-after-discard repair.rs '/pub\(crate\) fn leave\(/,/kp!\("leave.freed"\)/{s/^        self.give_back_forgotten\(me.me\);$//; s/^        kp!\("leave.clean"\);/        self.give_back_forgotten(me.me);/}' 'blocks::what_the_last'
mutant held-kept repair.rs '/kp!\("clean.held"\)/,/\}/s/found.state.store\(block::FREE, Release\);/();/' 'blocks::a_dead_senders'

# Locks.
mutant lock-relaxed lock/raw/mutex.rs 's/(compare_exchange\((0|w), me, )Acquire/\1Relaxed/' locks::a_mutex
mutant unlock-relaxed lock/raw/mutex.rs 's/(self.state.swap\(0, )Release/\1Relaxed/' locks::a_mutex
mutant slept-uncontended lock/raw/mutex.rs 's/if parking.slept \{ me . CONTENDED \} else \{ me \}/me/' locks::each_of_three
mutant unlock-silent lock/raw/mutex.rs 's/^        world.wake\(self.state, 1\);//' locks::a_mutex
mutant taken-over-by-store lock/raw/mutex.rs 's/if self.state.compare_exchange\(w, mine . CONTENDED, Acquire, Relaxed\).is_err\(\) \{/self.state.store(mine | CONTENDED, Release); if false {/' 'locks::a_dead_holders_mutex locks::a_try'
mutant taken-over-as-updating lock/raw/mutex.rs 's/let mine = if updating \{ me \} else \{ holder\(me\) \};/let mine = me;/' locks::a_death_while
mutant update-marks lock/raw/mutex.rs 's/^        if !updating \{/        if true {/' locks::a_death_in_an_update
mutant death-unmarked lock/raw/mutex.rs 's/^            self.mark.store\(.*$//' locks::a_dead_holders_mutex
mutant count-relaxed lock/raw/rwlock.rs '/^        kp!\("read.counted"\);/,/^        Ok/s/model_fence\(\);//' locks::a_writer
mutant turn-unordered lock/raw/rwlock.rs '/kp!\("turn.claimed"\);/,/return/s/model_fence\(\);//' locks::a_writer
mutant count-first lock/raw/rwlock.rs 's/if again \|\| admits\(self.turn.load\(SeqCst\)\)/if true/' locks::a_writer
mutant uncount-relaxed lock/raw/rwlock.rs 's/compare_exchange\(found, found - 1, SeqCst, Relaxed\)/compare_exchange(found, found - 1, Relaxed, Relaxed)/; /kp!\("read.uncounted"\);/,/Ok/s/model_fence\(\);//' locks::a_writer
mutant highest-unraised lock/raw/rwlock.rs 's/^        self.highest.fetch_max\(id, SeqCst\);.*$//' locks::a_writer
mutant highest-late lock/raw/rwlock.rs 's/self.raise_highest\(id\);/let _ = id;/; s/^        if again \|\| admits\(self.turn.load\(SeqCst\)\) \{/& self.raise_highest(u64::from(id(owner(me))));/' locks::a_writer
mutant drained-untold lock/raw/rwlock.rs 's/^            self.tell_drained\(world\);//' locks::a_writer
mutant turn-relaxed lock/raw/rwlock.rs 's/(let w = self.turn.swap\(0, )Release/\1Relaxed/' 'locks::a_writer locks::two_writers'
mutant readers-kept lock/raw/rwlock.rs 's/if !look \|\| world.life\(owner\) != Life::Dead \{/if true {/' locks::a_dead_reader
mutant pending-poisons lock/raw/rwlock.rs 's/let wrote = w \& MODE == ACTIVE;/let wrote = true;/' locks::a_dead_writer
mutant writer-unmarked lock/raw/rwlock.rs '/kp!\("turn.taken_over"\)/,/kp!\("turn.marked"\)/s/self.mark.store.*$//' locks::a_dead_writer
mutant deaths-not-heard-of lock/raw/condvar.rs 's/Parked::Elapsed if somebody_died\(\) => \{/Parked::Elapsed if deaths == u64::MAX => {/' 'locks::a_dead_ones locks::who_dies locks::a_death_wakes'
mutant deaths-counted-late lock/raw/condvar.rs 's/^( +)let mut slices = 0\.\.;/\1let deaths = world.deaths().max(deaths);\n\1let mut slices = 0..;/' locks::who_dies
mutant gives-up-silently lock/raw/condvar.rs '/fn give_up/,/^    \}/s/self.notify_one\(world\);//' locks::who_gives
mutant notify-silent lock/raw/condvar.rs '/kp!\("condvar.wake"\)/,/kp!/s/world.wake\(place, 1\);//' locks::one_that
mutant unsettled lock/raw/semaphore.rs '/fn settled/,/^    \}/s/self.settle\(g\)\?;//' locks::a_dead_holders_permit
mutant settled-twice lock/raw/semaphore.rs 's/if after\(h\) != operation\(g\) \{/if false {/' 'locks::a_permit locks::a_dead_holders_permit'
mutant reclaimed-by-whom lock/raw/semaphore.rs 's/if self.generation_of\(id\)\?.load\(Acquire\) != whose \{/if false {/' locks::a_dead_holders_permit_is_not
mutant permit-relaxed lock/raw/semaphore.rs 's/(compare_exchange\(g, to, )AcqRel/\1Relaxed/; s/(let g = self.grant.load\()Acquire/\1Relaxed/' locks::a_permit
mutant second-permit-unheard lock/raw/semaphore.rs 's/if slept \&\& to \& PERMITS > 0 \{/if false {/; s/let waiters = if slept \{ WAITERS \} else \{ g \& WAITERS \};/let waiters = g \& WAITERS;/' locks::two_permits
mutant once-relaxed lock/raw/once.rs 's/let w = self.state.swap\(to, Release\)/let w = self.state.swap(to, Relaxed)/' locks::once
mutant once-silent lock/raw/once.rs '/kp!\("once.ended"\)/,/kp!\("once.woken"\)/s/world.wake\(self.state, u32::MAX\);//' locks::once
mutant initialiser-not-followed lock/raw/once.rs '/kp!\("once.take_over"\)/,/kp!/s/self.state.compare_exchange.*is_ok\(\)/mine == 0/' locks::a_dead_initialiser
mutant event-relaxed lock/raw/event.rs 's/(compare_exchange\(w, to, )AcqRel, Relaxed/\1Relaxed, Relaxed/' locks::an_event
mutant event-silent lock/raw/event.rs 's/^            world.wake\(self.state, if self.auto .*$//' locks::an_event
mutant barrier-silent lock/raw/barrier.rs '/kp!\("barrier.pass"\)/,/kp!/s/world.wake\(self.state, u32::MAX\);//' locks::a_barrier
mutant dead-party-ignored lock/raw/barrier.rs 's/if self.somebody_died\(world\) \{/if false {/' locks::a_dead_party

exit $missed
