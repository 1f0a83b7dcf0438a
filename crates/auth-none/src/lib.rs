//! The null authentication backend of Zephyr.
