//! The library for programs that send and receive Zephyr notices.
