//! `max_message` is exact, on every kind of channel, in every process that has an end.

use std::time::Duration;

use ipc_shm::Builder;
use multiprocess::pipe;
use multiprocess::shm::slice;
use multiprocess::{SendTimeoutError, Sender, SizeLimit, Unsendable};
use testkit::watchdog;

const LIMIT: usize = 100;

/// The size that the error says, if it is the error of a message that is too large.
fn too_large<T>(refused: SendTimeoutError<T>) -> usize {
    let SendTimeoutError::Unsendable(_, cause) = refused else { panic!("it has room") };
    let Unsendable::TooLarge { size, limit: LIMIT, set_by: SizeLimit::MaxMessage } = cause else {
        panic!("{cause:?}")
    };
    let text = cause.to_string();
    for part in [&format!("{size} bytes"), "100 bytes", "max_message"] {
        assert!(text.contains(part), "{text}");
    }
    size
}

/// Sends longer and longer messages with `send`, and checks that the first one that is refused has
/// one byte too many, and those after it one more each. Returns the length of the longest that was
/// sent.
fn longest(send: impl Fn(usize) -> Result<(), SendTimeoutError<()>>) -> usize {
    let mut longest = None;
    for len in 0..=300 {
        match send(len) {
            Ok(()) => assert!(longest.is_none(), "{len} is sent after a shorter one was refused"),
            Err(refused) => {
                let first = *longest.get_or_insert(len.checked_sub(1).expect("an empty one fits"));
                let (size, least) = (too_large(refused), LIMIT + len - first);
                // A length may take a byte more from some length on.
                assert!(
                    (least..=least + 2).contains(&size) && (len > first + 1 || size == least),
                    "{len}"
                );
            }
        }
    }
    longest.expect("the channel has a limit")
}

fn patience() -> Duration {
    Duration::from_secs(20)
}

type Ends = (Sender<Vec<u8>>, Sender<String>, slice::Sender<u8>);

fn typed<T: serde::Serialize + serde::de::DeserializeOwned>(
    tx: &Sender<T>,
    make: impl Fn(usize) -> T,
) -> usize {
    let longest = longest(|len| {
        tx.send_timeout(make(len), patience()).map_err(|error| match error {
            SendTimeoutError::Unsendable(_, cause) => SendTimeoutError::Unsendable((), cause),
            _ => SendTimeoutError::Disconnected(()),
        })
    });
    assert!(tx.try_send(make(longest + 1)).unwrap_err().is_unsendable());
    let error = tx.send_many([make(0), make(longest + 1), make(0)]).unwrap_err();
    assert_eq!((error.sent, error.unsent.len()), (1, 2));
    assert!(matches!(error.unsendable, Some(Unsendable::TooLarge { size: 101, limit: LIMIT, .. })));
    longest
}

/// In a process that has attached to the channels, and so knows their limits from the segment only.
fn child((bytes, text, slices): Ends) -> [usize; 4] {
    let loaned = longest(|len| {
        let mut loan = slices.loan_slice(len).map_err(|error| match error {
            multiprocess::SendError::Unsendable((), cause) => {
                SendTimeoutError::Unsendable((), cause)
            }
            multiprocess::SendError::Disconnected(()) => SendTimeoutError::Disconnected(()),
        })?;
        loan.fill(1);
        loan.send().map_err(|_| SendTimeoutError::Disconnected(()))
    });
    let sliced = longest(|len| {
        slices.send_timeout(vec![1; len], patience()).map_err(|error| match error {
            SendTimeoutError::Unsendable(_, cause) => SendTimeoutError::Unsendable((), cause),
            _ => SendTimeoutError::Disconnected(()),
        })
    });
    [typed(&bytes, |len| vec![1; len]), typed(&text, |len| "x".repeat(len)), sliced, loaned]
}

// fault 107
#[test]
fn max_message_is_exact_in_slots_and_in_blocks() {
    multiprocess::init();
    let _watchdog = watchdog();
    // A slot has room for more than the limit, or for less.
    for inline in [240, 1000, 16] {
        let builder = Builder::new(1000).inline(inline).max_message(LIMIT);
        let (bytes, many_bytes) = multiprocess::shm::erase(builder.typed().unwrap());
        let (text, texts) = multiprocess::shm::erase(builder.typed().unwrap());
        let (slices, many_slices) = builder.slices().unwrap();
        let child = multiprocess::spawn(child, (bytes, text, slices)).unwrap();
        let [in_bytes, in_text, in_slice, in_loan] = child.join().unwrap();
        assert_eq!((in_slice, in_loan), (LIMIT, LIMIT));
        assert_eq!(in_bytes, in_text, "both are a length and bytes");
        assert!((LIMIT - 8..LIMIT).contains(&in_bytes));
        // All that was accepted arrives.
        assert_eq!(many_bytes.iter().map(|message| message.len()).max(), Some(in_bytes));
        assert_eq!(texts.iter().map(|message| message.len()).max(), Some(in_text));
        assert_eq!(many_slices.iter().count(), 2 * (LIMIT + 1));
    }
    let refused = Builder::new(1).max_message(0).typed::<u8>().unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
}

/// In a process that may write files of 1 MiB at most.
fn small_files((socket, pipe): (Sender<Vec<u8>>, Sender<Vec<u8>>)) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Fsize, Rlimit { current: Some(1 << 20), maximum: Some(1 << 20) }).unwrap();
    for tx in [socket, pipe] {
        let error = tx.send(vec![1; 2 << 20]).unwrap_err();
        let multiprocess::SendError::Unsendable(message, cause) = error else { panic!() };
        assert_eq!(message.len(), 2 << 20);
        let Unsendable::TooLarge { size, limit: 1_048_576, set_by: SizeLimit::FileSize } = cause
        else {
            panic!("{cause:?}")
        };
        assert!((2 << 20..(2 << 20) + 16).contains(&size), "{size}");
        assert!(cause.to_string().contains("RLIMIT_FSIZE"), "{cause}");
        tx.send(vec![2; 1 << 10]).unwrap();
    }
}

// fault 107
#[test]
fn limits_of_the_system_are_named_with_both_sizes() {
    multiprocess::init();
    let _watchdog = watchdog();
    let ((socket, from_socket), (pipe, from_pipe)) =
        (pipe::channel().unwrap(), pipe::anonymous().unwrap());
    let child = multiprocess::spawn(small_files, (socket, pipe)).unwrap();
    child.join().unwrap();
    for rx in [from_socket, from_pipe] {
        assert_eq!(rx.iter().collect::<Vec<_>>(), [vec![2; 1 << 10]]);
    }
}
