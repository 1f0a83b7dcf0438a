//! Writing notices to standard output, on a thread of its own: a terminal that is stopped, or a reader who does not read, keeps the
//! program from nothing else.

use crate::ending::{Ended, Ending};
use std::{io, thread};
use tokio::sync::{mpsc, oneshot};
use zephyr_client::Received;
use zephyr_output::{Printed, Unwritten};

/// The maximum number of notices that wait to be written.
const MAX_WAITING: usize = 16;

/// Writes notices to standard output.
pub(crate) struct Writer<T = Received> {
    waiting: mpsc::Sender<T>,
    ending: Ending,
}

impl<T: Send + 'static> Writer<T> {
    /// Starts the thread that writes each notice as `render` has it.
    ///
    /// # Errors
    ///
    /// When the system has no thread.
    pub(crate) fn start(render: impl FnMut(&T) -> String + Send + 'static) -> io::Result<Self> {
        Self::start_with(render, zephyr_output::print)
    }

    fn start_with(
        mut render: impl FnMut(&T) -> String + Send + 'static,
        mut print: impl FnMut(String) -> Result<Printed, Unwritten> + Send + 'static,
    ) -> io::Result<Self> {
        let (waiting, mut notices) = mpsc::channel::<T>(MAX_WAITING);
        let (ended, end) = oneshot::channel();
        thread::Builder::new().name("writer".to_owned()).spawn(move || {
            let reason = loop {
                let Some(received) = notices.blocking_recv() else { break None };
                match print(render(&received)) {
                    Ok(Printed::Written) => {}
                    Ok(Printed::NobodyReads) => break Some(Ended::NobodyReads),
                    Err(error) => break Some(Ended::Unwritten(error)),
                }
            };
            // The program may have ended.
            let _ = ended.send(reason);
        })?;
        Ok(Self { waiting, ending: Ending::new(end) })
    }

    /// Has a notice written; waits while too many wait already.
    pub(crate) async fn show(&self, received: T) {
        // Where nothing can be written any more, the end says so.
        let _ = self.waiting.send(received).await;
    }

    /// Waits until nothing can be written any more. Cancel safe.
    pub(crate) async fn ended(&mut self) -> Ended {
        self.ending.told().await
    }

    /// Waits until all is written that was given.
    pub(crate) async fn finish(self) {
        drop(self.waiting);
        self.ending.come().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::ErrorKind, sync::mpsc::Receiver};

    /// A writer whose output waits until it is told what becomes of each text.
    fn writer(results: Receiver<io::Result<()>>) -> (Writer<u8>, Receiver<String>) {
        let (printed, texts) = std::sync::mpsc::channel();
        let print = move |text| {
            let result = results.recv().unwrap();
            let _ = printed.send(text);
            zephyr_output::judged(result)
        };
        (Writer::start_with(|number: &u8| number.to_string(), print).unwrap(), texts)
    }

    #[tokio::test]
    async fn nothing_waits_for_a_reader_but_the_notices() {
        let (results, given) = std::sync::mpsc::channel();
        let (mut writer, texts) = writer(given);
        // One is being written, and the others wait.
        for _ in 0..=MAX_WAITING {
            writer.show(7).await;
        }
        tokio::select! {
            biased;
            () = writer.show(7) => panic!("there is no room for it"),
            () = tokio::task::yield_now() => {}
        }
        tokio::select! {
            biased;
            ended = writer.ended() => panic!("{ended:?}"),
            () = tokio::task::yield_now() => {}
        }
        for _ in 0..=MAX_WAITING {
            results.send(Ok(())).unwrap();
        }
        writer.finish().await;
        assert_eq!(texts.iter().filter(|text| text == "7").count(), MAX_WAITING + 1, "all is written before the end");
    }

    #[tokio::test]
    async fn the_end_is_told_once() {
        for (error, is_closed) in [(ErrorKind::BrokenPipe, true), (ErrorKind::StorageFull, false)] {
            let (results, given) = std::sync::mpsc::channel();
            let (mut writer, _texts) = writer(given);
            results.send(Err(error.into())).unwrap();
            writer.show(7).await;
            assert_eq!(matches!(writer.ended().await, Ended::NobodyReads), is_closed);
            writer.show(7).await;
            tokio::select! {
                biased;
                again = writer.ended() => panic!("{again:?}"),
                () = tokio::task::yield_now() => {}
            }
            writer.finish().await;
        }
    }
}
