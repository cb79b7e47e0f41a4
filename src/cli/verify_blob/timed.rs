//! Reading within the time limit, from a file or from standard input, whose writer may never end.

use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Instant;

use crate::input::{self, InputError};

/// The size of a piece of standard input, in bytes.
const PIECE_BYTES: usize = 64 * 1024;
/// The most pieces that wait to be hashed.
const PIECES: usize = 16;

/// The time limit is over.
#[derive(Debug, thiserror::Error)]
#[error("the time limit is over")]
pub(super) struct Over;

/// Opens what `path` names, for reads that fail with [`Over`] once `deadline` has passed.
///
/// # Errors
///
/// It can't be opened, or is larger than `limit` bytes.
pub(super) fn open(path: &Path, limit: u64, deadline: Instant) -> Result<Box<dyn Read>, InputError> {
    if !input::is_stdin(path) {
        let inner = input::open_or_stdin(path, limit)?;
        return Ok(Box::new(Timed { inner, deadline }));
    }
    let (sender, pieces) = mpsc::sync_channel(PIECES);
    let path = path.to_owned();
    // The thread may wait for ever: it ends with the process.
    let reading = move || {
        let mut read = match input::open_or_stdin(&path, limit) {
            Ok(read) => read,
            Err(error) => return drop(sender.send(Err(io::Error::other(error)))),
        };
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let got = read.read(&mut piece).map(|length| {
                piece.truncate(length);
                piece
            });
            let is_last = !got.as_ref().is_ok_and(|piece| !piece.is_empty());
            if sender.send(got).is_err() || is_last {
                return;
            }
        }
    };
    std::thread::Builder::new().name("stdin".to_owned()).spawn(reading).map_err(InputError::Io)?;
    Ok(Box::new(Piped { pieces, piece: io::Cursor::new(Vec::new()), deadline }))
}

/// A file.
struct Timed {
    inner: Box<dyn Read>,
    deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.deadline {
            return Err(io::Error::other(Over));
        }
        self.inner.read(into)
    }
}

/// Standard input.
struct Piped {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
    deadline: Instant,
}

impl Read for Piped {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.piece.read(into)?;
        if length > 0 || into.is_empty() {
            return Ok(length);
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.pieces.recv_timeout(left) {
            Ok(piece) => self.piece = io::Cursor::new(piece?),
            Err(RecvTimeoutError::Timeout) => return Err(io::Error::other(Over)),
            // The last piece was the empty one.
            Err(RecvTimeoutError::Disconnected) => return Ok(0),
        }
        self.piece.read(into)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_is_not_read_after_the_time_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "content").unwrap();
        let read = |deadline| {
            let mut text = String::new();
            open(file.path(), 100, deadline).unwrap().read_to_string(&mut text).map(|_| text)
        };
        assert_eq!(read(Instant::now() + Duration::from_secs(60)).unwrap(), "content");
        assert!(read(Instant::now()).unwrap_err().get_ref().is_some_and(|error| error.is::<Over>()));
    }
}
