//! Sockets, clock and addresses for Zephyr programs.
