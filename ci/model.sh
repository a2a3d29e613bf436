#!/bin/sh
# Searches the states of the shared-memory protocol: ci/ring-model/README.md.
#
#   ci/model.sh          one configuration of each kind, and some mutations, which must be caught.
#                        Runs on every change; less than a minute
#   ci/model.sh --all    all of them. Runs every week; half an hour, up to 8 GiB
#
# fault 100
set -eu
cd "$(dirname "$0")/ring-model"
cargo build --quiet --release
run() { cargo run --quiet --release -- "$@"; }
case ${1:-} in
--all)
    run all
    run mutations
    ;;
"")
    run quick mu:NoSignSend mu:NoSignRecv mu:RecoveryDoesNotSign mu:VoidReadAsOrphan mu:LostBeforeSlotFreed \
        mu:DisconnectedIgnoresReaders mu:AttachDoesNotBump mu:JoinDoesNotClose mu:TransitLeftFirst mu:GivesUpAsFree \
        mu:GivenBackUntold mu:KeptPlaceIsLast mu:KeptMessageIsLast mu:NoSecondLook mu:BarrierLate mu:BarrierEarly \
        mu:NoPass mu:SleepsOnOne mu:ZeroBlindly \
        mu:SurplusDropsSockets mu:FutexOnly mu:ClearBlindly mu:BitsFirst mu:ArmsFirst mu:ArmsAsFlag
    ;;
*)
    echo "usage: $0 [--all]" >&2
    exit 2
    ;;
esac
