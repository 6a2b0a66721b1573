//! The content of a message on its way in.

use super::{Mode, ReceivedMessage, ServerSession, too_large};
use crate::data::{DataProblem, DataProgress, DataReceiver};
use crate::reply::Reply;

impl ServerSession {
    pub(super) fn data_command(&mut self) {
        let Some(envelope) = &self.envelope else {
            return self.refuse_sequence("MAIL first");
        };
        if envelope.recipients.is_empty() {
            return self.refuse(&Reply::with_enhanced(554, 5, 1, "No valid recipients"));
        }
        let expected = envelope.mail.size.and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        self.mode = Mode::Data(DataReceiver::new(self.options.max_message_size, expected));
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
                self.data_ended(receiver);
            }
        }
    }

    fn data_ended(&mut self, receiver: DataReceiver) {
        let problem = match receiver.finish() {
            Ok(content) => {
                self.mode = Mode::Message(ReceivedMessage { content });
                return;
            }
            Err(DataProblem::TooLarge) => too_large(),
            Err(DataProblem::BareNewline) => {
                Reply::with_enhanced(554, 6, 0, "Lines of a message must end in CR LF, without bare CR or LF")
            }
        };
        self.envelope = None;
        self.refuse(&problem);
    }
}
