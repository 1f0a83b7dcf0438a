//! zephyrd, the Zephyr server, and zhm, the host manager.
