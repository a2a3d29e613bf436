//! Death at each named point of the library's sources, and what the survivor finds.
//!
//! Each scene says what goes before, what the victim does, and at which points it is killed, at the
//! first, second and third time that it comes there.
//!
//! faults 1-7, 12-16, 87, 92.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use testkit::watchdog_of;

use crate::flavour::{Flavour, Large, Mixed, SPARE, Small};
use crate::message::{HUGE, LARGE};
use crate::roles::How;
use crate::stage::{Ends, Script, Stage};
use crate::support::{Leaks, alone, ticked};

/// What one victim does after another.
#[derive(Clone, Copy)]
struct Scene {
    name: &'static str,
    /// Messages that the survivor sends first.
    fill: u64,
    /// The processes that died before, and where: what they left is still there.
    before: &'static [(Ends, Script, &'static str)],
    ends: Ends,
    script: Script,
    /// So many die at the same point, one after another: the next one finds what the one before
    /// left.
    depth: u32,
    /// Whether another receiver sleeps meanwhile.
    sleeper: bool,
    /// Whether no block is free.
    exhausted: bool,
    /// `LARGE`, `HUGE` or 0: what messages are sent.
    size: u64,
    survivor: Survivor,
    points: &'static [&'static str],
}

include!("scenes.rs");

const CAPACITY: usize = 4;

/// Which ends the survivor keeps.
#[derive(Clone, Copy)]
enum Survivor {
    Both,
    Sender,
    Receiver,
}

/// Plays a scene with deaths at `point`: how many died there.
fn kill<F: Flavour>(
    stage: Option<Stage<F>>,
    scene: &Scene,
    point: &str,
    hit: u64,
) -> (Option<Stage<F>>, u32) {
    let mut stage = stage.unwrap_or_else(|| Stage::new(CAPACITY));
    stage.size = scene.size;
    stage.fill(scene.fill);
    let before: Vec<_> = scene
        .before
        .iter()
        .map(|(ends, script, point)| stage.cast(*ends, *script, Some((point, 1))))
        .collect();
    let victims: Vec<_> = (0..scene.depth)
        .map(|_| stage.cast(scene.ends, scene.script, Some((point, hit))))
        .collect();
    let sleeper = scene.sleeper.then(|| stage.sleeper());
    match scene.survivor {
        Survivor::Both => {}
        Survivor::Sender => drop(stage.rx.take()),
        Survivor::Receiver => drop(stage.tx.take()),
    }
    for actor in before {
        assert!(stage.perform(actor), "{}: nobody died before", scene.name);
    }
    let mut died = 0;
    let perform = |stage: &mut Stage<F>| {
        died = victims.into_iter().filter_map(|victim| stage.perform(victim).then_some(())).count();
    };
    if scene.exhausted {
        let tx = stage.tx.clone().expect("the survivor keeps it");
        F::take_blocks(&tx, SPARE, || perform(&mut stage));
    } else {
        perform(&mut stage);
    }
    if let Some(sleeper) = sleeper {
        stage.wake(sleeper);
    }
    let stage = match scene.survivor {
        Survivor::Both => {
            stage.survive();
            Some(stage)
        }
        Survivor::Sender => {
            stage.last_receiver_left();
            None
        }
        Survivor::Receiver => {
            stage.last_sender_left();
            None
        }
    };
    (stage, died as u32)
}

/// Plays the scenes whose names begin so, at each point, three times.
fn play<F: Flavour>(scenes: &[Scene], prefix: &str) {
    let _alone = alone();
    let _watchdog = watchdog_of(Duration::from_secs(100));
    let before = Leaks::count();
    let began = Instant::now();
    let (mut played, mut deaths) = (0, 0);
    for scene in scenes.iter().filter(|scene| scene.name.starts_with(prefix)) {
        let mut stage = None;
        for point in scene.points {
            for hit in 1..=3 {
                // Where two processes race, a point is not reached each time.
                let tries = if hit == 1 { 20 } else { 1 };
                let mut died = 0;
                for _ in 0..tries {
                    (stage, died) = kill::<F>(stage, scene, point, hit);
                    if died > 0 {
                        break;
                    }
                }
                assert!(died > 0 || hit > 1, "{}: no process comes to {point}", scene.name);
                played += 1;
                deaths += died;
                if died == 0 {
                    break; // It does not come there so often.
                }
            }
        }
        if let Some(stage) = stage {
            stage.last_sender_left();
        }
    }
    assert!(played > 0);
    println!("{prefix}: {played} runs, {deaths} deaths in {:?}", began.elapsed());
    before.none_since();
}

/// What the names of points begin with that are no channel's: they are in
/// `tests/segments/points.rs`.
const SEGMENTS: [&str; 5] = ["name.", "participant.", "segment.", "seq.", "seqlock."];

/// The names of all points in the sources of channels.
fn named() -> BTreeSet<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = BTreeSet::new();
    let folders = [
        "ipc-shm/src",
        "ipc-shm/src/attach",
        "ipc-shm/src/channel",
        "ipc-shm/src/message",
        "ipc-shm/src/value",
        "ipc-wait/src",
    ]
    .map(|name| sources.join(name));
    for file in folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap().flatten()) {
        let Ok(text) = fs::read_to_string(file.path()) else { continue };
        for rest in text.split("kill_point!(\"").skip(1) {
            let name = rest.split('"').next().unwrap();
            if !SEGMENTS.iter().any(|prefix| name.starts_with(prefix)) {
                named.insert(name.to_owned());
            }
        }
    }
    assert!(named.len() > 50, "the sources are elsewhere");
    named
}

#[test]
fn every_point_is_in_a_scene() {
    // It has files open, which the others would count.
    let _alone = alone();
    let named = named();
    let scenes = [MIXED, IN_SLOTS, IN_BLOCKS].into_iter().flatten();
    let played: BTreeSet<String> =
        scenes.flat_map(|scene| scene.points).map(|p| (*p).to_owned()).collect();
    let missing: Vec<_> = named.difference(&played).collect();
    let unknown: Vec<_> = played.difference(&named).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "in no scene: {missing:?}; not there: {unknown:?}"
    );
}

/// Prints which points each scene comes to: of use when a point is added.
#[test]
#[ignore = "prints the table; run it with --nocapture"]
fn print_points() {
    multiprocess::init();
    let _alone = alone();
    let named = named();
    fn print<F: Flavour>(scenes: &[Scene], named: &BTreeSet<String>) {
        for scene in scenes {
            let mut stage = None;
            let mut points = Vec::new();
            for point in named {
                let died;
                let began = ticked();
                (stage, died) = kill::<F>(stage, scene, point, 1);
                if ticked() - began > Duration::from_millis(400) {
                    eprintln!("SLOW {} {point} {died}: {:?}", scene.name, ticked() - began);
                }
                if died > 0 {
                    points.push(point);
                }
            }
            eprintln!("TABLE {}: &{points:?},", scene.name);
        }
    }
    print::<Mixed>(MIXED, &named);
    print::<Small>(IN_SLOTS, &named);
    print::<Large>(IN_BLOCKS, &named);
}

macro_rules! plays {
    ($($test:ident: $F:ty, $scenes:ident, $prefix:literal;)*) => {
        $(
            #[test]
            fn $test() {
                multiprocess::init();
                play::<$F>($scenes, $prefix);
            }
        )*
    };
}

plays! {
    killed_while_sending: Mixed, MIXED, "send";
    killed_while_receiving: Mixed, MIXED, "receive";
    killed_while_repairing_a_sender: Mixed, MIXED, "repair a sender";
    killed_while_repairing_a_loan: Mixed, MIXED, "repair a loan";
    killed_while_repairing_a_receiver: Mixed, MIXED, "repair a receiver";
    killed_while_attaching_or_leaving: Mixed, MIXED, "attend";
    killed_as_the_last: Mixed, MIXED, "last";
    killed_with_large_messages: Mixed, MIXED, "huge";
    killed_while_sending_plain_data: Small, IN_SLOTS, "send";
    killed_while_receiving_plain_data: Small, IN_SLOTS, "receive";
    killed_while_sending_blocks: Large, IN_BLOCKS, "send";
    killed_while_receiving_blocks: Large, IN_BLOCKS, "receive";
    killed_while_selecting_to_send: Mixed, MIXED, "select to send";
    killed_while_selecting_to_receive: Mixed, MIXED, "select to receive";
    killed_while_selecting_plain_data: Small, IN_SLOTS, "select";
    killed_while_selecting_blocks: Large, IN_BLOCKS, "select";
}
