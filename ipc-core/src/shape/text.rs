//! Types as text for people.

/// The longest [`text`](super::Shape::text), in bytes.
pub const MAX_TEXT: usize = 128;

/// Converts any bytes into printable text of at most [`MAX_TEXT`] bytes. What a peer has written
/// may be garbage.
#[must_use]
pub fn readable(bytes: &[u8]) -> String {
    let long = bytes.len() > MAX_TEXT;
    let bytes = &bytes[..bytes.len().min(MAX_TEXT)];
    let mut text = String::new();
    for c in String::from_utf8_lossy(bytes).chars() {
        let c = if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        // A replacement may be longer than what it stands for.
        if text.len() + c.len_utf8() > MAX_TEXT {
            return cut(text);
        }
        text.push(c);
    }
    if long { cut(text) } else { text }
}

/// Makes room for a mark that something is missing.
fn cut(mut text: String) -> String {
    const MORE: char = '…';
    while text.len() + MORE.len_utf8() > MAX_TEXT || text.ends_with(char::REPLACEMENT_CHARACTER) {
        text.pop();
    }
    text.push(MORE);
    text
}

/// Returns the name of a type without its paths: `Vec<Order>` for `alloc::vec::Vec<shop::Order>`.
pub(crate) fn without_paths(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut begin = 0;
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("::") {
            short.truncate(begin);
            rest = after;
            continue;
        }
        short.push(c);
        if !c.is_alphanumeric() && c != '_' {
            begin = short.len();
        }
        rest = &rest[c.len_utf8()..];
    }
    short
}
