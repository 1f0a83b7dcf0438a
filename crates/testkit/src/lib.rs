//! Test realms, reference programs and golden vectors for the tests of Zephyr.
