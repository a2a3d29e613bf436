//! What two programs have in common: each includes this file, at its own path.

use multiprocess::pipe::Duplex;
use multiprocess::shm::{Mutex, SharedSlice, pod, slice};
use multiprocess::{Receiver, Sender};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: u64,
    pub(crate) lines: Vec<(String, State)>,
    pub(crate) part: Option<Box<Order>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum State {
    Open,
    Paid { by: String },
    Gone(i8, f32),
}

/// Plain data.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub(crate) struct Sample {
    pub(crate) at: u64,
    pub(crate) value: f64,
}

// SAFETY: both fields are numbers, for which all zeros are a value.
unsafe impl bytemuck::Zeroable for Sample {}
// SAFETY: `repr(C)`, two fields of eight bytes each: no padding, no pointers, all bytes are values.
unsafe impl bytemuck::Pod for Sample {}

/// Ends of every route, and what is shared.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ends {
    pub(crate) orders: Receiver<Order>,
    pub(crate) back: Sender<Order>,
    pub(crate) samples: pod::Receiver<Sample>,
    pub(crate) pairs: slice::Sender<Sample>,
    pub(crate) socket: Sender<Order>,
    pub(crate) line: Duplex<State, Order>,
    pub(crate) sum: Mutex<Sample>,
    pub(crate) all: SharedSlice<Sample>,
}

pub(crate) fn order(id: u64) -> Order {
    let part = Order { id, lines: Vec::new(), part: None };
    let lines = vec![
        ("tea".to_owned(), State::Open),
        ("salt".to_owned(), State::Paid { by: "me".to_owned() }),
        (String::new(), State::Gone(-1, 0.5)),
    ];
    Order { id, lines, part: Some(Box::new(part)) }
}
