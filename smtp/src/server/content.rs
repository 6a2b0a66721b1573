//! The content of a message on its way in.

use bytes::Bytes;

use super::transaction::Transaction;
use super::{Mode, ReceivedMessage, ServerSession, too_large};
use crate::data::{DataProblem, DataProgress, DataReceiver};
use crate::reply::Reply;

impl ServerSession {
    pub(super) fn data_command(&mut self) {
        let Some(open) = self.transaction.open() else {
            return self.refuse_sequence("MAIL first");
        };
        if open.chunks.is_some() {
            return self.refuse_sequence("The message comes by BDAT already");
        }
        if open.envelope.recipients.is_empty() {
            return self.refuse(&Reply::with_enhanced(554, 5, 1, "No valid recipients"));
        }
        self.mode = Mode::Data(DataReceiver::new(self.options.content_limits(), open.expected()));
        self.say(&Reply::new(354, "Send the message, end with a dot on a line of its own"));
    }

    pub(super) fn data(&mut self, bytes: &[u8]) {
        let Mode::Data(receiver) = &mut self.mode else { return };
        match receiver.push(bytes) {
            DataProgress::More => {}
            DataProgress::Abandon => self.say_last(&too_large()),
            DataProgress::End(at) => {
                self.lines.push(&bytes[at..]);
                let Mode::Data(receiver) = std::mem::replace(&mut self.mode, Mode::Command) else { return };
                self.content_ended(receiver.finish());
            }
        }
    }

    /// All octets of a message have come.
    pub(super) fn content_ended(&mut self, content: Result<Bytes, DataProblem>) {
        match content {
            Ok(content) => self.mode = Mode::Message(ReceivedMessage { content }),
            Err(problem) => {
                self.transaction = Transaction::None;
                self.refuse(&self.refusal(problem));
            }
        }
    }

    /// The answer to a message that is not as it should be.
    pub(super) fn refusal(&self, problem: DataProblem) -> Reply {
        let malformed = |text: &str| Reply::with_enhanced(554, 6, 0, text);
        match problem {
            DataProblem::TooLarge => too_large(),
            DataProblem::LineTooLong => {
                let max = self.options.max_content_line;
                malformed(&format!(
                    "A line of the message has more than {max} octets: \
                     break it, or encode the text as quoted-printable or base64"
                ))
            }
            DataProblem::BareNewline => {
                malformed("Lines of a message must end in CR LF, without bare CR or LF")
            }
        }
    }
}
