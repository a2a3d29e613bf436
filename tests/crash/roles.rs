//! What the children do: send, or receive, and write down what they have done until they are
//! killed.

use std::path::PathBuf;
use std::time::Duration;

use ipc_shm::{RecvError, RecvTimeoutError, SendTimeoutError, TryRecvError};
use serde::{Deserialize, Serialize};
use testkit::Random;

use crate::flavour::Flavour;
use crate::message::Message;
use crate::support::{Counter, Log, Record};

/// How a receiver receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum How {
    Recv,
    Poll,
    Timeout,
    Many(usize),
    /// With guards, held for so many turns of an idle loop at most, and written down before they
    /// are dropped.
    Ref(u64),
    /// As [`Recv`](How::Recv), chosen by a `Select` that names the receiver twice.
    Select,
    /// As [`Ref`](How::Ref), chosen so.
    SelectRef,
    /// Waits on the bell socket.
    OnSocket,
}

impl How {
    pub(crate) const ALL: [How; 10] = [
        How::Recv,
        How::Poll,
        How::Timeout,
        How::Many(8),
        How::Many(63),
        How::Ref(0),
        How::Ref(3000),
        How::Select,
        How::SelectRef,
        How::OnSocket,
    ];

    /// What a receiver that is killed may have taken and not written down.
    pub(crate) fn batch(self) -> u64 {
        match self {
            How::Recv | How::Poll | How::Timeout | How::Select | How::OnSocket => 1,
            How::Many(most) => most as u64,
            How::Ref(_) | How::SelectRef => 0,
        }
    }
}

/// The largest batch that a sender sends.
pub(crate) const SENT_AT_ONCE: u64 = 9;

/// One life of a child.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Life {
    pub(crate) number: u64,
    pub(crate) directory: PathBuf,
    pub(crate) how: How,
}

impl Life {
    /// How many messages this sender has certainly sent.
    pub(crate) fn sent(&self) -> PathBuf {
        self.directory.join(format!("sent-{}", self.number))
    }
    /// What this receiver received.
    pub(crate) fn received(&self) -> PathBuf {
        self.directory.join(format!("received-{}", self.number))
    }
    /// How many messages this receiver gave back.
    pub(crate) fn late(&self) -> PathBuf {
        self.directory.join(format!("late-{}", self.number))
    }
    /// Not 0: it runs.
    pub(crate) fn ready(&self) -> PathBuf {
        self.directory.join(format!("ready-{}", self.number))
    }
    /// Not 0: it may begin.
    pub(crate) fn go(&self) -> PathBuf {
        self.directory.join(format!("go-{}", self.number))
    }
    /// Not 0: senders end.
    pub(crate) fn stop(&self) -> PathBuf {
        self.directory.join("stop")
    }
}

/// Sends numbered messages, one by one, in batches, by loans and with deadlines, until told to
/// stop.
pub(crate) fn send<F: Flavour>((tx, life): (F::Tx, Life)) {
    let (sent, stop) = (Counter::open(&life.sent()), Counter::open(&life.stop()));
    let mut random = Random::new(life.number);
    let mut next = 0;
    while stop.get() == 0 {
        match random.below(9) {
            0 => {
                let many = 1 + random.below(SENT_AT_ONCE);
                let batch = (next..next + many).map(|seq| F::M::new(life.number, seq)).collect();
                F::send_many(&tx, batch).expect("the parent keeps a receiver");
                next += many;
            }
            1 => {
                assert!(
                    F::send_loan(&tx, F::M::new(life.number, next)),
                    "the parent keeps a receiver"
                );
                next += 1;
            }
            2 => {
                let patience = Duration::from_micros(random.below(300));
                match F::send(&tx, F::M::new(life.number, next), Some(patience)) {
                    Ok(()) => next += 1,
                    Err(SendTimeoutError::Timeout(message)) => assert!(message.intact()),
                    Err(error) => panic!("{error}"),
                }
            }
            3 => {
                let patience = Duration::from_micros(random.below(300));
                match F::select_send(&tx, F::M::new(life.number, next), patience) {
                    Ok(()) => next += 1,
                    Err(SendTimeoutError::Timeout(message)) => assert!(message.intact()),
                    Err(error) => panic!("{error}"),
                }
            }
            4 => _ = F::give_up(&tx),
            _ => {
                F::send(&tx, F::M::new(life.number, next), None)
                    .expect("the parent keeps a receiver");
                next += 1;
            }
        }
        sent.set(next);
    }
}

pub(crate) fn record(message: &impl Message, deliveries: u64) -> Record {
    Record {
        sender: message.sender(),
        seq: message.seq(),
        deliveries,
        intact: u64::from(message.intact()),
    }
}

/// Receives and writes down until disconnected.
pub(crate) fn receive<F: Flavour>((rx, life): (F::Rx, Life)) {
    let mut log = Log::append(&life.received());
    let mut random = Random::new(life.number);
    let mut messages = Vec::new();
    loop {
        match life.how {
            How::Recv => match F::recv(&rx) {
                Ok(message) => log.write(&[record(&message, 0)]),
                Err(RecvError::Disconnected) => return,
                Err(error) => panic!("{error}"),
            },
            How::Poll => match F::try_recv(&rx) {
                Ok(message) => log.write(&[record(&message, 0)]),
                Err(TryRecvError::Empty) => std::thread::yield_now(),
                Err(TryRecvError::Disconnected) => return,
                Err(error) => panic!("{error}"),
            },
            How::Timeout => match F::recv_timeout(&rx, Duration::from_micros(random.below(500))) {
                Ok(message) => log.write(&[record(&message, 0)]),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(error) => panic!("{error}"),
            },
            How::Many(most) => match F::recv_many(&rx, &mut messages, most) {
                Ok(_) => {
                    let records: Vec<_> =
                        messages.drain(..).map(|message| record(&message, 0)).collect();
                    log.write(&records);
                }
                Err(RecvError::Disconnected) => return,
                Err(error) => panic!("{error}"),
            },
            How::Select => match F::select_recv([&rx; 2], Duration::MAX) {
                Ok(message) => log.write(&[record(&message, 0)]),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(error) => panic!("{error}"),
            },
            // An interval, for what a killed process had been woken for.
            How::OnSocket => match F::recv_on_socket(&rx, Duration::from_millis(5)) {
                Ok(message) => log.write(&[record(&message, 0)]),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(error) => panic!("{error}"),
            },
            How::SelectRef => {
                let received =
                    F::select_recv_ref([&rx; 2], Duration::MAX, |message, deliveries| {
                        log.write(&[record(message, deliveries)]);
                    });
                match received {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(error) => panic!("{error}"),
                }
            }
            How::Ref(turns) => {
                let turns = random.below(turns + 1);
                let received = F::recv_ref(&rx, None, |message, deliveries| {
                    (0..turns / 2).for_each(|_| std::hint::spin_loop());
                    log.write(&[record(message, deliveries)]);
                    (0..turns / 2).for_each(|_| std::hint::spin_loop());
                });
                match received {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}
