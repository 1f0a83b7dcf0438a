//! Makes the authentication backend that a Zephyr domain's policy asks for.
