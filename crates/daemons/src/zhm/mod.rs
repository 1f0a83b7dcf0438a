//! The host manager's program: its I/O around [`zephyr_engine::host_manager`].

pub mod options;
pub mod shell;
