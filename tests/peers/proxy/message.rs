//! HTTP/1.1 messages as their bytes were.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// Which rule says whether a message has a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    OfRequest,
    OfAnswer,
    None,
}

/// One HTTP/1.1 message, as its bytes were.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The end of the connection was the end of the body.
    until_close: bool,
}

impl Message {
    /// Reads a message; `None` when the other side has closed the connection between two.
    pub(crate) fn read(stream: &mut BufReader<TcpStream>, kind: Body) -> io::Result<Option<Self>> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return if head.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
        let mut message = Self { head, body: Vec::new(), until_close: false };
        let status = message.status().to_owned();
        if kind == Body::OfAnswer && status.starts_with('1') {
            return Self::read(stream, kind);
        }
        if kind == Body::None || (kind == Body::OfAnswer && (status == "204" || status == "304")) {
            return Ok(Some(message));
        }
        if message.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
            message.read_chunks(stream)?;
        } else if let Some(length) = message.header("content-length") {
            let length = length.parse::<u64>().map_err(io::Error::other)?;
            stream.take(length).read_to_end(&mut message.body)?;
            if message.body.len() as u64 != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        } else if kind == Body::OfAnswer {
            stream.read_to_end(&mut message.body)?;
            message.until_close = true;
        }
        Ok(Some(message))
    }

    /// Reads a chunked body and keeps the chunks' framing.
    fn read_chunks(&mut self, stream: &mut BufReader<TcpStream>) -> io::Result<()> {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
            self.body.extend_from_slice(line.as_bytes());
            if size > 0 {
                stream.take(size + 2).read_to_end(&mut self.body)?;
                continue;
            }
            // Trailers, up to the empty line.
            loop {
                let mut trailer = String::new();
                stream.read_line(&mut trailer)?;
                self.body.extend_from_slice(trailer.as_bytes());
                if trailer == "\r\n" || trailer.is_empty() {
                    return Ok(());
                }
            }
        }
    }

    pub(crate) fn write(&self, stream: &TcpStream) -> io::Result<()> {
        self.write_up_to(stream, self.body.len())
    }

    /// Writes the head and so many bytes of the body.
    pub(crate) fn write_up_to(&self, mut stream: &TcpStream, end: usize) -> io::Result<()> {
        // One write: two would wait for each other's acknowledgement.
        let mut bytes = self.head.clone().into_bytes();
        bytes.extend_from_slice(&self.body[..end]);
        stream.write_all(&bytes)
    }

    /// A message with a body whose length its head says.
    pub(crate) fn new(start: &str, headers: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let head = format!("{start}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        Self { head, body, until_close: false }
    }

    /// The method of a request.
    pub(crate) fn method(&self) -> &str {
        self.start_line().split(' ').next().unwrap_or_default()
    }

    /// The address of a request: path and query.
    pub(crate) fn target(&self) -> &str {
        self.start_line().split(' ').nth(1).unwrap_or_default()
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> &str {
        self.start_line().split(' ').nth(1).unwrap_or("?")
    }

    pub(crate) fn start_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(crate) fn summary(&self) -> String {
        format!("{} {}", self.method(), self.target())
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_ascii_lowercase())
        })
    }

    pub(crate) fn closes(&self) -> bool {
        self.until_close || self.header("connection").is_some_and(|value| value.contains("close"))
    }
}
