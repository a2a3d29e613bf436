//! What a `Select` returns if nothing became ready.

use std::error::Error;
use std::fmt;

macro_rules! nothing_ready {
    ($(#[$doc:meta])* $Error:ident, $text:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $Error;

        impl fmt::Display for $Error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($text)
            }
        }

        impl Error for $Error {}
    };
}

nothing_ready!(
    /// The error of [`Select::try_select`](crate::Select::try_select): no operation is ready.
    TrySelectError,
    "no operation is ready now"
);
nothing_ready!(
    /// The error of [`Select::select_timeout`](crate::Select::select_timeout): no operation became
    /// ready in time.
    SelectTimeoutError,
    "no operation became ready in time"
);
nothing_ready!(
    /// The error of [`Select::try_ready`](crate::Select::try_ready): no operation is ready.
    TryReadyError,
    "no operation is ready now"
);
nothing_ready!(
    /// The error of [`Select::ready_timeout`](crate::Select::ready_timeout): no operation became
    /// ready in time.
    ReadyTimeoutError,
    "no operation became ready in time"
);
