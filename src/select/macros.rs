//! The macros that write a `Select` out.

/// Waits for one of several operations on channels, and runs the code of the one that was chosen.
///
/// The channels may be of any routes, and between threads or processes. The grammar is
/// crossbeam-channel's:
///
/// | arm | the operation |
/// |---|---|
/// | `recv(rx) -> message => …` | receives; `message` is the result of [`recv`](crate::Receiver::recv) |
/// | `send(tx, value) -> result => …` | sends; `value` is evaluated only if this arm is chosen |
/// | `default => …` | runs if no operation is ready now: nothing waits |
/// | `default(timeout) => …` | runs if no operation became ready in time |
///
/// If several operations are ready, one is chosen at random, so that no arm starves another; see
/// [`select_biased!`](crate::select_biased!). An operation is ready too if its channel is
/// disconnected. [`Select`](crate::Select) is for lists of operations that are made at run time.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use multiprocess::{after, select};
///
/// let (numbers, from_numbers) = multiprocess::bounded::<u64>(4)?;
/// let (_texts, from_texts) = multiprocess::pipe::channel::<String>()?;
/// numbers.send(7)?;
/// let late = after(Duration::from_secs(5));
/// let got = select! {
///     recv(from_numbers) -> number => number?,
///     recv(from_texts) -> text => text?.len() as u64,
///     recv(late) -> _ => 0,
/// };
/// assert_eq!(got, 7);
/// # Ok(()) }
/// ```
#[macro_export]
macro_rules! select {
    ($($arms:tt)*) => {
        $crate::__select!(@arm Fair [] [] [] $($arms)*)
    };
}

/// As [`select!`](crate::select!), but of several operations that are ready the first is chosen.
///
/// So an early arm can starve later ones.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (urgent, from_urgent) = multiprocess::bounded(4)?;
/// let (usual, from_usual) = multiprocess::bounded(4)?;
/// usual.send("usual".to_owned())?;
/// urgent.send("urgent".to_owned())?;
/// let got = multiprocess::select_biased! {
///     recv(from_urgent) -> got => got?,
///     recv(from_usual) -> got => got?,
/// };
/// assert_eq!(got, "urgent");
/// # Ok(()) }
/// ```
#[macro_export]
macro_rules! select_biased {
    ($($arms:tt)*) => {
        $crate::__select!(@arm Biased [] [] [] $($arms)*)
    };
}

/// What `select!` expands to, in steps:
///
/// - `@arm` reads the head of the next arm, and `@body` its code. They collect the operations in
///   one list and the default in another, and count the operations. The end of each arm gets an
///   identifier of its own, because each arm is read in an expansion of its own.
/// - `@nest` evaluates the end of each operation once, and keeps it for as long as the arm runs.
/// - `@run` chooses, completes and runs.
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    // No arm is left.
    (@arm $how:ident [] [] []) => {
        ::std::compile_error!("`select!` needs an operation or a default")
    };
    (@arm $how:ident $n:tt [$($ops:tt)*] [$($default:tt)*]) => {
        $crate::__select!(@nest $how [$($ops)*] [$($default)*] [$($ops)*])
    };
    (@arm $how:ident $n:tt $ops:tt $default:tt
        recv($end:expr $(,)?) -> $result:pat => $($rest:tt)*) => {
        $crate::__select!(@body $how $n $ops $default
            (recv end $n ($end) () ($result)) $($rest)*)
    };
    (@arm $how:ident $n:tt $ops:tt $default:tt
        send($end:expr, $message:expr $(,)?) -> $result:pat => $($rest:tt)*) => {
        $crate::__select!(@body $how $n $ops $default
            (send end $n ($end) ($message) ($result)) $($rest)*)
    };
    (@arm $how:ident $n:tt $ops:tt [] default $(())? => $($rest:tt)*) => {
        $crate::__select!(@body $how $n $ops [] (default now) $($rest)*)
    };
    (@arm $how:ident $n:tt $ops:tt [] default($timeout:expr $(,)?) => $($rest:tt)*) => {
        $crate::__select!(@body $how $n $ops [] (default ($timeout)) $($rest)*)
    };
    (@arm $how:ident $n:tt $ops:tt [$($default:tt)+] default $($rest:tt)*) => {
        ::std::compile_error!("`select!` has one default at most")
    };
    (@arm $how:ident $n:tt $ops:tt $default:tt $($rest:tt)*) => {
        ::std::compile_error!(::std::concat!(
            "`select!` expects `recv(rx) -> message => …`, `send(tx, value) -> result => …`, ",
            "`default => …` or `default(timeout) => …` here: ",
            ::std::stringify!($($rest)*)
        ))
    };

    (@body $how:ident $n:tt $ops:tt $default:tt $head:tt $body:block, $($rest:tt)*) => {
        $crate::__select!(@add $how $n $ops $default $head ($body) $($rest)*)
    };
    (@body $how:ident $n:tt $ops:tt $default:tt $head:tt $body:block $($rest:tt)*) => {
        $crate::__select!(@add $how $n $ops $default $head ($body) $($rest)*)
    };
    (@body $how:ident $n:tt $ops:tt $default:tt $head:tt $body:expr, $($rest:tt)*) => {
        $crate::__select!(@add $how $n $ops $default $head ($body) $($rest)*)
    };
    (@body $how:ident $n:tt $ops:tt $default:tt $head:tt $body:expr) => {
        $crate::__select!(@add $how $n $ops $default $head ($body))
    };

    (@add $how:ident $n:tt $ops:tt [] (default $when:tt) $body:tt $($rest:tt)*) => {
        $crate::__select!(@arm $how $n $ops [$when $body] $($rest)*)
    };
    (@add $how:ident [$($n:tt)*] [$($ops:tt)*] $default:tt
        ($($head:tt)*) $body:tt $($rest:tt)*) => {
        $crate::__select!(@arm $how [$($n)* x] [$($ops)* ($($head)* $body)] $default $($rest)*)
    };

    (@nest $how:ident $ops:tt $default:tt []) => {
        $crate::__select!(@run $how $ops $default)
    };
    (@nest $how:ident $ops:tt $default:tt
        [($kind:ident $end:ident $n:tt ($of:expr) $($op:tt)*) $($more:tt)*]) => {
        match &$of {
            $end => $crate::__select!(@nest $how $ops $default [$($more)*]),
        }
    };

    (@run $how:ident [$($ops:tt)*] []) => {{
        // `select` panics without an operation, so it returns one.
        let chosen = $crate::__select!(@choose $how [$($ops)*]
            $crate::__private::select::Deadline::Never);
        let number = chosen.as_ref().map(|chosen| chosen.index());
        $crate::__select!(@complete chosen number (::std::unreachable!()) $($ops)*)
    }};
    (@run $how:ident [$($ops:tt)*] [now $default:tt]) => {{
        let chosen = $crate::__select!(@choose $how [$($ops)*]
            $crate::__private::select::Deadline::Now);
        let number = chosen.as_ref().map(|chosen| chosen.index());
        $crate::__select!(@complete chosen number $default $($ops)*)
    }};
    (@run $how:ident [$($ops:tt)*] [($timeout:expr) $default:tt]) => {{
        let chosen = $crate::__select!(@choose $how [$($ops)*]
            $crate::__private::select::Deadline::after($timeout));
        let number = chosen.as_ref().map(|chosen| chosen.index());
        $crate::__select!(@complete chosen number $default $($ops)*)
    }};

    (@choose $how:ident [$(($kind:ident $end:ident $n:tt $($op:tt)*))*] $deadline:expr) => {
        // The list ends here: the arms may drop what was waited for.
        $crate::__private::select::choose(
            &[
                $($crate::__private::select::Operation::$kind($crate::__select!(@count $n), $end)),*
            ],
            $crate::__private::select::Order::$how,
            $deadline,
        )
    };

    (@complete $chosen:ident $number:ident ($default:expr)) => {{
        ::std::mem::drop(($chosen, $number));
        $default
    }};
    (@complete $chosen:ident $number:ident $default:tt
        ($kind:ident $end:ident $n:tt $of:tt ($($message:expr)?) ($result:pat) ($body:expr))
        $($ops:tt)*) => {
        if $number == ::std::option::Option::Some($crate::__select!(@count $n)) {
            // Moved as a whole, so that nothing borrows what was waited for any more.
            let $result = ::std::option::Option::unwrap($chosen).$kind($end $(, $message)?);
            $body
        } else {
            $crate::__select!(@complete $chosen $number $default $($ops)*)
        }
    };

    // The number of an operation: how many come before it, each an `x`.
    (@count []) => { 0 };
    (@count [$first:tt $($more:tt)*]) => { 1 + $crate::__select!(@count [$($more)*]) };
}
