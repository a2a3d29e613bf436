//! Namespaces of a test's own, in which any user is the superuser.

use std::process::{Command, Output};

const INSIDE: &str = "MULTIPROCESS_TEST_INSIDE";

/// Runs the calling test again, alone, as the superuser of new namespaces: `options` are those of
/// unshare(1) that say of what kind. True in there; false outside, when it has passed in there, or
/// where this user may have none, which is said.
pub(crate) fn inside(options: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = |user: bool| {
        let mut command = Command::new("unshare");
        command.args(if user { &["--user", "--map-root-user"][..] } else { &[] });
        command.args(["--fork", "--kill-child"]).args(options.split_whitespace());
        command
    };
    // The superuser needs no users of his own, if he is one.
    let tried = [false, true].map(|user| (user, unshare(user).arg("true").output()));
    let permitted = |(_, output): &&(bool, std::io::Result<Output>)| {
        output.as_ref().is_ok_and(|output| output.status.success())
    };
    let Some((user, _)) = tried.iter().find(permitted) else {
        println!("this user may have no namespaces here ({tried:?}): NOT TESTED");
        return false;
    };
    let test = std::thread::current().name().unwrap().to_owned();
    let output = unshare(*user)
        .arg(std::env::current_exe().unwrap())
        .args([&test, "--exact", "--nocapture"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "in the namespaces: {}\n{text}",
        output.status
    );
    text.lines().filter(|line| line.contains("NOT TESTED")).for_each(|line| println!("{line}"));
    false
}
