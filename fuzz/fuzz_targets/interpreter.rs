//! Descriptions run for a notice, within their limits, and what they put is shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zephyr_windowgram::{
    charsets::Charsets,
    evaluator::{Host, Interpreter},
    language::{self, Directions, FileMode},
    layout::Windowgram,
    terminal::{self, Codes},
};

/// Shows what is put, and does nothing else.
struct Screen {
    programs: usize,
    lines: Vec<Vec<u8>>,
}

impl Host for Screen {
    fn put(&mut self, port: &[u8], text: &[u8], charsets: Charsets<'_>) -> Result<(), String> {
        if port == b"store" {
            self.lines.push(text.to_vec());
            return Ok(());
        }
        let (windowgram, error) = Windowgram::new(text, charsets);
        terminal::present(&windowgram, &Codes::plain());
        error.map_or(Ok(()), |error| Err(error.to_string()))
    }

    fn get(&mut self, _port: &[u8]) -> Result<Vec<u8>, String> {
        self.lines.pop().ok_or_else(|| "nothing".to_owned())
    }

    fn open(&mut self, _port: &[u8], _file: &[u8], _mode: FileMode) -> Result<(), String> {
        Ok(())
    }

    fn execute_port(&mut self, _port: &[u8], command: &[Vec<u8>]) -> Result<(), String> {
        self.execute(command);
        Ok(())
    }

    fn execute(&mut self, command: &[Vec<u8>]) {
        assert!(!command.is_empty());
        self.programs += 1;
        assert!(self.programs <= 100);
    }

    fn close(&mut self, _port: &[u8], _directions: Directions) {}

    fn environment(&self, _name: &[u8]) -> Option<Vec<u8>> {
        Some(b"value".to_vec())
    }

    fn zephyr_variable(&self, _name: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn complain(&mut self, _line: &[u8]) {}
}

// Two fields, up to newlines, and a description.
fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(3, |&octet| octet == b'\n');
    let (Some(first), Some(second), Some(text)) = (parts.next(), parts.next(), parts.next()) else { return };
    let Ok(program) = language::parse(text) else { return };
    let mut interpreter = Interpreter::new();
    interpreter.set_foreign("class", first.to_vec());
    interpreter.set_foreign("sender", second.to_vec());
    interpreter.set("output_driver", b"tty".to_vec());
    interpreter.set("notice_charset", b"UTF-8".to_vec());
    interpreter.set("tty_charset", b"ISO-8859-1".to_vec());
    let mut screen = Screen { programs: 0, lines: Vec::new() };
    let _ = interpreter.run(&program, &[first.to_vec(), second.to_vec()], &mut screen);
});
