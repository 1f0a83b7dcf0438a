//! The host manager's program: its I/O around [`zephyr_engine::host_manager`].

mod background;
mod boot_record;
pub(crate) mod discovery;
pub(crate) mod lookups;
pub mod options;
mod pid_file;
pub mod shell;
mod sockets;
mod status;
mod surroundings;
mod unresolved;
