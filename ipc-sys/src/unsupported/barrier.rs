//! Barriers: there are none.

unsupported! {
    fn register() -> bool = false;
    fn issue() -> bool = false;
}
