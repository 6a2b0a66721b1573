//! HTML pages to read about the webapi and to try it out.

mod fields;
mod policy;

pub(in crate::http) use policy::disarm;

use super::{
    methods::{Answer, ApiMethod, METHODS},
    openapi::FILE_FIELDS,
    schema::codes,
};
use crate::{
    app::{LOCAL_ADDRESS, LOCAL_PASSWORD, Mode},
    http::Http,
};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use fields::{fields, prose};
use maud::{DOCTYPE, Markup, html};
use policy::{POLICY, POLICY_WITH_MAIL, restrict};
use std::future::{Ready, ready};

/// `GET /webapi/v0/`: what this is, and a link to each method.
pub(super) fn index(http: Data<Http>, request: HttpRequest) -> Ready<HttpResponse> {
    let base = base(&request);
    let content = html! {
        h1 { "Postrider webapi" }
        p {
            "Version " (env!("CARGO_PKG_VERSION")) " of Postrider. Applications send mail with one HTTP call, and \
            read what came in. Each method below has a page to try it out; "
            a href="openapi.json" { "openapi.json" } " describes all of them for programs (OpenAPI 3.1)."
        }
        h2 { "How to call it" }
        p {
            code { "POST " (base) "/" em { "Method" } } " takes a form whose field " code { "request" }
            " holds a JSON object. Log in with HTTP basic authentication: an e-mail address of the account, and \
            its password."
        }
        pre { (curl(&base, &METHODS[0], http.app.mode)) }
        h2 { "Methods" }
        dl {
            @for method in METHODS {
                dt { a href=(method.name) { (method.name) } }
                dd { (prose(method.summary)) }
            }
        }
        h2 { "Errors" }
        p {
            "A call that was not done is answered with a status other than 200 and "
            code { "{\"Code\": …, \"Message\": …}" } ". The message is for people, the code for programs:"
        }
        dl {
            @for (code, meaning) in codes() {
                dt { code { (code) } }
                dd { (prose(&meaning)) }
            }
        }
        p {
            "The status is 400, but 500 for " code { "server" } " and 503 for " code { "busy" }
            ", with the seconds to wait in " code { "Retry-After" }
            ". Missing or wrong logins are answered with 401, and with 429 when there are too many of them."
        }
    };
    ready(page(POLICY, None, content))
}

/// `GET /webapi/v0/<Method>`: about the method, with a form that makes the call.
pub(super) fn method(http: &Http, request: &HttpRequest, method: &ApiMethod) -> HttpResponse {
    let policy = match method.answer {
        Answer::Json(_) => POLICY,
        Answer::Bytes(_) => POLICY_WITH_MAIL,
    };
    let content = html! {
        h1 { (method.name) }
        p { (prose(method.summary)) " " (prose(method.notes)) }
        (form(method, http.app.mode))
        section #answer hidden {
            h2 { "Answer" }
            p #status role="status" {}
            div #body {}
        }
        section {
            h2 { "The same with curl" }
            pre #curl { (curl(&base(request), method, http.app.mode)) }
        }
        (fields(method))
        script src="page.js" {}
    };
    page(policy, Some(method.name), content)
}

/// Without JavaScript the browser posts it like any other client, and asks for the login by itself.
fn form(method: &ApiMethod, mode: Mode) -> Markup {
    let (user, password) = login(mode).unwrap_or_default();
    html! {
        form method="post" action=(method.name) enctype="multipart/form-data" {
            div #login .row hidden {
                label { "E-mail address" input #user value=(user) autocomplete="username" inputmode="email"; }
                label {
                    "Password"
                    input #password type="password" value=(password) autocomplete="current-password";
                }
            }
            label for="request" { "Request" }
            textarea #request name="request" rows=(method.example.lines().count() + 2) spellcheck="false" {
                "\n" (method.example)
            }
            @if method.takes_files {
                fieldset .row {
                    legend { "Files" }
                    @for (field, about) in FILE_FIELDS {
                        label { code { (field) } input type="file" name=(field) title=(about) multiple; }
                    }
                }
            }
            button { "Call" }
            span #hint hidden { "or Ctrl+Enter" }
        }
    }
}

/// A login to fill in: everybody who can reach a developer's server knows it.
fn login(mode: Mode) -> Option<(&'static str, &'static str)> {
    match mode {
        Mode::Local => Some((LOCAL_ADDRESS, LOCAL_PASSWORD)),
        Mode::Serve => None,
    }
}

fn curl(base: &str, method: &ApiMethod, mode: Mode) -> String {
    let user = login(mode).map_or("you@example.org".into(), |(user, password)| format!("{user}:{password}"));
    let (request, name) = (method.example.replace('\'', r"'\''"), method.name);
    format!("curl --user {user} \\\n  --data-urlencode 'request={request}' \\\n  {base}/{name}")
}

/// The address of the webapi, as the client knows it.
fn base(request: &HttpRequest) -> String {
    let connection = request.connection_info();
    format!("{}://{}/webapi/v0", connection.scheme(), connection.host())
}

/// A page around `content`, which is about the method `current`.
fn page(policy: &'static str, current: Option<&str>, content: Markup) -> HttpResponse {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { @if let Some(name) = current { (name) " – " } "Postrider webapi" }
                link rel="icon" href="icon.svg";
                link rel="stylesheet" href="page.css";
            }
            body {
                nav aria-label="Methods" {
                    a .home href="./" { img src="icon.svg" alt="" width="24" height="24"; "Postrider webapi" }
                    ul {
                        @for ApiMethod { name, .. } in METHODS {
                            li { a href=(name) aria-current=[(Some(*name) == current).then_some("page")] { (name) } }
                        }
                    }
                }
                main { (content) }
            }
        }
    };
    let mut response = HttpResponse::Ok().content_type("text/html; charset=utf-8").body(page.into_string());
    restrict(response.headers_mut(), policy);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::TestServer;
    use actix_web::test::TestRequest;
    use config::Service;

    #[actix_web::test]
    async fn every_method_has_a_page_that_the_index_links_to() {
        let server = TestServer::start().await;
        let index = server.get("/webapi/v0/", &[Service::Webapi]).await;
        assert_eq!(index.headers.get("content-type").unwrap(), "text/html; charset=utf-8");
        for method in METHODS {
            assert!(index.body.contains(&format!("<dt><a href=\"{}\">", method.name)), "{}", method.name);
            let page = server.get(&format!("/webapi/v0/{}", method.name), &[Service::Webapi]).await;
            assert_eq!(page.status, 200);
            assert!(page.body.contains(&format!("<form method=\"post\" action=\"{}\"", method.name)));
        }
    }

    #[actix_web::test]
    async fn what_a_client_says_of_the_address_is_escaped() {
        let server = TestServer::start().await;
        let request = TestRequest::get().uri("/webapi/v0/Send");
        let request = request.insert_header(("x-forwarded-host", "<script>alert(1)</script>"));
        let page = server.request(request, &[Service::Webapi]).await;
        assert!(
            page.body.contains("&lt;script&gt;alert(1)") && !page.body.contains("<script>"),
            "{}",
            page.body
        );
    }

    #[actix_web::test]
    async fn the_login_is_filled_in_only_on_a_developers_server() {
        for (mode, filled_in) in [(Mode::Local, true), (Mode::Serve, false)] {
            let form = form(&METHODS[0], mode).into_string();
            assert_eq!(form.contains(LOCAL_PASSWORD), filled_in, "{mode:?}");
        }
    }
}
