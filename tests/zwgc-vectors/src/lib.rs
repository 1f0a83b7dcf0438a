//! What windowgram clients write when they receive notices, recorded from the released program, and the comparison with what a
//! program writes (`README.md` describes the files).
//!
//! * [`case`]: what is done, and what should come of it
//! * [`observation`]: what a program did, and how that differs from what it should do
//! * [`octets`]: how octets are written in a file
//! * [`difference`]: what our program does otherwise on purpose
//! * [`trial`]: a case, tried with a program
//! * [`report`]: all of them
//! * [`lab`]: the machine on which they run

pub mod case;
pub mod difference;
pub mod lab;
pub mod observation;
pub mod octets;
mod packet;
mod port;
mod program;
mod quiet;
pub mod report;
pub mod trial;
