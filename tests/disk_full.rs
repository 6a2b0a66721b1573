//! A disk without room: mail is refused in time, and nothing that was accepted is lost.

use crate::harness::{
    Action, Answer, HookReceiver, Server, SmtpClient, SmtpPeer, Verb, all_delivered, eventually, message_to,
};
use std::{fs::File, io::Write, path::PathBuf, process::Command};

/// A small disk of its own.
struct Disk {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Disk {
    /// `None` where that is not allowed.
    fn mount(megabytes: usize) -> Option<Disk> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can mount a small disk");
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().to_owned();
        let size = format!("size={megabytes}m");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).output();
        match output {
            Ok(output) if output.status.success() => Some(Disk { _dir: dir, path }),
            output => {
                println!("skipped: no small disk can be mounted: {output:?}");
                None
            }
        }
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }

    /// Leaves so many bytes free, or none.
    fn fill(&self, leave: u64) {
        let stat = rustix::fs::statvfs(&self.path).expect("it is mounted");
        let mut rest = (stat.f_bavail * stat.f_frsize).saturating_sub(leave);
        let mut file = File::options().create(true).append(true).open(self.filler()).expect("a file");
        let block = vec![1; 1 << 16];
        while rest > 0 {
            let size = block.len().min(usize::try_from(rest).expect("a small disk"));
            // The disk may fill up under our feet, which is as well.
            if file.write_all(&block[..size]).is_err() {
                return;
            }
            rest -= size as u64;
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).expect("there is one");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, as a server may be about to end.
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).output();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_mail_and_loses_none() {
    let Some(disk) = Disk::mount(160) else { return };
    let peer = SmtpPeer::scripted(|moment| match moment.verb {
        Verb::EndOfData => Action::Gate,
        _ => Action::Usual,
    })
    .await;
    let hooks = HookReceiver::start().await;
    let data = disk.path.join("data");
    let server = Server::builder().dir(&data).deliver_to(&peer).outgoing_webhook(&hooks).start().await;
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        acknowledged.push(server.send(&message_to(&format!("early{number}x@remote.example"))).await);
    }

    // Less than what is to stay free; then nothing at all.
    for leave in [32 << 20, 0] {
        disk.fill(leave);
        let refused = eventually("a Send to be refused", async || {
            let answer = server.call("Send", &message_to("late@remote.example")).await;
            if answer.status == 200 {
                acknowledged.push(serde_json::from_slice(&answer.body).expect("the result of Send"));
                return Err("it was accepted".to_owned());
            }
            Ok(answer)
        })
        .await;
        check_refusal(&refused);
        assert_eq!(smtp_answer(&server).await, "452 4.3.1");
    }

    // Deliveries go on without room to write down what became of them.
    peer.open_gate();
    peer.delivered(acknowledged.len()).await;
    disk.free();
    eventually("mail to be accepted again", async || {
        let answer = server.call("Send", &message_to("later@remote.example")).await;
        if answer.status != 200 {
            return Err(answer.text());
        }
        acknowledged.push(serde_json::from_slice(&answer.body).expect("the result of Send"));
        Ok(())
    })
    .await;
    assert_eq!(smtp_answer(&server).await, "250 2.0.0");
    let ids: Vec<_> = acknowledged.iter().map(|sent| sent.message_id.clone()).collect();
    all_delivered(&ids, &peer).await;
    for sent in &acknowledged {
        hooks.event("delivered", sent.queue_id()).await;
    }
}

fn check_refusal(answer: &Answer) {
    assert_eq!((answer.status, answer.code().as_str()), (503, "busy"), "{}", answer.text());
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "a Retry-After");
}

/// Code and enhanced code of the answer to a message over SMTP.
async fn smtp_answer(server: &Server) -> String {
    let mut client = SmtpClient::ready(server.smtp()).await;
    for line in ["MAIL FROM:<a@remote.example>", "RCPT TO:<rider@localhost>", "DATA"] {
        let reply = client.command(line).await;
        // It may be refused before it is sent whole.
        if reply.starts_with('4') {
            return reply.split(' ').take(2).collect::<Vec<_>>().join(" ");
        }
    }
    client.write(b"Subject: hello\r\n\r\nhi\r\n.\r\n").await;
    client.reply().await.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
