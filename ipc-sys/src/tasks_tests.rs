use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, channel};

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// A waker that sends a message for each call.
fn waker() -> (Waker, Receiver<()>) {
    struct Says(Mutex<std::sync::mpsc::Sender<()>>);
    impl Wake for Says {
        fn wake(self: Arc<Self>) {
            let _ = self.0.lock().unwrap().send(());
        }
    }
    let (tx, calls) = channel();
    (Waker::from(Arc::new(Says(Mutex::new(tx)))), calls)
}

fn word_source(word: &AtomicU64, seen: u32) -> Source<'_> {
    Source::Word { word, seen, shared: false }
}

fn change(word: &AtomicU64) {
    word.fetch_add(1, Ordering::Release);
    futex::wake_private(word, 1);
}

#[test]
fn a_word_that_changes_calls_the_waker_once() {
    let word = AtomicU64::new(0);
    let (waker, calls) = waker();
    let number = ThisProcess.arm(word_source(&word, 0), None, &waker).unwrap();
    change(&word);
    calls.recv_timeout(LONG).unwrap();
    assert!(!ThisProcess.renew(number, &waker));
    change(&word);
    ThisProcess.disarm(number);
    assert!(calls.try_recv().is_err());
}

#[test]
fn a_word_that_has_changed_before_calls_the_waker() {
    let word = AtomicU64::new(7);
    let (waker, calls) = waker();
    ThisProcess.arm(word_source(&word, 6), None, &waker).unwrap();
    calls.recv_timeout(LONG).unwrap();
}

#[test]
fn the_time_calls_the_waker() {
    let (waker, calls) = waker();
    let until = Instant::now() + Duration::from_millis(10);
    // The later one first: the thread must not sleep for that long.
    let (never, word) = (Instant::now() + LONG * 100, AtomicU64::new(0));
    let late = ThisProcess.arm(word_source(&word, 0), Some(never), &waker).unwrap();
    ThisProcess.arm(Source::Time, Some(until), &waker).unwrap();
    calls.recv_timeout(LONG).unwrap();
    assert!(Instant::now() >= until);
    assert!(ThisProcess.renew(late, &waker));
    ThisProcess.disarm(late);
}

#[test]
fn the_waker_that_was_given_last_is_called() {
    let word = AtomicU64::new(0);
    let ((old, old_calls), (new, new_calls)) = (waker(), waker());
    let number = ThisProcess.arm(word_source(&word, 0), None, &old).unwrap();
    assert!(ThisProcess.renew(number, &new));
    change(&word);
    new_calls.recv_timeout(LONG).unwrap();
    assert!(old_calls.try_recv().is_err());
}

#[test]
fn a_file_that_is_ready_calls_the_waker() {
    use std::io::Write;
    use std::os::fd::AsFd;
    let (reader, mut writer) = std::io::pipe().unwrap();
    let (waker, calls) = waker();
    let source = Source::File { fd: reader.as_fd(), writable: false };
    let number = ThisProcess.arm(source, None, &waker).unwrap();
    assert!(ThisProcess.renew(number, &waker));
    writer.write_all(b"x").unwrap();
    calls.recv_timeout(LONG).unwrap();
    // A file of a disk is always ready.
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let source = Source::File { fd: file.as_fd(), writable: false };
    ThisProcess.arm(source, None, &waker).unwrap();
    calls.recv_timeout(LONG).unwrap();
}

/// More words than one thread sleeps on.
#[test]
fn each_of_many_words_calls_its_waker() {
    const MANY: usize = 3 * MOST_WORDS;
    let words: Vec<AtomicU64> = (0..MANY).map(|_| AtomicU64::new(0)).collect();
    let (waker, calls) = waker();
    let arm = |word| ThisProcess.arm(word_source(word, 0), None, &waker).unwrap();
    let numbers: Vec<u64> = words.iter().map(arm).collect();
    for (word, number) in words.iter().zip(&numbers).rev() {
        assert!(ThisProcess.renew(*number, &waker));
        change(word);
        calls.recv_timeout(LONG).unwrap();
    }
}

/// The thread may still sleep on a word that was taken back. If a wake-up reaches it there, it
/// wakes the sleeper that should have had it.
#[test]
fn a_wake_up_for_what_was_taken_back_goes_to_another_sleeper() {
    for _ in 0..200 {
        let (word, woken) = (AtomicU64::new(0), AtomicUsize::new(0));
        let (waker, _calls) = waker();
        let number = ThisProcess.arm(word_source(&word, 0), None, &waker).unwrap();
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                let begun = Instant::now();
                while word.load(Ordering::Acquire) == 0 {
                    futex::wait_private(&word, 0, LONG);
                }
                woken.fetch_add(1, Ordering::Relaxed);
                begun.elapsed()
            });
            ThisProcess.disarm(number);
            change(&word);
            assert!(sleeper.join().unwrap() < LONG / 2, "it was woken, and not by its limit");
        });
        assert_eq!(woken.load(Ordering::Relaxed), 1);
    }
}

/// A future that is leaked takes nothing back, and its memory may be gone.
#[test]
fn a_word_that_is_unmapped_harms_no_other_one() {
    let file = crate::memory::create("multiprocess-test").unwrap();
    crate::memory::set_len(crate::borrow(&file), 4096).unwrap();
    let mapping = crate::memory::map(crate::borrow(&file), 4096).unwrap();
    let (waker, calls) = waker();
    let leaked = {
        // SAFETY: mapped, aligned, and shared with no other process. It lives until the end of this
        // block, longer than the reference.
        #[allow(unsafe_code)]
        let word = unsafe { &*mapping.as_mut_ptr().cast::<AtomicU64>() };
        let source = Source::Word { word, seen: 0, shared: true };
        ThisProcess.arm(source, None, &waker).unwrap()
    };
    drop(mapping);
    // The waker is called as soon as the thread finds that out, at the next wake-up.
    let word = AtomicU64::new(0);
    let (other, other_calls) = self::waker();
    ThisProcess.arm(word_source(&word, 0), None, &other).unwrap();
    change(&word);
    other_calls.recv_timeout(LONG).unwrap();
    calls.recv_timeout(LONG).unwrap();
    assert!(!ThisProcess.renew(leaked, &waker));
}
