//! Processes that share nothing but a name.
//!
//! ```text
//! cargo run --example meet                     a server, and a client that it starts
//! cargo run --example meet -- serve            a server alone; kill -9 it, and start it again
//! cargo run --example meet -- ask some words   a client; it waits until there is a server
//! ```

use std::time::Duration;

use multiprocess::pipe::{Duplex, Listener, connect_timeout};

type Anyway = Result<(), Box<dyn std::error::Error>>;

const NAME: &str = "word-count";

/// Answers each client with the number of words that it sent.
fn serve(clients: usize) -> Anyway {
    let listener = Listener::bind(NAME)?; // Takes over the name of a killed server.
    println!("server {} is at {}", std::process::id(), listener.name());
    for client in listener.incoming::<usize, String>().take(clients) {
        let client = client?;
        println!("server: {} is here", client.peer()?);
        while let Ok(text) = client.recv() {
            client.send(text.split_whitespace().count())?;
        }
    }
    Ok(())
}

fn ask(texts: Vec<String>) -> Anyway {
    let server: Duplex<String, usize> = connect_timeout(NAME, Duration::from_secs(10))?;
    for text in texts {
        server.send(text.clone())?;
        println!("client {}: {} words in {text:?}", std::process::id(), server.recv()?);
    }
    Ok(())
}

fn main() -> Anyway {
    multiprocess::init();
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("serve") => serve(usize::MAX),
        Some("ask") => ask(vec![arguments.collect::<Vec<_>>().join(" ")]),
        _ => {
            let client = |texts| ask(texts).expect("a server comes");
            let texts = vec!["processes meet by name".to_owned(), "and by nothing else".to_owned()];
            let child = multiprocess::spawn(client, texts)?;
            serve(1)?;
            Ok(child.join()?)
        }
    }
}
