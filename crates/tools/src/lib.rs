//! zwrite and the other Zephyr commands.
