// The scenes, by kind of channel. The points are what `print_points` found, and each must be
// reached.

const DIED_SENDING: (Ends, Script, &str) = (Ends::Sender, Script::Send(1), "send.claimed");
const DIED_RECEIVING: (Ends, Script, &str) = (Ends::Receiver, Script::Receive(How::Recv, 1), "receive.claimed");

const DIED_SLEEPING: (Ends, Script, &str) = (Ends::Receiver, Script::Sleep(u64::MAX), "sleep.wait");

const DIED_ON_SOCKET: (Ends, Script, &str) = (Ends::Receiver, Script::OnSocket(20), "arm.armed");

const DIED_CHOOSING_TO_SEND: (Ends, Script, &str) = (Ends::Sender, Script::SelectSend(1), "send.written_late");
const DIED_CHOOSING_TO_RECEIVE: (Ends, Script, &str) =
    (Ends::Receiver, Script::SelectReceive(How::Recv, 1), "claim.free");
const DIED_WITH_A_CHOSEN_BLOCK: (Ends, Script, &str) =
    (Ends::Receiver, Script::SelectReceive(How::Recv, 1), "block.free");

const SCENE: Scene = Scene {
    name: "",
    fill: 0,
    before: &[],
    ends: Ends::Sender,
    script: Script::Send(4),
    depth: 1,
    sleeper: false,
    exhausted: false,
    size: 0,
    survivor: Survivor::Both,
    points: &[],
};
const RECEIVE: Scene = Scene { fill: 4, ends: Ends::Receiver, ..SCENE };
const REPAIR: Scene = Scene {
    fill: 2,
    ends: Ends::Receiver,
    script: Script::Receive(How::Ref(0), 9),
    depth: 2,
    ..SCENE
};

const MIXED: &[Scene] = &[
    Scene {
        name: "send",
        points: &[
            "adopt.done", "adopt.mapped", "adopt.own", "adopt.pid_hint", "clean.tail", "leave.clean", "leave.free",
            "leave.freed", "leave.membership", "leave.roles", "leave.unmap", "leave.unmapped",
            "leave_role.done", "leave_role.entry", "leave_role.membership", "membership.cas", "send.claim",
            "send.claimed", "send.published", "send.written",
        ],
        ..SCENE
    },
    Scene {
        name: "send blocks",
        size: LARGE,
        points: &[
            "loan.cas", "loan.held", "send.claim", "send.claimed", "send.flown", "send.fly",
            "send.published", "send.written",
        ],
        ..SCENE
    },
    Scene {
        name: "send in batches", script: Script::SendMany(3),
        points: &[
            "send.claim", "send.claimed", "send.published", "send.written",
        ],
        ..SCENE
    },
    Scene {
        name: "send behind a dead sender",
        before: &[DIED_SENDING], script: Script::Send(3),
        points: &[
            "send.claim", "send.claimed", "send.published", "send.sign", "send.written",
        ],
        ..SCENE
    },
    Scene {
        name: "send to a sleeper",
        sleeper: true, script: Script::Send(9),
        points: &[
            "loan.cas", "loan.held", "ring.token", "ring.wake", "send.claim", "send.claimed", "send.flown",
            "send.fly", "send.published", "send.written", 
        ],
        ..SCENE
    },
    Scene {
        name: "send to a dead sleeper",
        before: &[DIED_SLEEPING],
        points: &[
            "ring.surplus", "ring.token", "ring.wake", "send.claim", "send.claimed", "send.published",
            "send.written",
        ],
        ..SCENE
    },
    Scene {
        name: "send to a dead process with a bell socket",
        before: &[DIED_ON_SOCKET],
        points: &["ring.call", "ring.called", "ring.claim", "ring.none"],
        ..SCENE
    },
    Scene {
        name: "select to send", script: Script::SelectSend(4),
        points: &["send.claim", "send.written_late", "send.published_late"],
        ..SCENE
    },
    Scene {
        name: "select to send blocks",
        size: LARGE, script: Script::SelectSend(4),
        points: &[
            "loan.cas", "loan.held", "send.claim", "send.flown", "send.fly", "send.written_late",
            "send.published_late",
        ],
        ..SCENE
    },
    Scene {
        name: "select to send behind a dead sender",
        before: &[DIED_CHOOSING_TO_SEND], script: Script::SelectSend(3),
        points: &["send.claim", "send.sign", "send.written_late", "send.published_late"],
        ..SCENE
    },
    Scene {
        name: "select to send to a sleeper",
        sleeper: true, script: Script::SelectSend(9),
        points: &["ring.token", "ring.wake", "send.claim", "send.written_late", "send.published_late"],
        ..SCENE
    },
    Scene {
        name: "select to send, and give up", script: Script::GiveUp(2),
        points: &[
            "wake_all.tokens", "wake_all.wake", "wake_all.woken", "send.claim", "send.give_up",
            "send.given_up",
        ],
        ..SCENE
    },
    Scene {
        name: "select to send, and give up behind a dead sender",
        before: &[DIED_CHOOSING_TO_SEND], script: Script::GiveUp(1),
        points: &["send.claim", "send.give_up", "send.given_up", "send.sign"],
        ..SCENE
    },
    Scene {
        name: "select to send, and give up before a sleeper",
        sleeper: true, script: Script::GiveUp(2),
        points: &[
            "wake_all.tokens", "wake_all.wake", "wake_all.woken", "send.claim", "send.give_up",
            "send.given_up",
        ],
        ..SCENE
    },
    Scene {
        name: "select to receive", script: Script::SelectReceive(How::Recv, 5),
        points: &[
            "claim.free", "claim.freed", "receive.claim", "receive.claimed", "receive.freed",
            "sleep.announce", "sleep.announced", "sleep.withdraw",
        ],
        ..RECEIVE
    },
    Scene {
        name: "select to receive with guards", script: Script::SelectReceive(How::Ref(0), 5),
        points: &[
            "guard.free_slot", "guard.freed_slot", "receive.claim", "receive.claimed", "receive.freed",
            "receive.sign", "sleep.announce", "sleep.announced", "sleep.withdraw",
        ],
        ..RECEIVE
    },
    Scene {
        name: "select to receive blocks",
        size: LARGE, script: Script::SelectReceive(How::Recv, 4),
        points: &[
            "block.free", "block.freed", "receive.block", "receive.claim", "receive.claimed",
            "receive.count", "receive.freed", "receive.lend", "receive.lent",
        ],
        ..RECEIVE
    },
    Scene {
        name: "select to receive blocks with guards",
        size: LARGE, script: Script::SelectReceive(How::Ref(0), 4),
        points: &[
            "block.free", "block.freed", "receive.block", "receive.claim", "receive.claimed",
            "receive.count", "receive.freed", "receive.lend", "receive.lent",
        ],
        ..RECEIVE
    },
    Scene {
        name: "select to receive behind a dead receiver",
        before: &[DIED_CHOOSING_TO_RECEIVE], script: Script::SelectReceive(How::Recv, 4),
        points: &[
            "adopt.adopted", "adopt.cas", "claim.free", "claim.freed", "clean.orphan",
            "receive.sign_others", "recover.cleaned", "recover.orphans",
        ],
        ..RECEIVE
    },
    Scene {
        name: "select to receive behind a dead receiver with blocks",
        size: LARGE,
        before: &[DIED_WITH_A_CHOSEN_BLOCK], script: Script::SelectReceive(How::Ref(0), 4),
        points: &[
            "adopt.adopted", "adopt.cas", "adopt.counted", "block.free", "block.freed", "clean.lost",
            "recover.cleaned", "recover.orphans",
        ],
        ..RECEIVE
    },
    Scene {
        name: "select to receive, and give back", script: Script::GiveBack(3),
        points: &[
            "adopt.adopted", "adopt.cas", "guard.orphan", "guard.orphaned", "receive.claim",
            "receive.sign", "wake_all.tokens", "wake_all.wake", "wake_all.woken",
        ],
        ..RECEIVE
    },
    Scene {
        name: "select to receive, and give back blocks",
        size: LARGE, script: Script::GiveBack(3),
        points: &[
            "adopt.adopted", "adopt.cas", "adopt.counted", "block.lose", "block.lost",
            "receive.claim", "wake_all.tokens", "wake_all.wake", "wake_all.woken",
        ],
        ..RECEIVE
    },
    Scene {
        name: "select to receive, and pass a wake-up on",
        fill: 0,
        ends: Ends::Both, sleeper: true, script: Script::PassOn(9),
        points: &[
            "ring.token", "ring.wake", "send.claim", "send.published", "sleep.announce",
            "sleep.announced",
        ],
        ..RECEIVE
    },
    Scene {
        name: "receive", script: Script::Receive(How::Recv, 4),
        points: &[
            "adopt.done", "adopt.mapped", "adopt.own", "adopt.pid_hint", "clean.head", "leave.clean", "leave.free",
            "leave.freed", "leave.membership", "leave.roles", "leave.unmap", "leave.unmapped",
            "leave_role.done", "leave_role.entry", "leave_role.membership", "membership.cas",
            "receive.claim", "receive.claimed", "receive.freed", "receive.read",
        ],
        ..RECEIVE
    },
    Scene {
        name: "receive blocks",
        size: LARGE, script: Script::Receive(How::Recv, 4),
        points: &[
            "block.reach", "block.free", "block.freed", "receive.block", "receive.claim", "receive.claimed",
            "receive.count", "receive.freed", "receive.lend", "receive.lent",
        ],
        ..RECEIVE
    },
    Scene {
        name: "receive blocks with guards",
        size: LARGE, script: Script::Receive(How::Ref(0), 4),
        points: &[
            "block.free", "block.freed", "receive.block", "receive.claim", "receive.claimed",
            "receive.count", "receive.freed", "receive.lend", "receive.lent",
        ],
        ..RECEIVE
    },
    Scene {
        name: "receive on a bell socket", script: Script::OnSocket(5),
        points: &[
            "arm.armed", "arm.bit", "arm.word", "disarm.bit", "receive.claim", "receive.claimed",
            "receive.freed", "receive.read",
        ],
        ..RECEIVE
    },
    Scene {
        name: "receive many", script: Script::Receive(How::Many(3), 4),
        points: &[
            "receive.claim", "receive.claimed", "receive.freed", "receive.read", "sleep.announce",
            "sleep.announced", "sleep.barrier", "sleep.wait", "sleep.withdraw", "sleep.woken",
        ],
        ..RECEIVE
    },
    Scene {
        name: "receive with guards", script: Script::Receive(How::Ref(0), 4),
        points: &[
            "block.free", "block.freed", "loan.cas", "loan.held", "receive.claim", "receive.claimed",
            "receive.freed", "receive.lend_inline", "receive.lent_inline", "receive.read",
        ],
        ..RECEIVE
    },
    Scene {
        name: "receive behind a dead receiver",
        before: &[DIED_RECEIVING], script: Script::Receive(How::Recv, 4),
        points: &[
            "adopt.adopted", "adopt.cas", "clean.orphan", "receive.claim", "receive.claimed",
            "receive.freed", "receive.read", "receive.sign_others", "recover.cleaned", "recover.entry",
            "recover.free", "recover.freed", "recover.lease", "recover.leased", "recover.orphans",
            "recover.roles", "recover.rung", "wake_all.tokens", "wake_all.wake", "wake_all.woken",
            "sleep.announce", "sleep.announced", "sleep.barrier", "sleep.wait", 
            "sleep.woken",
        ],
        ..RECEIVE
    },
    Scene {
        name: "receive in vain",
        fill: 0, script: Script::Sleep(3),
        points: &[
            "sleep.announce", "sleep.announced", "sleep.barrier", "sleep.wait", "sleep.withdraw",
            "sleep.woken",
        ],
        ..RECEIVE
    },
    Scene {
        name: "repair a sender",
        before: &[DIED_SENDING],
        points: &[
            "block.free", "block.freed", "clean.head", "clean.tail", "clean.void", "loan.cas", "loan.held",
            "receive.claim", "receive.claimed", "receive.freed", "receive.lend_inline",
            "receive.lent_inline", "receive.read", "receive.void", "recover.cleaned", "recover.entry",
            "recover.free", "recover.freed", "recover.lease", "recover.leased", "recover.orphans",
            "recover.roles", "recover.rung", "wake_all.call", "wake_all.called", "wake_all.tokens", "wake_all.wake",
            "wake_all.woken", "send.sign", "sleep.announce", "sleep.announced", "sleep.barrier",
            "sleep.wait", "sleep.withdraw", "sleep.woken",
        ],
        ..REPAIR
    },
    Scene {
        name: "repair a sender with a block",
        size: LARGE,
        before: &[(Ends::Sender, Script::Send(2), "send.flown")],
        points: &[
            "block.free", "block.freed", "clean.head", "clean.in_flight", "clean.tail", "clean.void",
            "receive.block", "receive.claim", "receive.claimed", "receive.count", "receive.freed",
            "receive.lend", "receive.lent", "receive.void", "recover.cleaned", "recover.entry",
            "recover.free", "recover.freed", "recover.lease", "recover.leased", "recover.orphans",
            "recover.roles", "recover.rung", "wake_all.tokens", "wake_all.wake", "wake_all.woken",
            "send.sign", "sleep.announce", "sleep.announced", "sleep.barrier", "sleep.wait",
            "sleep.withdraw", "sleep.woken",
        ],
        ..REPAIR
    },
    Scene {
        name: "repair a loan",
        size: LARGE,
        before: &[(Ends::Sender, Script::Send(2), "loan.held")],
        points: &[
            "block.free", "block.freed", "clean.head", "clean.held", "receive.block", "receive.claim",
            "receive.claimed", "receive.count", "receive.freed", "receive.lend", "receive.lent",
            "recover.cleaned", "recover.entry", "recover.free", "recover.freed", "recover.lease",
            "recover.leased", "recover.orphans", "recover.roles", "recover.rung", "wake_all.tokens",
            "wake_all.wake", "wake_all.woken", "sleep.announce", "sleep.announced", "sleep.barrier",
            "sleep.wait", "sleep.withdraw", "sleep.woken",
        ],
        ..REPAIR
    },
    Scene {
        name: "repair a receiver",
        before: &[DIED_RECEIVING],
        points: &[
            "adopt.adopted", "adopt.cas", "block.free", "block.freed", "clean.head", "clean.orphan",
            "loan.cas", "loan.held", "receive.claim", "receive.claimed", "receive.freed",
            "receive.lend_inline", "receive.lent_inline", "receive.read", "receive.sign_others",
            "recover.cleaned", "recover.entry", "recover.free", "recover.freed", "recover.lease",
            "recover.leased", "recover.orphans", "recover.roles", "recover.rung", "wake_all.tokens",
            "wake_all.wake", "wake_all.woken", "sleep.announce", "sleep.announced", "sleep.barrier",
            "sleep.wait", "sleep.withdraw", "sleep.woken",
        ],
        ..REPAIR
    },
    Scene {
        name: "repair a receiver with a slot and a block",
        before: &[(Ends::Receiver, Script::Receive(How::Ref(0), 4), "receive.lent_inline")],
        points: &[
            "adopt.adopted", "adopt.cas", "adopt.counted", "block.free", "block.freed", "clean.head",
            "clean.lent_slot", "clean.lost", "loan.cas", "loan.held", "receive.claim", "receive.claimed",
            "receive.freed", "receive.lend_inline", "receive.lent_inline", "receive.read",
            "receive.sign_others", "recover.cleaned", "recover.entry", "recover.free", "recover.freed",
            "recover.lease", "recover.leased", "recover.orphans", "recover.roles", "recover.rung",
            "wake_all.tokens", "wake_all.wake", "wake_all.woken", "sleep.announce", "sleep.announced",
            "sleep.barrier", "sleep.wait", "sleep.withdraw", "sleep.woken",
        ],
        ..REPAIR
    },
    Scene {
        name: "repair a receiver with a guard",
        before: &[(Ends::Receiver, Script::Receive(How::Ref(0), 4), "block.free")],
        points: &[
            "adopt.adopted", "adopt.cas", "adopt.counted", "block.free", "block.freed", "clean.head",
            "clean.lost", "loan.cas", "loan.held", "receive.claim", "receive.claimed", "receive.freed",
            "receive.lend_inline", "receive.lent_inline", "receive.read", "recover.cleaned",
            "recover.entry", "recover.free", "recover.freed", "recover.lease", "recover.leased",
            "recover.orphans", "recover.roles", "recover.rung", "wake_all.tokens", "wake_all.wake",
            "wake_all.woken", "sleep.announce", "sleep.announced", "sleep.barrier", "sleep.wait",
            "sleep.withdraw", "sleep.woken",
        ],
        ..REPAIR
    },
    Scene {
        name: "attend with both ends",
        ends: Ends::Both, script: Script::Copy,
        points: &[
            "adopt.done", "adopt.mapped", "adopt.moved", "adopt.moving", "adopt.own", "adopt.repair", "adopt.pid_hint", "endpoint.add", "endpoint.remove", "join.entry",
            "join.joined", "join.members", "leave.clean", "leave.free", "leave.freed", "leave.membership",
            "leave.roles", "leave.unmap", "leave.unmapped", "leave_role.done", "leave_role.entry",
            "leave_role.membership", "membership.cas", "merge.add", "merge.added", "merge.left",
        ],
        ..SCENE
    },
    Scene {
        name: "attend and leave one role",
        ends: Ends::Both, script: Script::DropReceiver,
        points: &[
            "adopt.done", "adopt.mapped", "adopt.moved", "adopt.moving", "adopt.own", "adopt.repair", "adopt.pid_hint", "clean.tail", "join.entry", "join.joined",
            "join.members", "leave.clean", "leave.free", "leave.freed", "leave.membership", "leave.roles",
            "leave.unmap", "leave.unmapped", "leave_role.done", "leave_role.entry", "leave_role.membership",
            "membership.cas", "merge.add", "merge.added", "merge.left", "send.claim", "send.claimed",
            "send.published", "send.written",
        ],
        ..SCENE
    },
    Scene {
        name: "attend and start another",
        ends: Ends::Both, script: Script::Spawn,
        points: &[
            "adopt.done", "adopt.mapped", "adopt.moved", "adopt.moving", "adopt.own", "adopt.repair", "adopt.pid_hint", "attach.begin", "attach.issued", "attach.joined",
            "attach.life", "attach.repair", "attach.pid_hint", "endpoint.add", "endpoint.remove", "join.entry", "join.joined",
            "join.members", "leave.clean", "leave.free", "leave.freed", "leave.membership", "leave.roles",
            "leave.unmap", "leave.unmapped", "leave_role.done", "leave_role.entry", "leave_role.membership",
            "membership.cas", "merge.add", "merge.added", "merge.left",
        ],
        ..SCENE
    },
    Scene {
        name: "attend and forget",
        fill: 3,
        ends: Ends::Receiver, script: Script::Forget(2),
        points: &[
            "adopt.done", "adopt.mapped", "adopt.own", "adopt.pid_hint", "clean.head", "leave.clean", "leave.free",
            "leave.freed", "leave.lost", "leave.membership", "leave.orphans", "leave.roles", "leave.unmap",
            "leave.unmapped", "leave_role.done", "leave_role.entry", "leave_role.membership", "loan.cas",
            "loan.held", "membership.cas", "receive.claim", "receive.claimed", "receive.freed",
            "receive.lend_inline", "receive.lent_inline", "receive.read", "wake_all.tokens",
            "wake_all.wake", "wake_all.woken",
        ],
        ..SCENE
    },
    Scene {
        name: "last sender",
        ends: Ends::Sender,
        survivor: Survivor::Receiver,
        fill: 1, script: Script::Send(3),
        points: &[
            "adopt.done", "adopt.mapped", "adopt.own", "adopt.pid_hint", "clean.tail", "leave.clean", "leave.free",
            "leave.freed", "leave.membership", "leave.roles", "leave.unmap", "leave.unmapped",
            "leave_role.done", "leave_role.entry", "leave_role.membership", "membership.cas",
            "membership.close", "wake_all.tokens", "wake_all.wake", "wake_all.woken", "send.claim",
            "send.claimed", "send.published", "send.written",
        ],
        ..SCENE
    },
    Scene {
        name: "last sender,
        repaired",
        ends: Ends::Receiver,
        before: &[DIED_SENDING],
        survivor: Survivor::Receiver,
        points: &[
            "adopt.done", "adopt.mapped", "adopt.own", "adopt.pid_hint", "block.commit", "block.committed", "block.free",
            "block.freed", "clean.head", "clean.tail", "clean.void", "leave.clean", "leave.free",
            "leave.freed", "leave.membership", "leave.roles", "leave.unmap", "leave.unmapped",
            "leave_role.done", "leave_role.entry", "leave_role.membership", "loan.cas", "loan.held",
            "membership.cas", "membership.close", "receive.claim", "receive.claimed", "receive.freed",
            "receive.lend_inline", "receive.lent_inline", "receive.read", "receive.void", "recover.cleaned",
            "recover.entry", "recover.free", "recover.freed", "recover.lease", "recover.leased",
            "recover.orphans", "recover.roles", "recover.rung", "wake_all.tokens", "wake_all.wake",
            "wake_all.woken", "send.sign", "sleep.announce", "sleep.announced", "sleep.barrier",
            "sleep.wait",  "sleep.woken",
        ],
        ..REPAIR
    },
    Scene {
        name: "last receiver",
        ends: Ends::Receiver,
        survivor: Survivor::Sender,
        fill: 4, script: Script::Receive(How::Recv, 1),
        points: &[
            "adopt.done", "adopt.mapped", "adopt.own", "adopt.pid_hint", "clean.head", "discard.next", "leave.clean",
            "leave.free", "leave.freed", "leave.membership", "leave.roles", "leave.unmap", "leave.unmapped",
            "leave_role.done", "leave_role.entry", "leave_role.membership", "membership.cas",
            "membership.close", "receive.claim", "receive.claimed", "receive.freed", "receive.read",
            "wake_all.tokens", "wake_all.wake", "wake_all.woken",
        ],
        ..SCENE
    },
    Scene {
        name: "last receiver,
        repaired",
        ends: Ends::Sender,
        before: &[DIED_RECEIVING],
        survivor: Survivor::Sender,
        fill: 4,
        script: Script::Send(9),
        depth: 2,
        points: &[
            "adopt.adopted", "adopt.cas", "adopt.done", "adopt.mapped", "adopt.own", "adopt.pid_hint", "clean.head",
            "clean.orphan", "discard.next", "leave.clean", "leave.free", "leave.freed", "leave.membership",
            "leave.roles", "leave.unmap", "leave.unmapped", "leave_role.done", "leave_role.entry",
            "leave_role.membership", "membership.cas", "membership.close", "receive.claim",
            "receive.claimed", "receive.freed", "receive.read", "receive.sign_others", "recover.cleaned",
            "recover.entry", "recover.free", "recover.freed", "recover.lease", "recover.leased",
            "recover.orphans", "recover.roles", "recover.rung", "wake_all.tokens", "wake_all.wake",
            "wake_all.woken", "sleep.announce", "sleep.announced", "sleep.barrier", "sleep.wait",
             "sleep.woken",
        ],
        ..SCENE
    },
    Scene {
        name: "last sender, the first to use blocks",
        ends: Ends::Sender,
        survivor: Survivor::Receiver,
        size: LARGE,
        script: Script::Send(3),
        points: &["block.commit", "block.committed", "block.place", "block.placed"],
        ..SCENE
    },
    Scene {
        name: "huge, beyond reach",
        size: HUGE,
        fill: 3,
        ends: Ends::Receiver, script: Script::Starve(3),
        points: &[
            "block.lose", "block.lost", "block.reach",
        ],
        ..SCENE
    },
    Scene {
        name: "huge, trimmed for another",
        size: HUGE,
        fill: 3,
        ends: Ends::Receiver, script: Script::Receive(How::Recv, 3),
        points: &[
            "block.free", "block.freed", "block.trim", "block.trimmed",
            "receive.block", "receive.claim", "receive.claimed", "receive.count", "receive.freed",
            "receive.lend", "receive.lent",
        ],
        ..SCENE
    },
    Scene {
        name: "huge with guards, trimmed itself",
        size: HUGE | LARGE,
        fill: 3,
        ends: Ends::Receiver, script: Script::Receive(How::Ref(0), 3),
        points: &[
            "block.free", "block.freed", "block.keep", "block.kept", "block.trim", "block.trimmed",
            "receive.block", "receive.claim", "receive.claimed", "receive.count", "receive.freed",
            "receive.lend", "receive.lent",
        ],
        ..SCENE
    },
    Scene {
        name: "attend alone",
        ends: Ends::None, script: Script::Create,
        points: &[
            "create.done", "create.fd", "create.leased", "discard.next", "leave.clean", "leave.free",
            "leave.freed", "leave.membership", "leave.roles", "leave.unmap", "leave.unmapped",
            "leave_role.done", "leave_role.entry", "leave_role.membership", "membership.cas",
            "membership.close", "wake_all.tokens", "wake_all.wake", "wake_all.woken",
        ],
        ..SCENE
    },
];

const IN_SLOTS: &[Scene] = &[
    Scene {
        name: "select to send", script: Script::SelectSend(4),
        points: &["send.claim", "send.written_late", "send.published_late"],
        ..SCENE
    },
    Scene {
        name: "select to receive", script: Script::SelectReceive(How::Recv, 5),
        points: &[
            "guard.free_slot", "guard.freed_slot", "receive.claim", "receive.claimed", "receive.freed",
            "receive.sign", "sleep.announce", "sleep.announced", "sleep.withdraw",
        ],
        ..RECEIVE
    },
    Scene {
        name: "select to receive with guards", script: Script::SelectReceive(How::Ref(0), 5),
        points: &[
            "guard.free_slot", "guard.freed_slot", "receive.claim", "receive.claimed", "receive.freed",
            "receive.sign", "sleep.announce", "sleep.announced", "sleep.withdraw",
        ],
        ..RECEIVE
    },
    Scene {
        name: "send in batches", script: Script::SendMany(3),
        points: &[
            "send.claim", "send.claimed", "send.published", "send.written",
        ],
        ..SCENE
    },
    Scene {
        name: "send loans", script: Script::Loan(3),
        points: &[
            "block.free", "block.freed", "loan.cas", "loan.held", "send.claim", "send.claimed",
            "send.published", "send.written",
        ],
        ..SCENE
    },
    Scene {
        name: "receive", script: Script::Receive(How::Recv, 4),
        points: &[
            "receive.claim", "receive.claimed", "receive.freed", "receive.read",
        ],
        ..RECEIVE
    },
    Scene {
        name: "receive many", script: Script::Receive(How::Many(3), 4),
        points: &[
            "receive.claim", "receive.claimed", "receive.freed", "receive.read", "sleep.announce",
            "sleep.announced", "sleep.barrier", "sleep.wait", "sleep.withdraw", "sleep.woken",
        ],
        ..RECEIVE
    },
    Scene {
        name: "receive with guards", script: Script::Receive(How::Ref(0), 4),
        points: &[
            "block.free", "block.freed", "loan.cas", "loan.held", "receive.claim", "receive.claimed",
            "receive.freed", "receive.lend_inline", "receive.lent_inline", "receive.read",
        ],
        ..RECEIVE
    },
    Scene {
        name: "receive without blocks",
        exhausted: true, script: Script::Receive(How::Ref(0), 4),
        points: &[
            "guard.free_slot", "guard.freed_slot", "receive.claim", "receive.claimed", "receive.freed",
            "receive.sign",
        ],
        ..RECEIVE
    },
    Scene {
        name: "receive without blocks and forget",
        fill: 3,
        exhausted: true, script: Script::Forget(2),
        points: &[
            "adopt.done", "adopt.mapped", "adopt.own", "adopt.pid_hint", "clean.head", "leave.clean", "leave.free",
            "leave.freed", "leave.membership", "leave.orphan", "leave.orphans", "leave.roles",
            "leave.unmap", "leave.unmapped", "leave_role.done", "leave_role.entry", "leave_role.membership",
            "membership.cas", "receive.claim", "receive.claimed", "receive.freed", "receive.sign",
            "wake_all.tokens", "wake_all.wake", "wake_all.woken",
        ],
        ..RECEIVE
    },
];

const IN_BLOCKS: &[Scene] = &[
    Scene {
        name: "select to send", script: Script::SelectSend(4),
        points: &[
            "loan.cas", "loan.held", "send.claim", "send.flown", "send.fly", "send.written_late",
            "send.published_late",
        ],
        ..SCENE
    },
    Scene {
        name: "select to receive", script: Script::SelectReceive(How::Recv, 4),
        points: &[
            "block.free", "block.freed", "receive.block", "receive.claim", "receive.claimed",
            "receive.count", "receive.freed", "receive.lend", "receive.lent",
        ],
        ..RECEIVE
    },
    Scene {
        name: "select to receive with guards", script: Script::SelectReceive(How::Ref(0), 4),
        points: &[
            "block.free", "block.freed", "receive.block", "receive.claim", "receive.claimed",
            "receive.count", "receive.freed", "receive.lend", "receive.lent",
        ],
        ..RECEIVE
    },
    Scene {
        name: "select to receive, and give back", script: Script::GiveBack(3),
        points: &["adopt.adopted", "adopt.cas", "adopt.counted", "block.lose", "block.lost"],
        ..RECEIVE
    },
    Scene {
        name: "send",
        points: &[
            "loan.cas", "loan.held", "send.claim", "send.claimed", "send.flown", "send.fly",
            "send.published", "send.written",
        ],
        ..SCENE
    },
    Scene {
        name: "send loans", script: Script::Loan(3),
        points: &[
            "loan.cas", "loan.held", "send.claim", "send.claimed", "send.flown", "send.fly",
            "send.published", "send.written",
        ],
        ..SCENE
    },
    Scene {
        name: "receive", script: Script::Receive(How::Recv, 4),
        points: &[
            "block.reach", "block.free", "block.freed", "receive.block", "receive.claim", "receive.claimed",
            "receive.count", "receive.freed", "receive.lend", "receive.lent",
        ],
        ..RECEIVE
    },
    Scene {
        name: "receive with guards", script: Script::Receive(How::Ref(0), 4),
        points: &[
            "block.free", "block.freed", "receive.block", "receive.claim", "receive.claimed",
            "receive.count", "receive.freed", "receive.lend", "receive.lent",
        ],
        ..RECEIVE
    },
];
