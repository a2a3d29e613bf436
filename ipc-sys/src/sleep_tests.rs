//! Sleeping on words, files and wakers, alone and together.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::SeqCst;

use super::*;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(5);

/// Calls `wake` in another thread while this one sleeps, and returns whether it was woken before
/// its time was over.
fn woken(sources: &[Source<'_>], wake: impl FnOnce() + Send) -> bool {
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(wake);
        // A sleep may end for no reason.
        while began.elapsed() < LONG / 2 {
            if ThisThread.sleep(sources, LONG) {
                return true;
            }
        }
        false
    })
}

fn word(word: &AtomicU64) -> Source<'_> {
    Source::Word { word, seen: 0, shared: true }
}

fn change(word: &AtomicU64) {
    word.fetch_add(1, SeqCst);
    futex::wake(word, 1);
}

#[test]
fn each_of_several_words_ends_a_sleep() {
    for count in [1, 2, 127, 128, 300] {
        for which in [0, count - 1] {
            let words: Vec<AtomicU64> = (0..count).map(|_| AtomicU64::new(0)).collect();
            let sources: Vec<Source<'_>> = words.iter().map(word).collect();
            assert!(!ThisThread.sleep(&sources, SHORT), "nothing has changed");
            assert!(woken(&sources, || change(&words[which])), "{which} of {count}");
            assert!(ThisThread.sleep(&sources, LONG), "it has changed already");
        }
    }
}

#[test]
fn a_waker_ends_the_next_sleep_and_no_later_one() {
    let waker = ThisThread.with_waker(Waker::clone);
    let (none, one) = (AtomicU64::new(0), AtomicU64::new(0));
    for sources in [vec![Source::Waker], vec![word(&none), Source::Waker, word(&one)]] {
        assert!(woken(&sources, || waker.wake_by_ref()));
        waker.wake_by_ref();
        assert!(ThisThread.sleep(&sources, LONG), "it was called since the last sleep");
        assert!(!ThisThread.sleep(&sources, SHORT), "that call was used up");
    }
}

#[test]
fn a_file_ends_a_sleep_alone_and_beside_words() {
    let quiet = AtomicU64::new(0);
    for beside in [vec![], vec![word(&quiet)], vec![word(&quiet), Source::Waker]] {
        let (mut far, near) = UnixStream::pair().unwrap();
        let (_other, still) = UnixStream::pair().unwrap();
        let mut sources = vec![
            Source::File { fd: still.as_fd(), writable: false },
            Source::File { fd: near.as_fd(), writable: false },
        ];
        sources.extend(&beside);
        assert!(!ThisThread.sleep(&sources, SHORT));
        assert!(woken(&sources, || far.write_all(b"x").unwrap()));
        // Its byte was not read.
        assert!(woken(&sources, || {}));
        let room = [vec![Source::File { fd: near.as_fd(), writable: true }], beside].concat();
        assert!(woken(&room, || {}), "there is room");
    }
}

#[test]
fn threads_that_wait_for_the_same_file_are_all_woken() {
    let (mut far, near) = UnixStream::pair().unwrap();
    let quiet = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|i| {
                let (near, quiet) = (&near, &quiet);
                scope.spawn(move || {
                    let file = Source::File { fd: near.as_fd(), writable: i == 3 };
                    woken(&[file, word(quiet)], || {})
                })
            })
            .collect();
        far.write_all(b"x").unwrap();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    });
}

#[test]
fn the_end_of_the_other_side_ends_a_sleep() {
    let quiet = AtomicU64::new(0);
    let (far, near) = UnixStream::pair().unwrap();
    let file = Source::File { fd: near.as_fd(), writable: false };
    assert!(woken(&[file, word(&quiet)], || drop(far)));
}
