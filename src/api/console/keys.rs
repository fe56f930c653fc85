//! Keys of API callers.

use maud::{Markup, html};
use serde_json::json;

use crate::api::console::client::JSON;
use crate::api::console::page::{Shown, ago, table};
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::api::wire::{Key, Keys};

/// Scopes and what each is for.
const SCOPES: [(&str, &str); 3] = [
    ("read", "looks at functions, runs and logs"),
    ("invoke", "also runs functions"),
    ("admin", "does everything"),
];

pub(super) fn list(visit: &Visit<'_>) -> Result<Shown, Problem> {
    shown(visit, &html! {})
}

fn shown(visit: &Visit<'_>, made: &Markup) -> Result<Shown, Problem> {
    if !visit.may_change() {
        let body = html! { h1 { "Keys" } p.quiet { "Keys are shown to admin keys only." } };
        return Shown::page("Keys", body);
    }
    let keys: Keys = visit.v1.get(&visit.api(&["keys"]))?;
    Shown::page(
        "Keys",
        html! {
            h1 { "Keys" }
            (made)
            (listed(visit, &keys.keys))
            h2 { "New key" }
            form.stack method="post" action=(visit.link(&["keys"]).text()) {
                input type="hidden" name="do" value="create";
                label { "Name" input name="name" value=(visit.form.text("name")) required maxlength="60" autocapitalize="off" spellcheck="false"; }
                label { "What it may do" select name="scope" {
                    @for (scope, says) in SCOPES { option value=(scope) selected[scope == visit.form.text("scope")] { (scope) ": " (says) } }
                } }
                label.tick {
                    input type="checkbox" name="tencent" value="1" checked[visit.form.has("tencent")];
                    "A pair that signs requests of the TencentCloud API, of function URLs and of the object storage"
                }
                button { "Make it" }
            }
        },
    )
}

fn listed(visit: &Visit<'_>, keys: &[Key]) -> Markup {
    let rows = html! {
        @for key in keys {
            tr {
                td { (key.name) }
                td { (key.scope) }
                td { @if let Some(secret_id) = &key.secret_id { code { (secret_id) } } @else { "a bearer key" } }
                td { (ago(visit, key.created_us)) }
                td {
                    form.inline method="post" action=(visit.link(&["keys"]).text()) {
                        input type="hidden" name="id" value=(key.id);
                        button.danger name="do" value="revoke" data-ask={ "Revoke the key " (key.name) "? Whoever uses it is refused from then on." } { "Revoke" }
                    }
                }
            }
        }
    };
    table("Keys", &["Name", "Scope", "Known by", "Made", ""], &rows)
}

pub(super) fn change(visit: &Visit<'_>) -> Result<Shown, Problem> {
    match visit.form.text("do") {
        "create" => match created(visit) {
            Ok(key) => shown(visit, &secret(&key)),
            Err(problem) => Ok(list(visit)?.refused(&problem)),
        },
        "revoke" => {
            visit.v1.send("DELETE", &visit.api(&["keys", visit.form.text("id")]), JSON, Vec::new())?;
            Shown::on(visit.link(&["keys"]), "revoked")
        }
        _ => Err(Problem::new(400, "It is not said what to do.")),
    }
}

fn created(visit: &Visit<'_>) -> Result<Key, Problem> {
    let form = &visit.form;
    let body =
        json!({ "name": form.word("name"), "scope": form.text("scope"), "tencent": form.has("tencent") });
    visit.v1.put_json("POST", &visit.api(&["keys"]), &body)?.json()
}

/// The secret of a key that was just made: here, and never again.
fn secret(key: &Key) -> Markup {
    html! {
        section.done role="status" {
            p { "The key " (key.name) " is made. Keep it now: it is not shown again." }
            @if let Some(secret) = &key.key {
                pre { (secret) }
                p.quiet { "Requests carry it as " code { "Authorization: Bearer KEY" } "; for the command line it is " code { "FNLITE_KEY" } "." }
            }
            @if let (Some(id), Some(secret)) = (&key.secret_id, &key.secret_key) {
                pre { "TENCENTCLOUD_SECRET_ID=" (id) "\nTENCENTCLOUD_SECRET_KEY=" (secret) }
                p.quiet { "SDKs and tccli read them from the environment." }
            }
        }
    }
}
