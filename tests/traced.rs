//! Processes under a tracer: killed after each of their instructions, stopped there, and with each
//! of their system calls failing in turn.
//!
//! `STEPS` says after how many instructions of each operation a process is killed; `STEPS=all` is
//! each one (`ci/steps.sh`). Where tracing is not permitted, that is said, and nothing tested.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "traced/calls.rs"]
mod calls;
#[path = "traced/channels.rs"]
mod channels;
#[path = "crash/flavour.rs"]
#[allow(dead_code, reason = "the crash tests use more of it")]
mod flavour;
#[path = "traced/locks.rs"]
mod locks;
#[path = "crash/message.rs"]
#[allow(dead_code, reason = "the crash tests use more of it")]
mod message;
#[path = "traced/selects.rs"]
mod selects;
#[path = "traced/steps.rs"]
mod steps;
#[path = "traced/tracer.rs"]
mod tracer;
