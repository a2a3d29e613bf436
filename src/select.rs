//! Waiting for one of several operations.

mod errors;
#[cfg(unix)]
mod file;
mod list;
mod macros;

use std::fmt;
#[cfg(unix)]
use std::os::fd::AsFd;
use std::ptr;
use std::time::{Duration, Instant};

use ipc_core::__private::ready::{Claim, ClaimBorrow, ClaimRecv, ClaimSend, Quick, Selectable};
use ipc_core::__private::select::{Round, wait};
use ipc_core::Deadline;
use ipc_core::error::{RecvError, SendError};
use ipc_core::route::Borrow;
use ipc_shm::__private::EventWait;
use ipc_sys::sleep::ThisThread;

pub use self::errors::{ReadyTimeoutError, SelectTimeoutError, TryReadyError, TrySelectError};
#[cfg(unix)]
use self::file::File;
use self::list::List;
#[cfg(target_os = "linux")]
use crate::JoinHandle;
use crate::shm::lock::{Permit, Refused};
use crate::shm::{Event, Semaphore};
use crate::{Receiver, Sender};

/// Waits for one of several operations on channels, of any routes, between threads and processes.
///
/// The macro [`select!`](crate::select!) is shorter where the operations are known when the program
/// is compiled. A `Select` is for lists of operations that are made at run time. It has
/// crossbeam-channel's methods.
///
/// There are two ways to use it:
///
/// - [`select`](Select::select) returns an operation that *was chosen*: complete it with
///   [`SelectedOperation::recv`] or [`SelectedOperation::send`]. It then does not wait any more.
/// - [`ready`](Select::ready) returns the number of an operation that *may be done now*: then try
///   it, with `try_recv` and the like. Another thread or process may be faster.
///
/// If several operations are ready, one is chosen at random, so that none starves another. With
/// [`new_biased`](Select::new_biased) it is the first.
///
/// | what dies | what this call does |
/// |---|---|
/// | a peer of one of the channels | it is noticed as in `recv`: within 50 ms if the process waits for it |
/// | the process that has chosen an operation to receive, before it completes it | through shared memory, another receiver gets the message; over a socket it is lost with the process |
/// | the process that has chosen an operation to send, before it completes it | nothing was sent |
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use multiprocess::Select;
///
/// let (numbers, from_numbers) = multiprocess::bounded::<u64>(4)?;
/// let (_texts, from_texts) = multiprocess::pipe::channel::<String>()?;
/// numbers.send(7)?;
///
/// let mut select = Select::new();
/// let first = select.recv(&from_numbers);
/// let second = select.recv(&from_texts);
/// let operation = select.select();
/// assert_eq!(operation.index(), first);
/// assert_eq!(operation.recv(&from_numbers)?, 7);
/// # let _ = second;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Select<'a> {
    operations: List<Operation<'a>>,
    /// The number of the next operation.
    next: usize,
    how: Order,
    /// Whether it has events, whose waits begin with each call.
    events: bool,
}

/// In which order operations are tried.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// In random order, so that no operation starves another.
    Fair,
    /// In the order given.
    Biased,
}

/// One of the operations to choose from.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Operation<'a> {
    index: usize,
    end: End<'a>,
}

impl<'a> Operation<'a> {
    /// Sending to a channel.
    #[inline]
    pub fn send<T, R>(index: usize, sender: &'a Sender<T, R>) -> Self
    where
        R: ipc_core::Route<T, Tx: ClaimSend<T> + Sync>,
    {
        Operation { index, end: End::Channel(sender.route()) }
    }

    /// Receiving from a channel.
    #[inline]
    pub fn recv<T, R>(index: usize, receiver: &'a Receiver<T, R>) -> Self
    where
        R: ipc_core::Route<T, Rx: ClaimRecv<T> + Sync>,
    {
        Operation { index, end: End::Channel(receiver.route()) }
    }
}

/// What is waited for.
#[derive(Clone, Copy)]
enum End<'a> {
    /// An end of a channel.
    Channel(&'a (dyn Selectable + Sync + 'a)),
    Event(EventWait<'a>),
    Semaphore(&'a Semaphore),
    #[cfg(unix)]
    File(File<'a>),
}

impl<'a> End<'a> {
    fn get(&self) -> &(dyn Selectable + 'a) {
        match self {
            End::Channel(end) => *end,
            End::Event(wait) => wait,
            End::Semaphore(semaphore) => *semaphore,
            #[cfg(unix)]
            End::File(file) => file,
        }
    }
}

impl Default for Select<'_> {
    fn default() -> Self {
        Select::new()
    }
}

impl<'a> Select<'a> {
    /// Makes an empty list of operations. Of several that are ready, one is chosen at random.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Select { operations: List::new(), next: 0, how: Order::Fair, events: false }
    }

    /// Makes an empty list of operations. Of several that are ready, the one that was added first
    /// is chosen, so an early operation can starve later ones.
    #[must_use]
    #[inline]
    pub fn new_biased() -> Self {
        Select { how: Order::Biased, ..Select::new() }
    }

    /// Adds sending to this channel, and returns the number of the operation.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, rx) = multiprocess::bounded(1)?;
    /// let mut select = multiprocess::Select::new();
    /// select.send(&tx);
    /// select.select().send(&tx, 3)?;
    /// assert_eq!(rx.recv()?, 3);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn send<T, R>(&mut self, sender: &'a Sender<T, R>) -> usize
    where
        R: ipc_core::Route<T, Tx: ClaimSend<T> + Sync>,
    {
        self.add(End::Channel(sender.route()))
    }

    /// Adds receiving from this channel, and returns the number of the operation.
    #[inline]
    pub fn recv<T, R>(&mut self, receiver: &'a Receiver<T, R>) -> usize
    where
        R: ipc_core::Route<T, Rx: ClaimRecv<T> + Sync>,
    {
        self.add(End::Channel(receiver.route()))
    }

    /// Adds waiting until an event is set, and returns the number of the operation. Complete it
    /// with [`SelectedOperation::wait_for`].
    ///
    /// An automatic event is taken by the operation that is chosen. A manual event that is set and
    /// cleared while this `Select` waits is not missed, as in [`Event::wait`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let stop = multiprocess::shm::Event::new()?;
    /// let (_tx, rx) = multiprocess::bounded::<u8>(1)?;
    /// let mut select = multiprocess::Select::new();
    /// select.recv(&rx);
    /// let stopped = select.wait_for(&stop);
    /// stop.set()?;
    /// let operation = select.select();
    /// assert_eq!(operation.index(), stopped);
    /// operation.wait_for(&stop)?;
    /// # Ok(()) }
    /// ```
    pub fn wait_for(&mut self, event: &'a Event) -> usize {
        self.events = true;
        self.add(End::Event(EventWait::new(event)))
    }

    /// Adds acquiring a permit of a semaphore, and returns the number of the operation. Complete it
    /// with [`SelectedOperation::acquire`].
    ///
    /// The permit is taken by the operation that is chosen. If this process is killed, the permit
    /// is recovered.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let slots = multiprocess::shm::Semaphore::new(1)?;
    /// let (_tx, rx) = multiprocess::bounded::<u8>(1)?;
    /// let mut select = multiprocess::Select::new();
    /// select.recv(&rx);
    /// let free = select.acquire(&slots);
    /// let operation = select.select();
    /// assert_eq!(operation.index(), free);
    /// let permit = operation.acquire(&slots)?;
    /// assert_eq!(slots.available_permits(), 0);
    /// drop(permit);
    /// assert_eq!(slots.available_permits(), 1);
    /// # Ok(()) }
    /// ```
    pub fn acquire(&mut self, semaphore: &'a Semaphore) -> usize {
        self.add(End::Semaphore(semaphore))
    }

    /// Adds waiting until a file, socket or pipe has something to read, or is closed at its other
    /// end, and returns the number of the operation. Complete it with
    /// [`SelectedOperation::complete`], and then read.
    ///
    /// A file of a disk is always ready.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (mut near, mut far) = UnixStream::pair()?;
    /// let (_tx, rx) = multiprocess::bounded::<u8>(1)?;
    /// let mut select = multiprocess::Select::new();
    /// select.recv(&rx);
    /// let socket = select.readable(&far);
    /// near.write_all(b"x")?;
    /// let operation = select.select();
    /// assert_eq!(operation.index(), socket);
    /// operation.complete();
    /// far.read_exact(&mut [0])?;
    /// # Ok(()) }
    /// ```
    #[cfg(unix)]
    pub fn readable(&mut self, file: &'a impl AsFd) -> usize {
        self.add(End::File(File { fd: file.as_fd(), writable: false }))
    }

    /// Adds waiting until a socket or pipe has room to write, or is closed at its other end, and
    /// returns the number of the operation. See [`readable`](Select::readable).
    #[cfg(unix)]
    pub fn writable(&mut self, file: &'a impl AsFd) -> usize {
        self.add(End::File(File { fd: file.as_fd(), writable: true }))
    }

    /// Adds waiting for the end of a child, and returns the number of the operation. Complete it
    /// with [`SelectedOperation::complete`], and then call [`JoinHandle::try_join`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// multiprocess::init();
    /// let child = multiprocess::spawn(|()| 7, ())?;
    /// let (_tx, rx) = multiprocess::bounded::<u8>(1)?;
    /// let mut select = multiprocess::Select::new();
    /// let ended = select.join(&child);
    /// select.recv(&rx);
    /// let operation = select.select();
    /// assert_eq!(operation.index(), ended);
    /// operation.complete();
    /// assert_eq!(child.try_join().expect("it has ended")?, 7);
    /// # Ok(()) }
    /// ```
    #[cfg(target_os = "linux")]
    pub fn join<R>(&mut self, child: &'a JoinHandle<R>) -> usize {
        self.readable(child)
    }

    /// Adds waiting for a client of a listener, and returns the number of the operation. Complete
    /// it with [`SelectedOperation::complete`], and then call
    /// [`accept_timeout`](crate::pipe::Listener::accept_timeout).
    #[cfg(unix)]
    pub fn accept(&mut self, listener: &'a crate::pipe::Listener) -> usize {
        self.readable(listener)
    }

    #[inline]
    fn add(&mut self, end: End<'a>) -> usize {
        let index = self.next;
        self.next += 1;
        self.operations.push(Operation { index, end });
        index
    }

    /// Removes an operation, for example because its channel is disconnected. The numbers of the
    /// others stay.
    ///
    /// # Panics
    ///
    /// If there is no operation of this number.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, rx) = multiprocess::bounded::<u8>(1)?;
    /// let (other, from_other) = multiprocess::bounded::<u8>(1)?;
    /// let mut select = multiprocess::Select::new();
    /// let (first, second) = (select.recv(&rx), select.recv(&from_other));
    /// drop(tx);
    /// select.remove(first);
    /// other.send(1)?;
    /// assert_eq!(select.ready(), second);
    /// # Ok(()) }
    /// ```
    pub fn remove(&mut self, index: usize) {
        let position = self.operations.iter().position(|operation| operation.index == index);
        let Some(position) = position else {
            panic!("there is no operation {index} in this `Select`, or it was removed before");
        };
        self.operations.remove(position);
    }

    /// Chooses an operation that is ready now. Never waits.
    ///
    /// An operation is ready too if its channel is disconnected.
    ///
    /// # Errors
    ///
    /// If none is ready.
    #[inline]
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        self.choose(Deadline::Now).ok_or(TrySelectError)
    }

    /// Waits until an operation is ready, and chooses it.
    ///
    /// # Panics
    ///
    /// If there is no operation: it would wait for ever.
    #[inline]
    pub fn select(&mut self) -> SelectedOperation<'a> {
        match self.choose(Deadline::Never) {
            Some(operation) => operation,
            None => unreachable!("for ever is over"),
        }
    }

    /// Waits until an operation is ready, for at most `timeout`, and chooses it.
    ///
    /// # Errors
    ///
    /// If none became ready in time.
    ///
    /// # Panics
    ///
    /// If there is no operation, and `timeout` is longer than the clock can represent.
    #[inline]
    pub fn select_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.choose(Deadline::after(timeout)).ok_or(SelectTimeoutError)
    }

    /// Waits until an operation is ready, until `deadline` at most, and chooses it.
    ///
    /// # Errors
    ///
    /// If none became ready in time.
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.choose(Deadline::At(deadline)).ok_or(SelectTimeoutError)
    }

    /// Returns the number of an operation that is ready now. Never waits.
    ///
    /// # Errors
    ///
    /// If none is ready.
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        self.find_ready(Deadline::Now).ok_or(TryReadyError)
    }

    /// Waits until an operation is ready, and returns its number.
    ///
    /// Nothing was done yet: try it with `try_recv` or `try_send`, and call this again if it has
    /// failed, because another thread or process was faster.
    ///
    /// # Panics
    ///
    /// If there is no operation: it would wait for ever.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, rx) = multiprocess::bounded(1)?;
    /// tx.send(5)?;
    /// let mut select = multiprocess::Select::new();
    /// select.recv(&rx);
    /// let received = loop {
    ///     select.ready();
    ///     match rx.try_recv() {
    ///         Err(error) if error.is_empty() => continue,
    ///         received => break received,
    ///     }
    /// };
    /// assert_eq!(received?, 5);
    /// # Ok(()) }
    /// ```
    pub fn ready(&mut self) -> usize {
        match self.find_ready(Deadline::Never) {
            Some(index) => index,
            None => unreachable!("for ever is over"),
        }
    }

    /// Waits until an operation is ready, for at most `timeout`, and returns its number.
    ///
    /// # Errors
    ///
    /// If none became ready in time.
    ///
    /// # Panics
    ///
    /// If there is no operation, and `timeout` is longer than the clock can represent.
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        self.find_ready(Deadline::after(timeout)).ok_or(ReadyTimeoutError)
    }

    /// Waits until an operation is ready, until `deadline` at most, and returns its number.
    ///
    /// # Errors
    ///
    /// If none became ready in time.
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, ReadyTimeoutError> {
        self.find_ready(Deadline::At(deadline)).ok_or(ReadyTimeoutError)
    }

    #[inline]
    fn choose(&mut self, deadline: Deadline) -> Option<SelectedOperation<'a>> {
        self.begin();
        choose(&self.operations, self.how, deadline)
    }

    /// Begins the waits for events.
    #[inline]
    fn begin(&mut self) {
        if self.events {
            for operation in self.operations.iter_mut() {
                if let End::Event(wait) = &mut operation.end {
                    wait.begin();
                }
            }
        }
    }

    fn find_ready(&mut self, deadline: Deadline) -> Option<usize> {
        self.begin();
        let ready = |end: &dyn Selectable| end.is_ready().then_some(());
        let now = |end: &dyn Selectable| ready(end).into();
        let (operation, ()) = run(&self.operations, self.how, deadline, now, ready)?;
        Some(operation.index)
    }
}

/// Waits for one of these operations, and claims it.
#[doc(hidden)]
#[inline]
pub fn choose<'a>(
    operations: &[Operation<'a>],
    how: Order,
    deadline: Deadline,
) -> Option<SelectedOperation<'a>> {
    let (operation, claim) =
        run(operations, how, deadline, |end| end.claim_now(), |end| end.claim())?;
    Some(SelectedOperation { index: operation.index, end: operation.end, claim: Some(claim) })
}

/// Waits until `attempt` succeeds with one of the operations; without any, until the deadline.
///
/// # Panics
///
/// If there is neither an operation nor a deadline.
#[inline]
fn run<'a, 'o, R>(
    operations: &'o [Operation<'a>],
    how: Order,
    deadline: Deadline,
    attempt_now: impl Fn(&dyn Selectable) -> Quick<R>,
    attempt: impl Fn(&dyn Selectable) -> Option<R>,
) -> Option<(&'o Operation<'a>, R)> {
    if operations.is_empty() {
        match deadline {
            Deadline::Now => {}
            Deadline::At(deadline) => {
                std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
            }
            Deadline::Never => panic!("there is no operation in this `Select` to wait for"),
        }
        return None;
    }
    let count = operations.len();
    let order = match how {
        Order::Fair => Round::fair(count),
        Order::Biased => Round::in_order(count),
    };
    let at = |i: usize| &operations[order.at(i)];
    let end = |i: usize| at(i).end.get();
    let (attempt_now, attempt) = (|i| attempt_now(end(i)), |i| attempt(end(i)));
    let (i, done) = wait(count, end, deadline, &ThisThread, attempt_now, attempt)?;
    Some((at(i), done))
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("operations", &self.operations.len()).finish_non_exhaustive()
    }
}

/// An operation that was chosen by [`Select::select`], and is to be completed.
///
/// What it needs is claimed: a message, or room for one. So completing it does not wait. Over
/// sockets the kernel reserves no room, so completing a `send` there may wait if another sender was
/// faster.
///
/// # Panics
///
/// If it is dropped without being completed. The claim is given back then: the message goes to
/// another call of `recv`.
#[must_use = "an operation that was chosen must be completed"]
pub struct SelectedOperation<'a> {
    index: usize,
    end: End<'a>,
    /// `None` after completion.
    claim: Option<Claim>,
}

impl SelectedOperation<'_> {
    /// Returns the number of the operation, as [`Select::recv`] and [`Select::send`] returned it.
    #[must_use]
    #[inline]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Completes an operation that sends, with the message.
    ///
    /// # Panics
    ///
    /// If another operation was chosen than sending through this `sender`.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`](ipc_core::Sender::send).
    #[inline]
    pub fn send<T, R>(self, sender: &Sender<T, R>, message: T) -> Result<(), SendError<T>>
    where
        R: ipc_core::Route<T, Tx: ClaimSend<T>>,
    {
        let claim = self.completed(ptr::from_ref(sender.route()).cast());
        sender.send_claimed(claim, message)
    }

    /// Completes an operation that receives, and returns the message.
    ///
    /// # Panics
    ///
    /// If another operation was chosen than receiving from this `receiver`.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`](ipc_core::Receiver::recv).
    #[inline]
    pub fn recv<T, R>(self, receiver: &Receiver<T, R>) -> Result<T, RecvError>
    where
        R: ipc_core::Route<T, Rx: ClaimRecv<T>>,
    {
        let claim = self.completed(ptr::from_ref(receiver.route()).cast());
        receiver.recv_claimed(claim)
    }

    /// Completes an operation that receives, and lends the message, as
    /// [`recv_ref`](ipc_core::Receiver::recv_ref) does.
    ///
    /// # Panics
    ///
    /// If another operation was chosen than receiving from this `receiver`.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_ref`](ipc_core::Receiver::recv_ref).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tx, rx) = multiprocess::bounded(1)?;
    /// tx.send("job".to_owned())?;
    /// let mut select = multiprocess::Select::new();
    /// select.recv(&rx);
    /// let job = select.select().recv_ref(&rx)?;
    /// assert_eq!((job.as_str(), job.deliveries()), ("job", 1));
    /// # Ok(()) }
    /// ```
    pub fn recv_ref<'r, T, R>(
        self,
        receiver: &'r Receiver<T, R>,
    ) -> Result<<R::Rx as Borrow<T>>::Ref<'r>, RecvError>
    where
        R: ipc_core::Route<T, Rx: ClaimBorrow<T>>,
    {
        let claim = self.completed(ptr::from_ref(receiver.route()).cast());
        receiver.recv_ref_claimed(claim)
    }

    /// Completes an operation that waits for an event.
    ///
    /// # Panics
    ///
    /// If another operation was chosen than waiting for this `event`.
    ///
    /// # Errors
    ///
    /// As [`Event::wait`].
    pub fn wait_for(self, event: &Event) -> Result<(), Refused> {
        match self.end {
            End::Event(wait) if ptr::eq(wait.event(), event) => wait.complete(self.taken()),
            _ => self.wrong(),
        }
    }

    /// Completes an operation that acquires a permit, and returns the permit.
    ///
    /// # Panics
    ///
    /// If another operation was chosen than acquiring a permit of this `semaphore`.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::acquire`].
    pub fn acquire(self, semaphore: &Semaphore) -> Result<Permit<'_>, Refused> {
        match self.end {
            End::Semaphore(chosen) if ptr::eq(chosen, semaphore) => {
                semaphore.acquire_claimed(self.taken())
            }
            _ => self.wrong(),
        }
    }

    /// Completes an operation for which nothing was claimed: a file, a child, a listener.
    ///
    /// # Panics
    ///
    /// If the operation is another one.
    pub fn complete(mut self) {
        #[cfg(unix)]
        if let End::File(_) = self.end {
            self.claim = None;
            return;
        }
        panic!(
            "operation {} is not complete by itself: complete it with `recv`, `send`, `wait_for` \
             or `acquire`",
            self.index
        );
    }

    /// Takes the claim out, if it is of this end.
    #[inline]
    fn completed(self, end: *const ()) -> Claim {
        match self.end {
            End::Channel(chosen) if ptr::eq(ptr::from_ref(chosen).cast::<()>(), end) => {
                self.taken()
            }
            _ => self.wrong(),
        }
    }

    /// Takes the claim out.
    #[inline]
    fn taken(mut self) -> Claim {
        match self.claim.take() {
            Some(claim) => claim,
            None => unreachable!("only its completion takes it out"),
        }
    }

    /// Gives the claim back, and panics.
    #[cold]
    fn wrong(self) -> ! {
        panic!("operation {} was chosen, which is not on the end that was given", self.index);
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        let Some(claim) = self.claim.take() else { return };
        self.end.get().give_back(claim);
        // The other panic says what is wrong.
        if !std::thread::panicking() {
            panic!("operation {} was chosen, and dropped without being completed", self.index);
        }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectedOperation").field("index", &self.index).finish_non_exhaustive()
    }
}
