//! Commands: whether each may come now, and what follows from it.

use bytes::Bytes;

use super::transaction::{Open, Transaction};
use super::{Mode, Peer, ServerSession, too_large};
use crate::command::{Command, CommandError, MailCommand, RcptCommand};
use crate::lines::LineError;
use crate::reply::Reply;

impl ServerSession {
    pub(super) fn line(&mut self, line: Result<Bytes, LineError>) {
        let line = match line {
            Ok(line) => line,
            Err(LineError::Endless) => {
                return self.say_last(&Reply::with_enhanced(500, 5, 2, "Line too long, closing connection"));
            }
            Err(LineError::TooLong) => return self.refuse(&Reply::with_enhanced(500, 5, 2, "Line too long")),
            Err(LineError::BareCr | LineError::BareLf) => {
                return self.refuse(&Reply::with_enhanced(500, 5, 2, "A line must end in CR LF"));
            }
        };
        match Command::parse(&line) {
            Ok(command) => self.command(command),
            // How many octets follow is not known, and they would be taken for commands.
            Err(error @ CommandError::Chunk) => self.say_last(&error.reply()),
            Err(error @ CommandError::Recipient) if self.transaction.open().is_some() => {
                self.refuse_recipient(&error.reply());
            }
            Err(error) => self.refuse(&error.reply()),
        }
    }

    fn command(&mut self, command: Command) {
        if self.is_idle(&command) {
            self.idle_commands += 1;
            if self.idle_commands > self.options.max_idle_commands {
                return self.say_last(&Reply::with_enhanced(
                    421,
                    7,
                    0,
                    "Too many commands without a message",
                ));
            }
        }
        match command {
            Command::Ehlo(name) => self.hello(Peer { name, extended: true }),
            Command::Helo(name) => self.hello(Peer { name, extended: false }),
            Command::Mail(mail) => self.mail(mail),
            Command::Rcpt(rcpt) => self.rcpt(rcpt),
            Command::Data => self.data_command(),
            Command::Rset => {
                self.transaction = Transaction::None;
                self.say(&Reply::with_enhanced(250, 0, 0, "OK"));
            }
            Command::Noop => self.say(&Reply::with_enhanced(250, 0, 0, "OK")),
            Command::Quit => self.say_last(&Reply::with_enhanced(221, 0, 0, "Bye")),
            Command::Vrfy(_) => {
                self.say(&Reply::with_enhanced(252, 0, 0, "Cannot verify, but will take messages and try"));
            }
            Command::Help => self.say(&Reply::with_enhanced(214, 0, 0, "See RFC 5321")),
            Command::StartTls => self.starttls(),
            Command::Auth { mechanism, initial } => self.auth_command(&mechanism, initial.as_deref()),
            Command::Expn(_) => {
                self.refuse(&Reply::with_enhanced(502, 5, 1, "Command not implemented"));
            }
            Command::Bdat { size, last } => self.chunk_command(size, last),
        }
    }

    /// Whether it brings no message further. Of MAIL and RCPT the answer says it.
    fn is_idle(&self, command: &Command) -> bool {
        match command {
            Command::Mail(_) | Command::Rcpt(_) | Command::Data | Command::Quit => false,
            Command::Bdat { size, last } => self.transaction.open().is_none() || (*size == 0 && !last),
            Command::Ehlo(_)
            | Command::Helo(_)
            | Command::Rset
            | Command::Noop
            | Command::Vrfy(_)
            | Command::Expn(_)
            | Command::Help
            | Command::StartTls
            | Command::Auth { .. } => true,
        }
    }

    fn hello(&mut self, peer: Peer) {
        self.transaction = Transaction::None;
        if peer.extended {
            let mut offered = self.options.extensions.clone();
            offered.starttls &= !self.is_secure();
            offered.require_tls &= self.is_secure();
            offered.auth = self.mechanisms().iter().map(|mechanism| mechanism.name().to_owned()).collect();
            offered.write(&self.options.hostname, &mut self.out);
        } else {
            let hostname = Reply::new(250, &self.options.hostname);
            self.say(&hostname);
        }
        self.peer = Some(peer);
    }

    fn mail(&mut self, mail: MailCommand) {
        if self.peer.is_none() {
            return self.refuse_sequence("EHLO first");
        }
        if self.transaction.open().is_some() {
            return self.refuse_sequence("A message is under way already");
        }
        if self.options.auth.is_some() && self.user.is_none() {
            return self.refuse_unknown();
        }
        if self.options.extensions.limits.mail_max.is_some_and(|max| self.messages >= max) {
            let text = "This session brought as many messages as it may, connect again for more";
            return self.say_last(&Reply::with_enhanced(421, 5, 3, text));
        }
        if let Err(reply) = self.check_mail_parameters(&mail) {
            return self.refuse(&reply);
        }
        if !mail.smtputf8 && !mail.from.is_ascii() {
            return self.refuse(&not_ascii());
        }
        if mail.size.is_some_and(|size| size > self.options.max_message_size as u64) {
            self.idle_commands += 1;
            return self.refuse(&too_large());
        }
        self.mode = Mode::Mail(mail);
    }

    fn rcpt(&mut self, rcpt: RcptCommand) {
        let Some(Open { envelope, chunks }) = self.transaction.open() else {
            return self.refuse_sequence("MAIL first");
        };
        if chunks.is_some() {
            return self.refuse_sequence("The message has begun: RCPT before BDAT");
        }
        if let Err(reply) = self.check_rcpt_parameters(&rcpt) {
            return self.refuse(&reply);
        }
        if !envelope.mail.smtputf8 && !rcpt.path.is_ascii() {
            return self.refuse_recipient(&not_ascii());
        }
        if envelope.recipients.len() >= self.options.max_recipients {
            self.idle_commands += 1;
            if self.idle_commands > self.options.max_idle_commands {
                return self.say_last(&Reply::with_enhanced(421, 5, 3, "Too many recipients"));
            }
            return self.say(&Reply::with_enhanced(452, 5, 3, "Too many recipients"));
        }
        self.mode = Mode::Rcpt(rcpt);
    }

    /// Answers with an error to a recipient that cannot be. From whoever has logged in it is none that counts: the message
    /// goes to the others all the same, as where the owner refuses one.
    fn refuse_recipient(&mut self, reply: &Reply) {
        if self.user.is_none() {
            return self.refuse(reply);
        }
        self.idle_commands += 1;
        if self.idle_commands > self.options.max_idle_commands {
            return self.say_last(&Reply::with_enhanced(421, 7, 0, "Too many refused commands"));
        }
        self.say(reply);
    }

    fn starttls(&mut self) {
        if self.is_secure() {
            return self.refuse_sequence("TLS is active already");
        }
        if !self.options.extensions.starttls {
            return self.refuse(&Reply::with_enhanced(502, 5, 1, "STARTTLS is not offered"));
        }
        self.say(&Reply::with_enhanced(220, 0, 0, "Ready to start TLS"));
        self.mode = Mode::Handshake;
    }
}

fn not_ascii() -> Reply {
    Reply::with_enhanced(553, 6, 7, "Such an address needs the parameter SMTPUTF8")
}
