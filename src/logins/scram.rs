//! SCRAM: whose keys a client is to show that it knows. One salt does not tell who exists; that two addresses are those of
//! one account is seen by their salt.

use super::{Client, Login, LoginError, Logins, find};
use crate::password::SCRAM_ITERATIONS;
use aws_lc_rs::hmac;
use mail::Address;
use store::{Directory, records::ScramKeys};

impl Logins {
    /// The keys of a user. Who does not exist, may not log in, or has no keys yet gets some that nothing fits, the same
    /// each time.
    pub(crate) fn scram_keys(
        &self,
        directory: &Directory,
        user: &str,
        client: Client,
    ) -> Result<ScramKeys, LoginError> {
        self.limiter.look(client.address).map_err(|too_many| self.counted(too_many.into(), client))?;
        let login = find(directory, user).filter(|login| !login.account.record.disabled);
        let keys = login.and_then(|login| login.account.record.scram.clone());
        Ok(keys.unwrap_or_else(|| nobody(directory.login_secret().unwrap_or(&self.secret), user)))
    }

    /// The login of a user who proved to know the password of these keys, unless they are no longer those of the
    /// account.
    pub(crate) async fn with_scram(
        &self,
        directory: &Directory,
        user: &str,
        proven: Option<&ScramKeys>,
        client: Client,
    ) -> Result<Login, LoginError> {
        let own = |login: &Login| {
            let record = &login.account.record;
            !record.disabled && record.scram.is_some() && record.scram.as_ref() == proven
        };
        match find(directory, user).filter(own) {
            Some(login) => match self.limiter.pass(client.address) {
                Ok(()) => Ok(login),
                Err(too_many) => Err(self.counted(too_many.into(), client)),
            },
            None => Err(self.unreadable(client).await),
        }
    }
}

/// Keys of nobody. Their salt stays for as long as the store does, as that of a user who exists stays.
fn nobody(secret: &[u8; 32], user: &str) -> ScramKeys {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    // All ways to write an address lead to one account.
    let name = match Address::parse(user) {
        Ok(address) => {
            format!("{}@{}", address.localpart().as_str().to_lowercase(), address.domain().as_ascii())
        }
        Err(_) => user.to_owned(),
    };
    let made = |what: u8| {
        let mut context = hmac::Context::with_key(&key);
        context.update(&[what]);
        context.update(name.as_bytes());
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    };
    let mut salt = [0; 16];
    salt.copy_from_slice(&made(0)[..16]);
    ScramKeys { salt, iterations: SCRAM_ITERATIONS, stored_key: made(1), server_key: made(2) }
}
