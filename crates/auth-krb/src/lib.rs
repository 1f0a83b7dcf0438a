//! Kerberos 5 authentication of Zephyr notices.
