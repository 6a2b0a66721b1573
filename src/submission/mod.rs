//! SMTP submission: messages that accounts bring in to be sent.

#[cfg_attr(not(test), expect(dead_code, reason = "the sessions that bring messages are not there yet"))]
mod message;
