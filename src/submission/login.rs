//! Logging in to a session.

use super::Submitting;
use crate::logins::{Client, LoginError, Way};
use base64::{Engine, prelude::BASE64_STANDARD};
use smtp::{AuthAnswer, AuthQuestion, Reply, ScramServerKeys};
use store::records::ScramKeys;

/// A client that was given salt and nonce.
pub(super) struct Challenged(ScramKeys);

impl Submitting {
    pub(super) async fn answer_auth(&mut self, question: AuthQuestion) -> AuthAnswer {
        let client = Client { address: self.remote, way: Way::Submission };
        let (directory, logins) = (self.app.handles.store.directory(), &self.app.logins);
        // Somebody may have been let in and given up before the end.
        self.login = None;
        let challenged = self.challenged.take();
        let login = match question {
            AuthQuestion::Password { username, password } => {
                logins.with_password(&directory, &username, &password, client).await
            }
            AuthQuestion::Keys { username } => {
                let keys = match logins.scram_keys(&directory, &username, client) {
                    Ok(keys) => keys,
                    Err(error) => return AuthAnswer::Refuse(refusal(error)),
                };
                self.challenged = Some(Challenged(keys.clone()));
                let nonce = BASE64_STANDARD.encode(rand::random::<[u8; 18]>());
                return AuthAnswer::Keys { keys: for_session(keys), nonce };
            }
            AuthQuestion::Proven { username } => {
                let keys = challenged.map(|Challenged(keys)| keys);
                logins.with_scram(&directory, &username, keys.as_ref(), client).await
            }
            AuthQuestion::Disproved { .. } => Err(logins.unreadable(client).await),
        };
        match login {
            Ok(login) => {
                self.login = Some(login);
                AuthAnswer::Accept
            }
            Err(error) => AuthAnswer::Refuse(refusal(error)),
        }
    }
}

fn for_session(keys: ScramKeys) -> ScramServerKeys {
    let ScramKeys { salt, iterations, stored_key, server_key } = keys;
    ScramServerKeys { salt: salt.to_vec(), iterations, stored_key, server_key }
}

/// What is wrong and what is only not possible now differ, so that clients know whether to ask for another password
/// (RFC 4954 section 6).
fn refusal(error: LoginError) -> Reply {
    let temporary = |text: &str| Reply::with_enhanced(454, 7, 0, text);
    match error {
        LoginError::Wrong => Reply::with_enhanced(
            535,
            7,
            8,
            "Wrong: log in with an e-mail address of the account and its password",
        ),
        LoginError::TooMany(too_many) => temporary(&format!(
            "Too many logins from your network failed, try again in {} seconds",
            too_many.retry_after_secs()
        )),
        LoginError::Busy => temporary("Too many log in at the moment, try again later"),
        LoginError::Failed => temporary("The login could not be checked, try again later"),
    }
}
