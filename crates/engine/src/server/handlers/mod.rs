//! What each class means to a server; a file for each class, named after it.

mod hm_ctl;
mod login;
mod message;
mod user_locate;
mod zephyr_admin;
mod zephyr_ctl;
