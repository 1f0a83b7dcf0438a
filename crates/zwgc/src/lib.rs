//! zwgc, the windowgram client: shows the notices that a user has subscribed to.
//!
//! * [`options`]: the command line; `background`: going into the background; [`check`]: a look at a description alone
//! * [`run`]: the program; `connecting` its way to Zephyr, `session` what it does with a connection, `signals`, `terminal_watch`,
//!   `init_programs`
//! * `presence`: location and subscriptions, made and kept, by `attempt`s; `wishes`: what is wanted of it; [`subscription_file`]: `~/.zephyr.subs`;
//!   `waiting`: what is said to whoever waits for them
//! * `control`: notices that control it; `punts`: what is not shown
//! * `output`: who shows notices; `display`: descriptions, from a `description_file`, on a terminal of `terminfo`; `writer` writes the
//!   other formats: [`labelled`], `status_line`, `json`; `ending`: why either can show nothing any more
//! * `notice_log`: the files with what was shown; [`port_files`]: the files with its port

#![forbid(unsafe_code)]

mod attempt;
pub mod background;
pub mod check;
mod connecting;
mod control;
mod description_file;
mod display;
mod ending;
pub mod format;
mod init_programs;
mod json;
pub mod labelled;
mod notice_log;
pub mod options;
mod output;
pub mod port_files;
mod presence;
mod punts;
mod report;
pub mod run;
mod session;
mod signals;
mod status_line;
pub mod subscription_file;
mod terminal_watch;
mod terminfo;
mod waiting;
mod wishes;
mod writer;
