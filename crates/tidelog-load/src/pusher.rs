//! A client that only pushes, with as little work of its own as there can be: it shares the machine with the server that it measures.
//!
//! A request is written at once into the socket and its answer read from there, on the caller's task. Each answer is parsed and checked.

use crate::commits::Author;
use crate::server::LOG;
use crate::{Outcome, at};
use tidelog_core::protocol::{FRAMES, PushResponse, REPLICA_HEADER, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATH: &str = "a push";

/// A connection, and the replica that it pushes for.
#[derive(Debug)]
pub(crate) struct Pusher {
    author: Author,
    stream: TcpStream,
    /// The head of each request, up to the length.
    head: String,
    sent: Vec<u8>,
    got: Vec<u8>,
}

impl Pusher {
    pub(crate) async fn open(address: &str, author: Author) -> Outcome<Self> {
        Self::open_with(address, author, None).await
    }

    pub(crate) async fn open_with(
        address: &str,
        author: Author,
        token: Option<&str>,
    ) -> Outcome<Self> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(at("a connection"))?;
        stream.set_nodelay(true).map_err(at("a connection"))?;
        let replica = author.replica;
        let authorization = token.map_or_else(String::new, |token| {
            format!("authorization: Bearer {token}\r\n")
        });
        let head = format!(
            "POST /v1/logs/{LOG}/commits HTTP/1.1\r\nhost: {address}\r\n{authorization}content-type: {FRAMES}\r\n\
             {REPLICA_HEADER}: {replica}\r\ncontent-length: "
        );
        Ok(Self {
            author,
            stream,
            head,
            sent: Vec::new(),
            got: Vec::new(),
        })
    }

    /// The author, whose connection is closed.
    pub(crate) fn into_author(self) -> Author {
        self.author
    }

    /// The author's next commit, of one event; gives its position. Anything but an acceptance is an error.
    pub(crate) async fn push(&mut self) -> Outcome<u64> {
        let frame = self.author.next_frame();
        self.sent.clear();
        self.sent.extend(self.head.as_bytes());
        self.sent
            .extend(format!("{}\r\n\r\n", frame.len()).as_bytes());
        self.sent.extend(frame);
        self.stream.write_all(&self.sent).await.map_err(at(PATH))?;
        self.got.clear();
        loop {
            let read = self
                .stream
                .read_buf(&mut self.got)
                .await
                .map_err(at(PATH))?;
            if read == 0 {
                return Err("a push: the connection ended without an answer".into());
            }
            if let Some((status, body)) = answer(&self.got)? {
                return position(status, body);
            }
        }
    }
}

/// The status and the body of an answer; `None` until all of it is there.
fn answer(bytes: &[u8]) -> Outcome<Option<(u16, &[u8])>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(begin) = response.parse(bytes).map_err(at(PATH))? else {
        return Ok(None);
    };
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok())
        .ok_or("a push: its answer has no length")?;
    let (status, rest) = (response.code.unwrap_or(0), bytes.get(begin..));
    Ok(rest.and_then(|rest| Some((status, rest.get(..length)?))))
}

fn position(status: u16, body: &[u8]) -> Outcome<u64> {
    if status != 200 {
        return Err(format!(
            "a push: {status} {}",
            String::from_utf8_lossy(body)
        ));
    }
    let answer: PushResponse = serde_json::from_slice(body).map_err(at(PATH))?;
    match answer.results.first().map(|result| &result.verdict) {
        Some(Verdict::Accepted { positions, .. }) => Ok(positions.last.value()),
        verdict => Err(format!("a push was answered {verdict:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{answer, position};

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        for end in 0..whole.len() {
            assert_eq!(answer(&whole[..end]), Ok(None), "{end}");
        }
        assert_eq!(answer(whole), Ok(Some((200, &b"{}"[..]))));
        assert!(answer(b"nonsense\r\n\r\n").is_err());
    }

    #[test]
    fn what_is_no_acceptance_is_an_error() {
        assert!(position(503, b"{}").is_err());
        assert!(position(200, b"{}").is_err());
    }
}
