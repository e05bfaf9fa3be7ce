//! A connection to a server, and what is said over it.

use crate::server::LOG;
use crate::{Outcome, at};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

#[derive(Debug)]
pub(crate) struct Client {
    address: String,
    /// What is sent as authorization.
    bearer: Option<String>,
    sender: SendRequest<Full<Bytes>>,
}

/// Lines of an answer that does not end.
#[derive(Debug)]
pub(crate) struct Lines {
    body: Incoming,
    rest: Vec<u8>,
    /// Held: the connection ends with it.
    _client: Client,
}

impl Client {
    pub(crate) async fn open(address: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(at("a connection"))?;
        stream.set_nodelay(true).map_err(at("a connection"))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(at("a connection"))?;
        // An error of the connection is one of the request that is on it, too.
        tokio::spawn(async move { connection.await.ok() });
        Ok(Self {
            address: address.to_owned(),
            bearer: None,
            sender,
        })
    }

    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.bearer = Some(format!("Bearer {token}"));
        self
    }

    async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Outcome<Response<Incoming>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address);
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body)).map_err(at("a request"))?;
        self.sender.ready().await.map_err(at(path))?;
        self.sender.send_request(request).await.map_err(at(path))
    }

    async fn whole(path: &str, response: Response<Incoming>) -> Outcome<Bytes> {
        let status = response.status();
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(at(path))?
            .to_bytes();
        match status {
            StatusCode::OK => Ok(bytes),
            _ => Err(format!(
                "{path}: {status} {}",
                String::from_utf8_lossy(&bytes)
            )),
        }
    }

    pub(crate) async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Outcome<Bytes> {
        let response = self.send("GET", path, headers, Vec::new()).await?;
        Self::whole(path, response).await
    }

    /// Follows the log from a position on; each line carries commits as JSON, where it may.
    pub(crate) async fn live(self, after: u64, carrying: bool) -> Outcome<Lines> {
        let asked = self.ask_live(after, carrying).await?;
        asked.map_err(|_client| "live: there are too many".into())
    }

    /// Follows the log from a position on, if the server lets it; where there are too many already, the connection is given back.
    pub(crate) async fn try_live(self, after: u64) -> Outcome<Result<Lines, Self>> {
        self.ask_live(after, false).await
    }

    async fn ask_live(mut self, after: u64, carrying: bool) -> Outcome<Result<Lines, Self>> {
        let commits = if carrying { r#","commits":"json""# } else { "" };
        let body = format!(r#"{{"logs":[{{"log":"{LOG}","cursor":"{after}"}}]{commits}}}"#);
        let headers = [("content-type", "application/json")];
        let response = self
            .send("POST", "/v1/live", &headers, body.into_bytes())
            .await?;
        match response.status() {
            StatusCode::OK => Ok(Ok(Lines {
                body: response.into_body(),
                rest: Vec::new(),
                _client: self,
            })),
            StatusCode::TOO_MANY_REQUESTS => Ok(Err(self)),
            status => Err(format!("live: {status}")),
        }
    }
}

impl Lines {
    /// The next whole line; an end is an error, since a server that runs ends none.
    pub(crate) async fn next(&mut self) -> Outcome<Vec<u8>> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let rest = self.rest.split_off(end + 1);
                return Ok(std::mem::replace(&mut self.rest, rest));
            }
            let frame = self.body.frame().await.ok_or("a live connection ended")?;
            let frame = frame.map_err(at("a live connection"))?;
            self.rest
                .extend(frame.data_ref().map_or(&[][..], |data| data));
        }
    }
}
