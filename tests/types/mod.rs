//! What a channel accepts: messages up to its limit, and ends of its own type.

mod apart;
mod size;
