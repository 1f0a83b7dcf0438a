//! The thread that runs descriptions. What they do may take its time: they write, read and start programs.

use super::{ports::Ports, repetitions::Repetitions, variables::NoticeVariables};
use crate::{description_file::DescriptionFile, ending::Ended};
use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Instant,
};
use tokio::sync::OwnedSemaphorePermit;
use zephyr_client::Received;
use zephyr_output::complain;
use zephyr_windowgram::{evaluator::Interpreter, language::Program};

/// What a worker is to do.
pub(super) enum Order {
    /// To show a notice; the permit is given back when it was shown.
    Show(Shown, OwnedSemaphorePermit),
    /// To read the description again.
    Reread,
    /// To run the description for the start.
    Startup,
    /// To take up the name and the realm of the user.
    Identify { user: Vec<u8>, realm: Vec<u8> },
    /// To end.
    Finish,
}

/// A notice to be shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    /// `None` for that of the start.
    pub(super) received: Option<Arc<Received>>,
    /// The name of the host that it says it is from.
    pub(super) from_host: String,
}

pub(super) struct Worker {
    interpreter: Interpreter,
    file: DescriptionFile,
    program: Program,
    ports: Ports,
    repetitions: Repetitions,
    realm: Vec<u8>,
    /// Whether it was said that this description was stopped.
    is_stop_said: bool,
}

impl Worker {
    /// A worker that shows at these ports, by the description in a file, which is not read yet. The variables of the interpreter last.
    pub(super) fn new(interpreter: Interpreter, file: DescriptionFile, ports: Ports) -> Self {
        let (program, repetitions) = (Program::default(), Repetitions::default());
        Self { interpreter, file, program, ports, repetitions, realm: Vec::new(), is_stop_said: false }
    }

    /// Works until the end is ordered, or nothing more can be shown.
    pub(super) fn work(mut self, orders: &Receiver<Order>) -> Option<Ended> {
        loop {
            let order = match self.repetitions.next_at() {
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => orders.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match order {
                Ok(Order::Show(shown, permit)) => {
                    self.show(&shown, None);
                    drop(permit);
                }
                Ok(Order::Reread) => self.read(),
                Ok(Order::Startup) => self.show(&Shown::default(), None),
                Ok(Order::Identify { user, realm }) => {
                    self.interpreter.set("user", user);
                    self.interpreter.set("realm", realm.clone());
                    self.realm = realm;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Order::Finish) | Err(RecvTimeoutError::Disconnected) => return None,
            }
            if let Some((shown, opcode)) = self.repetitions.take(Instant::now()) {
                self.show(&shown, Some(&opcode));
            }
            if let Some(failure) = self.ports.take_failure() {
                return Some(failure);
            }
        }
    }

    fn read(&mut self) {
        self.program = self.file.load();
        self.is_stop_said = false;
        self.interpreter.set("version", b"1.0".to_vec());
    }

    /// Shows a notice, for the first time or again.
    fn show(&mut self, shown: &Shown, repeated: Option<&[u8]>) {
        let mut variables = match &shown.received {
            Some(received) => {
                NoticeVariables::of(&received.notice(), received.verdict(), &self.realm, &shown.from_host)
            }
            None => NoticeVariables::of_startup(),
        };
        if let Some(opcode) = repeated {
            variables.replace("opcode", opcode);
            variables.replace("zephyr_version", b"zwgcplus-repeat");
        }
        let NoticeVariables { named, fields } = variables;
        named.into_iter().for_each(|(name, value)| self.interpreter.set_foreign(name, value));
        for (name, value) in [("event_time", "none"), ("event_name", "event"), ("delete_window", "none")] {
            self.interpreter.set(name, value.into());
        }
        if let Err(stopped) = self.interpreter.run(&self.program, &fields, &mut self.ports)
            && !std::mem::replace(&mut self.is_stop_said, true)
        {
            complain!("zwgc: the description was {stopped} It is so for each notice like this one.");
        }
        let [time, name] = ["event_time", "event_name"].map(|name| self.interpreter.get(name));
        self.repetitions.order(time, name, shown, Instant::now());
    }
}
