use super::*;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

fn pipe() -> (UnixStream, OsHandle) {
    let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
    (reader, writer.into())
}

fn closed(mut reader: UnixStream) -> bool {
    reader.read(&mut [0]).unwrap() == 0
}

#[test]
fn attached_handles_come_back_by_index_and_once() {
    let (mut reader, writer) = pipe();
    let (index, handles) = collect(|| attach(writer).unwrap());
    provide(handles, || {
        let mut writer = UnixStream::from(take(index).unwrap());
        assert!(take(index).is_none());
        assert!(take(7).is_none());
        writer.write_all(b"x").unwrap();
    });
    assert_eq!(reader.read(&mut [0]).unwrap(), 1);
    assert!(closed(reader));
}

#[test]
fn scopes_that_nothing_was_given_to_are_scopes() {
    assert!(!in_scope());
    let ((), handles) = collect(|| {
        assert!(in_scope());
        // An inner one is another message.
        let (index, inner) = collect(|| attach(pipe().1).unwrap());
        assert_eq!((index, inner.len()), (0, 1));
        assert_eq!(not_collected(), None);
        provide(inner, || {
            let ((), none) = collect(|| assert!(take(0).is_none()));
            assert!(none.is_empty() && take(0).is_some());
        });
        assert_eq!(attach(pipe().1), Ok(0));
        let ((), none) = collect(|| ());
        assert!(none.is_empty());
        assert_eq!(attach(pipe().1), Ok(1));
    });
    assert_eq!((handles.len(), in_scope()), (2, false));
}

#[test]
fn what_was_attached_is_closed_on_unwind() {
    let (reader, writer) = pipe();
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        collect(|| {
            attach(writer).unwrap();
            panic!("encoder")
        })
    }));
    assert!(unwound.is_err());
    assert!(closed(reader) && !in_scope());
}

#[test]
fn outside_a_scope_and_inside_refuse_nothing_is_carried() {
    let (reader, writer) = pipe();
    assert_eq!(attach(writer), Err(NotCarried::BytesOnly));
    assert!(closed(reader));
    let ((), handles) = collect(|| {
        assert_eq!(carried(), Ok(()));
        let (reader, writer) = pipe();
        refuse(|| assert_eq!(attach(writer), Err(NotCarried::BytesOnly)));
        assert!(closed(reader));
    });
    assert!(handles.is_empty());
    assert_eq!(carried(), Err(NotCarried::BytesOnly));
}

#[test]
fn a_handle_that_is_not_taken_is_closed_even_on_unwind() {
    let (reader, writer) = pipe();
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        provide(vec![writer], || panic!("decoder"))
    }));
    assert!(unwound.is_err());
    assert!(closed(reader));
    assert!(take(0).is_none());
}

#[test]
fn an_owners_cause_is_returned_once_and_only_for_its_message() {
    let ((), _) = collect(|| assert_eq!(record_cause("no room"), "no room"));
    assert_eq!(cause_text("the format's"), "no room");
    assert_eq!(cause_text("the format's"), "the format's");
    let ((), _) = collect(|| drop(record_cause("no room")));
    let ((), _) = collect(|| ());
    assert_eq!(cause_text("the format's"), "the format's");
}

#[test]
fn contexts_are_for_values_of_one_message() {
    let read = |known: u32| {
        context(move |context: &(u32, &str)| (context.0 == known).then_some(context.1))
    };
    set_context((1u32, "outside")); // No message.
    let ((), _) = collect(|| {
        set_context((1u32, "one"));
        set_context(1u64);
        set_context((2u32, "two"));
        assert_eq!((read(1), read(2), read(3)), (Some("one"), Some("two"), None));
        refuse(|| assert_eq!(read(1), None));
        provide(Vec::new(), || assert_eq!(read(1), None));
        assert_eq!(read(1), Some("one"));
    });
    provide(Vec::new(), || assert_eq!(read(1), None));
}

#[test]
fn the_254th_handle_is_refused() {
    let ((), handles) = collect(|| {
        for i in 0..MAX_HANDLES {
            assert_eq!(attach(pipe().1), Ok(i as u32));
        }
        assert_eq!(attach(pipe().1), Err(NotCarried::TooMany));
    });
    assert_eq!(handles.len(), MAX_HANDLES);
}
