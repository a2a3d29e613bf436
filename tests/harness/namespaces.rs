//! Namespaces of a test's own, in which any user is the superuser.

use std::process::Command;

const INSIDE: &str = "MULTIPROCESS_TEST_INSIDE";

/// Runs the calling test again, alone, as the superuser of new namespaces: `options` are those of unshare(1) that
/// say of what kind. True in there; false outside, when it has passed in there, or where this user may have none,
/// which is said.
pub(crate) fn inside(options: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--fork", "--kill-child"]);
        command.args(options.split_whitespace());
        command
    };
    let permitted = unshare().arg("true").output();
    if !permitted.as_ref().is_ok_and(|output| output.status.success()) {
        println!("this user may have no namespaces here ({permitted:?}): NOT TESTED");
        return false;
    }
    let test = std::thread::current().name().unwrap().to_owned();
    let output = unshare()
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
    false
}
