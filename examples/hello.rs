//! A process greets another over a channel in shared memory.
//!
//!     cargo run --example hello

use multiprocess::{Receiver, Sender};

fn shout((texts, shouts): (Receiver<String>, Sender<String>)) -> usize {
    let mut count = 0;
    for text in texts {
        shouts.send(text.to_uppercase()).expect("the parent listens");
        count += 1;
    }
    count
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    multiprocess::init(); // A child process turns into its function here.
    let (texts, for_child) = multiprocess::bounded(16)?;
    let (from_child, shouts) = multiprocess::bounded(16)?;
    let child = multiprocess::spawn(shout, (for_child, from_child))?;
    for text in ["hello", "from", "another", "process"] {
        texts.send(text.to_owned())?;
    }
    drop(texts); // The child's loop ends when the last sender is gone.
    println!("{}", shouts.iter().collect::<Vec<_>>().join(" "));
    println!("process {} shouted {} times", child.id(), child.join()?);
    Ok(())
}
