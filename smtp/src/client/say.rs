//! Commands on their way out.

use bytes::BytesMut;

use super::content::{Chunk, Outgoing, PIPELINED_MAX, sent_size};
use super::envelope::rcpt_parameters;
use super::exchange::Exchange;
use super::{ClientSession, Running};

impl ClientSession {
    /// Says everything there is to say, in one group (RFC 2920 section 3.1); a large content waits until a
    /// recipient was accepted.
    pub(super) fn say_group(&mut self) {
        let mut group = BytesMut::with_capacity(64 * (self.todo.len() + 1));
        let mut content = None;
        while let Some(exchange) = self.todo.pop_front() {
            if exchange == Exchange::Chunk {
                let running = self.running.as_ref().expect("a chunk belongs to a transaction");
                if running.transaction.content.len() > PIPELINED_MAX {
                    self.todo.push_front(exchange);
                    break;
                }
                content = Some(running.transaction.content.clone());
            }
            self.write(exchange, &mut group);
            self.waiting.push_back(exchange);
        }
        self.out.push(group.freeze());
        self.out.extend(content.into_iter().flat_map(Chunk::new));
    }

    /// Says the next thing that still makes sense, if there is one.
    pub(super) fn say_next(&mut self) {
        let doomed = self.running.as_ref().is_none_or(Running::is_mail_refused);
        let nobody = self.running.as_ref().is_none_or(|running| running.open() == 0);
        while let Some(exchange) = self.todo.pop_front() {
            let pointless = doomed || (nobody && matches!(exchange, Exchange::Data | Exchange::Chunk));
            if !pointless {
                self.say(exchange);
                return;
            }
        }
    }

    pub(super) fn say_alone(&mut self, exchange: Exchange) {
        if !self.is_closed() {
            self.assert_ready();
            self.say(exchange);
        }
    }

    fn say(&mut self, exchange: Exchange) {
        let mut line = BytesMut::with_capacity(128);
        self.write(exchange, &mut line);
        self.out.push(line.freeze());
        self.waiting.push_back(exchange);
        if let (Exchange::Chunk, Some(running)) = (exchange, &self.running) {
            self.sending = Some(Outgoing::Chunk(Chunk::new(running.transaction.content.clone())));
        }
    }

    fn write(&self, exchange: Exchange, out: &mut BytesMut) {
        let mut put = |parts: &[&str]| {
            parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
            out.extend_from_slice(b"\r\n");
        };
        match (exchange, &self.running) {
            (Exchange::Ehlo, _) => put(&["EHLO ", &self.ehlo_name]),
            (Exchange::Helo, _) => put(&["HELO ", &self.ehlo_name]),
            (Exchange::StartTls, _) => put(&["STARTTLS"]),
            (Exchange::Rset, _) => put(&["RSET"]),
            (Exchange::Data, _) => put(&["DATA"]),
            (Exchange::Quit, _) => put(&["QUIT"]),
            (Exchange::Mail, Some(running)) => {
                put(&["MAIL FROM:<", &running.transaction.mail_from, ">", &running.mail_parameters]);
            }
            (Exchange::Rcpt(index), Some(running)) => {
                let recipient = &running.transaction.recipients[index];
                put(&["RCPT TO:<", &recipient.path, ">", &rcpt_parameters(recipient, &self.extensions)]);
            }
            (Exchange::Chunk, Some(running)) => {
                put(&["BDAT ", &sent_size(&running.transaction.content).to_string(), " LAST"]);
            }
            (Exchange::Mail | Exchange::Rcpt(_) | Exchange::Chunk, None)
            | (Exchange::Greeting | Exchange::Auth | Exchange::EndOfData | Exchange::EndOfNothing, _) => {}
        }
    }
}
