#!/usr/bin/env bash
# Breaks one delicate line after another, in a copy, and expects the crash tests to notice. Runs
# every night; at most 3 hours. Arguments: see mutate.sh. MUTANTS_TARGET_DIR keeps what was compiled
# for the next time.
#
# fault 100
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/mutate.sh
export CARGO_TARGET_DIR="${MUTANTS_TARGET_DIR:-$scratch/target}"
export RUSTFLAGS="--cfg killpoints" CRASH_KILLS=200

# Compiled often, and run shortly.
quick=(--config profile.release.opt-level=0 --config profile.release.debug=false
    --config profile.release.incremental=true)

# judge [PACKAGE:]SUITE TESTS
judge() {
    local test=(cargo test --quiet --release "${quick[@]}") suite=${1#*:}
    if [[ $1 == *:* ]]; then test+=(--package "${1%%:*}"); fi
    if [[ $suite == lib ]]; then test+=(--lib); else test+=(--test "$suite"); fi
    if ! (cd "$tree" && "${test[@]}" --no-run) >"$log" 2>&1; then
        echo "$name: DOES NOT BUILD"
        cat "$log"
        return 1
    fi
    # In a process group of its own, which `timeout` makes: what a mutant leaves running ends too.
    timeout 300 env --chdir "$tree" "${test[@]}" "$2" >"$log" 2>&1 &
    local group=$! passed=true
    wait $group || passed=false
    kill -KILL -- -$group 2>"$scratch/none_left" || true
    if $passed; then
        echo "$name: MISSED by $2 ($(sed -n 's/^running //p' "$log"))"
        return 1
    fi
    local said
    said=$(grep -A1 -m1 "panicked at" "$log" || grep -m1 "signal: \|^watchdog" "$log" || true)
    echo "$name: caught by $2: ${said##*$'\n'}"
}

in_ring=ipc-shm/src/channel/ring.rs in_recovery=ipc-shm/src/channel/recovery.rs in_participants=ipc-shm/src/attach/participants.rs in_entries=ipc-shm/src/attach/entries.rs

# Signing, and the repair of a channel.
mutant send-unsigned $in_ring 1 's/^ *self.sign_writers\(t\);//' 'crash points::killed_while_sending'
mutant receive-unsigned $in_ring 1 's/^ *self.sign_readers\(h\);//' 'crash points::killed_while_receiving'
mutant repair-unsigned $in_recovery 1 's/^ *ring.sign_writers\(t\);//' 'crash points::killed_while_repairing'
mutant repair-readers-unsigned $in_recovery 1 's/^ *ring.sign_readers\(h\);//' 'crash points::killed_while_repairing'
mutant block-in-flight-forgotten $in_recovery 1 's/(state == block::in_flight\(p\) .* == )slot::writing\(p, o\)/\1slot::void(p)/' 'crash points::killed_while_repairing'
mutant lent-freed-like-held $in_recovery 1 's/found.state.store\(block::lost\(p\), Release\);/found.state.store(block::FREE, Release);/' 'crash points::killed_while_repairing'
mutant slot-of-lent-kept $in_recovery 1 's/if memory.state\(p\).load\(Acquire\) == slot::reading\(p, o\)/if false/' 'crash points::killed_while_repairing'
mutant orphans-untold $in_recovery 1 '/kill_point!\("recover.cleaned"\)/,/kill_point!\("recover.orphans"\)/s/self.memory.orphan_seq\(\).fetch_add\(1, AcqRel\);//' 'crash points::killed_while_repairing'
mutant entry-freed-first $in_recovery 1 's/kill_point!\("recover.roles"\);/kill_point!("recover.roles"); entry.store(0, Release);/' 'crash points::killed_while_repairing'
mutant held-forgotten $in_recovery 1 's/== block::held\(o\)/== block::lost(o)/' 'crash points::killed_while_repairing'
mutant forgotten-untold $in_recovery 1 '/kill_point!\("leave.orphans"\)/,/\}/s/self.memory.orphan_seq\(\).fetch_add\(1, AcqRel\);//' 'crash points::killed_while_attaching'
mutant lent-is-no-message $in_ring 1 's/block::LENT => owner\(state\) == me,/block::LENT => true,/' 'crash stops::a_lent_message_holds_up'
mutant trim-before-acknowledging ipc-shm/src/channel/pool.rs 1 's/self.block\(index\).state.store\(block::held\(me\), Release\);/let _ = me;/' 'crash points::killed_with_large_messages'
mutant slot-guards-uncounted ipc-shm/src/message/lend.rs 1 's/self.deliveries = 2;//' 'crash points::killed_while_receiving_plain_data'
mutant members-not-scanned $in_recovery 1 's/let flags = self.memory.membership\(\).settle\(true\);/let flags = 0;/' 'crash points::killed_as_the_last'

# Deaths, as the locks hear of them.
mutant death-uncounted $in_participants 1 's/self.table.count_death\(\);//' 'locks deaths::one_that_is_killed_before_it_notifies'
mutant death-uncounted-by-successor $in_entries 1 's/self.count_death\(\);//' 'locks deaths::a_process_killed_and_replaced'
mutant exit-taken-for-leaving $in_participants 1 's/self.depart\(life::USED \| life::ENDING\);/self.depart(0);/' 'locks deaths::a_process_that_ends_without'

# Deaths that are looked for before a time limit is reported.
in_locks=ipc-shm/src/lock/raw
mutant timeout-unlooked ipc-core/src/wait.rs 1 's/^ *bell.recover_dead_throttled\(\);$//' 'process limits::polling::polling_senders'
mutant empty-unlooked ipc-shm/src/channel/endpoint.rs 1 '/fn is_final/,/^    \}/s/&& !self.attachment.recover_dead_throttled\(\)//' 'process limits::polling::trying_again'
mutant peer-in-the-way-unlooked ipc-core/src/wait.rs 1 's/\} else if bell.recover_dead\(\) \{/} else if false {/' 'ipc-core:lib wait::'
mutant lock-timeout-unlooked $in_locks/mutex.rs 1 's/if parked == Parked::Changed \{/if parked == Parked::TimedOut { return Err(LockAttemptError::Busy); } &/' 'process limits::polling::polling_for_locks'
mutant turn-timeout-unlooked $in_locks/rwlock.rs 2 's/match env.liveness\(owner\(w\)\) \{/if parked == Parked::TimedOut { return Err(LockAttemptError::Busy); } &/' 'process limits::polling::polling_for_locks'
mutant drain-timeout-unlooked $in_locks/rwlock.rs 1 's/Parked::TimedOut => check_deaths = true,/Parked::TimedOut => return Err(LockAttemptError::Busy),/' 'process limits::polling::polling_for_locks'
mutant permit-timeout-unlooked $in_locks/semaphore.rs 1 's/if !self.reclaim_dead_permits\(env\)\? && (parked == Parked::TimedOut)/if \1 || { self.reclaim_dead_permits(env)?; false }/' 'process limits::polling::polling_for_conditions'
mutant condition-timeout-unlooked $in_locks/condvar.rs 2 's/Parked::TimedOut if env.look_for_deaths_throttled\(\) != deaths/Parked::TimedOut if env.deaths() != deaths/' 'process limits::polling::polling_for_conditions'
mutant barrier-timeout-unlooked $in_locks/barrier.rs 2 's/let died = self.any_party_died\(env\);/let died = false;/' 'process limits::polling::polling_for_conditions'

# Places of blocks in a file that grows.
in_places=ipc-shm/src/channel/places.rs in_commit=ipc-shm/src/channel/commit.rs
mutant place-beyond-the-file $in_places 1 's/self.reached\(in_file as u64\);/self.reached(MOST.max(in_file as u64));/' 'ipc-shm:hostile live::a_place'
mutant places-overlap $in_places 1 's/(end.compare_exchange_weak\(now, place.at \+ room)/\1 \/ 2/' 'crash points::killed_with_large_messages'
mutant place-taken-by-store $in_places 1 's/match end.compare_exchange_weak\(now, (place.at \+ room).*$/match { end.store(\1, Ordering::Relaxed); Ok::<u64, u64>(now) }/' 'ipc-shm:lib places::'
mutant place-taken-unusable $in_places 2 's/^( *)usable\(place\)\?;/\1let unusable = usable(place);/; s/Ok\(_\) => return Ok\(place\),/Ok(_) => return unusable.map(|()| place),/' 'ipc-shm:lib places::'
mutant room-before-place $in_commit 2 '/meta.place.store/{s/meta.place.store.*$/meta.room.store(room, Relaxed);/;b}; s/meta.room.store.*$/meta.place.store(place.at, Relaxed);/' 'ipc-shm:lib commit::'
mutant old-place-kept $in_commit 1 '/kill_point!\("block.place"\)/,/meta.place/s/self.trim\(meta\);//' 'ipc-shm:lib commit::'

# Leases that no fork keeps.
in_unforked=ipc-sys/src/linux/unforked.rs
mutant fork-keeps-leases $in_unforked 1 's/if is\(\*fd, file.identity\) && .*$/if false \&\& is(*fd, file.identity) \&\& has_lease(*fd) {/' 'process limits::after_fork::a_fork_has_no'
mutant fork-keeps-what-is-sent $in_unforked 1 's/\(!file.sent \|\| has_lease\(\*fd\)\)/!file.sent/' 'process limits::after_fork::'
mutant fork-closes-by-number $in_unforked 1 's/^    identity\(fd\).is_ok_and\(.*$/    identity(fd).is_ok_and(|_| wanted == wanted)/' 'process limits::after_fork::a_fork_keeps'
mutant opened-before-noted $in_unforked 2 '/fn open_if/,/^    \}/{s/let mut files = open_files\(\);//; s/^( *)files.note/\1open_files().note/}' 'process limits::after_fork::a_fork_has_no'
mutant lease-stays-on-what-arrived ipc-shm/src/channel/attachment.rs 1 's/let moves = leases.try_repair\(id\);/let moves = false;/' 'process limits::after_fork::a_fork_with_a_copy'

# What `Select` claims, and how it sleeps.
in_claims_of_select=ipc-shm/src/message/claims.rs
mutant chosen-is-last $in_ring 1 's/^            if finished \{$/            if finished || true {/' 'select processes::all_that'
mutant chosen-uncounted $in_claims_of_select 1 's/if self.again \{ place::SLOT_AGAIN \}/if self.again { place::SLOT }/' 'select processes::a_message_that'
mutant chosen-place-kept $in_claims_of_select 1 's/^ *self.end.ring\(\).give_up\(self.pos\);/let _ = self.pos;/' 'select choose::an_operation'
mutant chosen-message-kept $in_claims_of_select 1 's/Claim::Place\(pos, _\) => end.ring\(\).give_back_slot\(.*$/Claim::Place(_, _) => {}/' 'select choose::an_operation'

# Names of killed processes.
in_names=ipc-shm/src/segment/names.rs in_claims=ipc-pipes/src/listener/claim.rs
mutant in-use-is-abandoned $in_names 1 's/(footer.lifetime == Lifetime::LastHandle) && footer.living\(open\) == 0/\1/' 'segments abandoned::'
mutant persistent-is-abandoned $in_names 1 's/footer.lifetime == Lifetime::LastHandle && (footer.living\(open\) == 0)/\1/' 'segments abandoned::'
mutant foreign-is-abandoned $in_names 1 '/fn is_abandoned/,/^    \}/s/(Ok\(FooterState::Foreign \| FooterState::Refused\(_\)\) \| Err\(_\) => )false/\1true/' 'segments abandoned::'
mutant next-at-the-name-is-removed $in_names 1 '/fn remove_if_abandoned/,/^    \}/s/\|\| !leads_to\(&self.path, .*$//' 'segments points::what_is_opened'
mutant abandoned-asked-once $in_names 1 '/fn remove_if_abandoned/,/^    \}/s/\|\| !self.is_abandoned\(open\)\?//' 'segments points::what_is_opened'
mutant listened-at-is-abandoned $in_claims 1 '/^fn dead/,/^\}/s/if sys::name::alive\(&entry\)\? \{/if false {/' 'pipes meet::takeover::names_of_killed'
mutant half-bound-is-kept $in_claims 1 '/^fn remove_if_abandoned/,/^\}/s/clear\(directory, &lock\)\?;//' 'pipes meet::points::what_a_death'

# Numbers of threads and mappings, which must not mean another one later.
mutant number-comes-again ipc-shm/src/lock/thread.rs 1 's/if HELD.get\(\) == 0 \{/if true {/' 'locks forgotten::'
mutant mapping-comes-again $in_participants 1 's/NEXT.fetch_add\(1, Ordering::Relaxed\)/NEXT.fetch_add(0, Ordering::Relaxed)/' 'locks forgotten::'

# Children that end with their parent.
in_watch=ipc-sys/src/linux/spawn/parent_watch.rs
mutant parents-end-unheard $in_watch 1 's/while !has_ended\(&parent\) \{\}/while !has_ended(\&parent) || true {}/' 'process parent::children_end'
mutant killed-with-the-thread $in_watch 1 's/Some\(Signal::CONT\)/Some(Signal::KILL)/' 'process parent::children_end'
mutant stopped-child-stays $in_watch 1 's/Some\(Signal::CONT\)/Some(Signal::URG)/' 'process parent::a_stopped_child'

# Tasks, which are woken one by one.
in_task=ipc-core/src/task.rs
mutant task-unused-kept $in_task 1 's/Outcome::Unused => place.is_none\(\),/Outcome::Unused => false,/' 'select futures::the_wake_up'
mutant task-takes-all $in_task 1 's/Outcome::Used => state.woken \|\| end.is_ready\(\),/Outcome::Used => false,/' 'select futures::many_tasks'
mutant task-hears-no-death $in_task 1 's/let changed = if look_due .*$/let changed = false;/' 'select futures::a_task_is_woken_by_the_death'
mutant task-given-lost ipc-thread/src/meet/task.rs 1 's/self.pass_on\(message, how\);/drop(message);/' 'select futures::what_a_cancelled'
mutant task-wake-up-kept ipc-sys/src/tasks.rs 1 's/gone.iter\(\).for_each\(Address::wake_one\);//' 'ipc-sys:lib a_wake_up_for_what'

finish
