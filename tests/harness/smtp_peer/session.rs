//! One connection to a peer.

use super::{
    PeerTlsMode, Shared,
    record::{Delivery, PeerTls},
    script::{Action, Moment, Verb},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::ServerConfig;
use std::{convert::Infallible, sync::Arc};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub(super) struct Session {
    stream: BufReader<Box<dyn Stream>>,
    shared: Arc<Shared>,
    connection: usize,
    accepted: usize,
    tls: bool,
    authenticated: bool,
    envelope: Envelope,
}

/// The transaction so far.
#[derive(Default)]
struct Envelope {
    mail: String,
    rcpts: Vec<String>,
    chunks: Vec<u8>,
}

/// The client is gone, or is to be.
struct Gone;

impl Session {
    pub(super) fn new(stream: TcpStream, shared: Arc<Shared>, connection: usize) -> Session {
        Session {
            stream: BufReader::new(Box::new(stream)),
            authenticated: shared.login.is_none(),
            shared,
            connection,
            accepted: 0,
            tls: false,
            envelope: Envelope::default(),
        }
    }

    pub(super) async fn run(mut self) {
        // A client that goes away is as good an end as any.
        let Err(Gone) = self.talk().await;
    }

    async fn talk(&mut self) -> Result<Infallible, Gone> {
        if let PeerTlsMode::Implicit(config) = self.shared.tls.clone() {
            self.handshake(config).await?;
        }
        self.answer(Verb::Connect, "", "220 peer.example ESMTP").await?;
        loop {
            let line = self.line().await?;
            self.note(&line);
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => self.ehlo(Verb::Ehlo, &line).await?,
                "HELO" => self.ehlo(Verb::Helo, &line).await?,
                "STARTTLS" => self.start_tls(&line).await?,
                "AUTH" => self.auth(&line).await?,
                "MAIL" => self.mail(&line).await?,
                "RCPT" => self.rcpt(&line).await?,
                "DATA" if self.envelope.rcpts.is_empty() => self.say("554 5.5.1 no valid recipients").await?,
                "DATA" => {
                    if self.answer(Verb::Data, &line, "354 go ahead").await? {
                        let content = self.content().await?;
                        self.end_of_data(content, false).await?;
                    }
                }
                "BDAT" => self.bdat(&line).await?,
                "RSET" => {
                    self.envelope = Envelope::default();
                    self.answer(Verb::Rset, &line, "250 2.0.0 reset").await?;
                }
                "QUIT" => {
                    self.answer(Verb::Quit, &line, "221 2.0.0 bye").await?;
                    return Err(Gone);
                }
                _ => {
                    self.answer(Verb::Other, &line, "502 5.5.1 unknown command").await?;
                }
            }
        }
    }

    async fn ehlo(&mut self, verb: Verb, line: &str) -> Result<(), Gone> {
        let name = line.split_once(' ').map_or("", |(_, name)| name).to_owned();
        self.shared.note(self.connection, |visit| visit.ehlo = name);
        self.envelope = Envelope::default();
        let mut lines = vec!["peer.example".to_owned()];
        if verb == Verb::Ehlo {
            lines.extend(self.shared.extensions.iter().cloned());
            if matches!(self.shared.tls, PeerTlsMode::Offered(_)) && !self.tls {
                lines.push("STARTTLS".to_owned());
            } else if self.shared.login.is_some() {
                lines.push("AUTH PLAIN LOGIN".to_owned());
            }
        }
        let last = lines.len() - 1;
        let reply: Vec<_> = lines
            .iter()
            .enumerate()
            .map(|(number, line)| format!("250{}{line}", if number == last { ' ' } else { '-' }))
            .collect();
        self.answer(verb, line, &reply.join("\r\n")).await?;
        Ok(())
    }

    async fn start_tls(&mut self, line: &str) -> Result<(), Gone> {
        let PeerTlsMode::Offered(config) = self.shared.tls.clone() else {
            return self.say("502 5.5.1 unknown command").await;
        };
        if self.answer(Verb::StartTls, line, "220 2.0.0 ready").await? {
            self.handshake(config).await?;
            self.envelope = Envelope::default();
        }
        Ok(())
    }

    async fn handshake(&mut self, config: Arc<ServerConfig>) -> Result<(), Gone> {
        match self.ask(Verb::Handshake, "").await? {
            Action::Usual | Action::Gate => {}
            Action::Bytes(bytes) => return self.send(&bytes).await,
            _ => return Err(Gone),
        }
        assert!(self.stream.buffer().is_empty(), "nobody sends commands along with STARTTLS");
        let nobody: Box<dyn Stream> = Box::new(tokio::io::empty());
        let stream = std::mem::replace(&mut self.stream, BufReader::new(nobody)).into_inner();
        let stream = TlsAcceptor::from(config).accept(stream).await.map_err(|_| Gone)?;
        self.shared.note(self.connection, |visit| visit.tls = Some(facts(&stream)));
        self.tls = true;
        self.stream = BufReader::new(Box::new(stream));
        Ok(())
    }

    async fn auth(&mut self, line: &str) -> Result<(), Gone> {
        if !self.tls && !matches!(self.shared.tls, PeerTlsMode::Never) {
            return self.say("530 5.7.0 STARTTLS first").await;
        }
        let (user, password) = match line.split(' ').collect::<Vec<_>>().as_slice() {
            [_, "PLAIN", initial] => split_plain(initial),
            [_, "PLAIN"] => {
                self.say("334 ").await?;
                split_plain(&self.line().await?)
            }
            [_, "LOGIN", user] => (decode(user), self.prompt("Password:").await?),
            [_, "LOGIN"] => (self.prompt("Username:").await?, self.prompt("Password:").await?),
            _ => return self.say("504 5.5.4 unknown mechanism").await,
        };
        let good = self.shared.login == Some((user.clone(), password));
        let usual = if good { "235 2.7.0 welcome" } else { "535 5.7.8 no" };
        if self.answer(Verb::Auth, line, usual).await? && good {
            self.authenticated = true;
            self.shared.note(self.connection, |visit| visit.login = Some(user));
        }
        Ok(())
    }

    async fn prompt(&mut self, text: &str) -> Result<String, Gone> {
        self.say(&format!("334 {}", BASE64_STANDARD.encode(text))).await?;
        Ok(decode(&self.line().await?))
    }

    async fn mail(&mut self, line: &str) -> Result<(), Gone> {
        self.envelope = Envelope::default();
        if !self.authenticated {
            return self.say("530 5.7.0 log in first").await;
        }
        if self.answer(Verb::Mail, line, "250 2.1.0 sender ok").await? {
            self.envelope.mail = line["MAIL FROM:".len()..].to_owned();
        }
        Ok(())
    }

    async fn rcpt(&mut self, line: &str) -> Result<(), Gone> {
        if !self.authenticated {
            return self.say("530 5.7.0 log in first").await;
        }
        if self.answer(Verb::Rcpt, line, "250 2.1.5 recipient ok").await? {
            self.envelope.rcpts.push(line["RCPT TO:".len()..].to_owned());
        }
        Ok(())
    }

    /// A chunk comes whatever is thought of it (RFC 3030).
    async fn bdat(&mut self, line: &str) -> Result<(), Gone> {
        let mut words = line.split(' ').skip(1);
        let size = words.next().and_then(|size| size.parse().ok()).ok_or(Gone)?;
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk).await.map_err(|_| Gone)?;
        if self.envelope.rcpts.is_empty() {
            return self.say("503 5.5.1 no valid recipients").await;
        }
        let last = words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        match self.ask(Verb::Bdat, line).await? {
            Action::Usual | Action::Gate => {}
            other => {
                self.envelope = Envelope::default();
                self.do_say(other, "").await?;
                return Ok(());
            }
        }
        self.envelope.chunks.extend(chunk);
        if last {
            let content = std::mem::take(&mut self.envelope.chunks);
            return self.end_of_data(content, true).await;
        }
        self.say("250 2.0.0 chunk taken").await
    }

    /// The message is recorded before the answer goes out, as that is what an answer promises.
    async fn end_of_data(&mut self, content: Vec<u8>, chunked: bool) -> Result<(), Gone> {
        let Envelope { mail, rcpts, .. } = std::mem::take(&mut self.envelope);
        let action = self.ask(Verb::EndOfData, "").await?;
        let accepted = match &action {
            Action::Usual | Action::Gate => true,
            Action::Reply(text) | Action::ReplyAndClose(text) => text.starts_with('2'),
            _ => false,
        };
        if accepted {
            let address = |rcpt: &String| {
                let path = rcpt.trim_start().split(' ').next().unwrap_or_default();
                path.trim_matches(['<', '>']).to_owned()
            };
            let recipients = rcpts.iter().map(address).collect();
            let delivery =
                Delivery { connection: self.connection, mail, recipients, rcpts, chunked, content };
            self.shared.deliveries.lock().expect("no holder panics").push(delivery);
            self.accepted += 1;
        }
        self.do_say(action, "250 2.0.0 accepted").await?;
        Ok(())
    }

    /// Answers a command; whether it was accepted.
    async fn answer(&mut self, verb: Verb, line: &str, usual: &str) -> Result<bool, Gone> {
        let action = self.ask(verb, line).await?;
        self.do_say(action, usual).await
    }

    /// Says what there is to say; whether that accepts the command.
    async fn do_say(&mut self, action: Action, usual: &str) -> Result<bool, Gone> {
        match action {
            Action::Usual | Action::Gate => {
                self.say(usual).await?;
                Ok(usual.starts_with(['2', '3']))
            }
            Action::Reply(text) => {
                self.say(text).await?;
                Ok(text.starts_with(['2', '3']))
            }
            Action::ReplyAndClose(text) => {
                self.say(text).await?;
                Err(Gone)
            }
            Action::Bytes(bytes) => {
                self.send(&bytes).await?;
                Ok(false)
            }
            // `ask` has dealt with the others.
            _ => Err(Gone),
        }
    }

    /// Asks the script, and does what needs no answer.
    async fn ask(&mut self, verb: Verb, line: &str) -> Result<Action, Gone> {
        let moment = Moment { verb, line, connection: self.connection, accepted: self.accepted };
        let action = (self.shared.script)(&moment);
        match &action {
            Action::Close => return Err(Gone),
            Action::BytesAndClose(bytes) => {
                self.send(bytes).await?;
                return Err(Gone);
            }
            Action::Endless(bytes) => loop {
                self.send(bytes).await?;
            },
            Action::Hang => {
                let _ = tokio::io::copy(&mut self.stream, &mut tokio::io::sink()).await;
                return Err(Gone);
            }
            Action::Gate => {
                let mut gate = self.shared.gate.subscribe();
                gate.wait_for(|open| *open).await.map_err(|_| Gone)?;
            }
            Action::Usual | Action::Reply(_) | Action::ReplyAndClose(_) | Action::Bytes(_) => {}
        }
        Ok(action)
    }

    /// Remembers a command, but for what may be a password.
    fn note(&self, line: &str) {
        let kept = match line.get(..5) {
            Some("AUTH ") => line.split(' ').take(2).collect::<Vec<_>>().join(" "),
            _ => line.to_owned(),
        };
        self.shared.note(self.connection, |visit| visit.commands.push(kept));
    }

    async fn content(&mut self) -> Result<Vec<u8>, Gone> {
        let mut content = Vec::new();
        loop {
            let start = content.len();
            match self.stream.read_until(b'\n', &mut content).await {
                Ok(1..) => {}
                _ => return Err(Gone),
            }
            let line = &content[start..];
            assert!(
                line.ends_with(b"\r\n"),
                "a line of data ends in CR LF: {:?}",
                String::from_utf8_lossy(line)
            );
            if line == b".\r\n" {
                content.truncate(start);
                return Ok(content);
            }
            if line.starts_with(b".") {
                content.remove(start);
            }
        }
    }

    async fn line(&mut self) -> Result<String, Gone> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).await {
            Ok(1..) if line.ends_with("\r\n") => {
                line.truncate(line.len() - 2);
                Ok(line)
            }
            _ => Err(Gone),
        }
    }

    async fn say(&mut self, reply: &str) -> Result<(), Gone> {
        self.send(format!("{reply}\r\n").as_bytes()).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.stream.write_all(bytes).await.map_err(|_| Gone)?;
        // TLS may keep what it has not flushed.
        self.stream.flush().await.map_err(|_| Gone)
    }
}

fn facts(stream: &TlsStream<Box<dyn Stream>>) -> PeerTls {
    let (_, tls) = stream.get_ref();
    PeerTls {
        version: tls.protocol_version().map(|version| format!("{version:?}")).unwrap_or_default(),
        sni: tls.server_name().map(str::to_owned),
    }
}

/// User and password of AUTH PLAIN (RFC 4616).
fn split_plain(encoded: &str) -> (String, String) {
    let text = decode(encoded);
    let mut words = text.split('\0').skip(1).map(str::to_owned);
    (words.next().unwrap_or_default(), words.next().unwrap_or_default())
}

fn decode(text: &str) -> String {
    let bytes = BASE64_STANDARD.decode(text).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
