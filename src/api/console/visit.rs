//! What a page's function is given: who is there, where, and what was said.

use tiny_http::Method;

use crate::api::Parts;
use crate::api::console::client::{Target, V1};
use crate::api::console::form::Form;
use crate::http::head::Head;
use crate::http::request::Peer;
use crate::model::key::Scope;

/// The namespace of those who name none.
const NAMESPACE: &str = "default";

/// One request of somebody who may see the page.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    /// What the server knows and does.
    pub(super) v1: V1<'a>,
    /// What the visitor may do.
    pub(super) scope: Scope,
    /// The variable parts of the path, decoded.
    pub(super) parts: Vec<String>,
    /// What the link said.
    pub(super) query: Form,
    /// What a form was filled with.
    pub(super) form: Form,
    /// What a script sent instead of a form: the bytes of a file.
    pub(super) file: Vec<u8>,
    /// The path as it came.
    pub(super) path: &'a str,
    pub(super) head: &'a Head,
    pub(super) peer: Peer,
    /// For signing in and out; whatever else a page needs, it asks `v1`.
    pub(super) server: &'a Parts,
    /// Now, microseconds since the epoch.
    pub(super) now_us: i64,
}

impl Visit<'_> {
    /// A variable part of the path.
    pub(super) fn part(&self, index: usize) -> &str {
        self.parts.get(index).map_or("", String::as_str)
    }

    /// Whether a form was sent.
    pub(super) fn is_form(&self) -> bool {
        *self.head.method() == Method::Post
    }

    /// What a field shows: what was typed into it, if this comes of its form, else what is there.
    pub(super) fn value<'a>(&'a self, name: &str, there: &'a str) -> &'a str {
        if self.is_form() { self.form.text(name) } else { there }
    }

    /// The namespace looked at.
    pub(super) fn namespace(&self) -> &str {
        match self.query.word("namespace") {
            "" => NAMESPACE,
            namespace => namespace,
        }
    }

    /// Something of `/v1`, in that namespace.
    pub(super) fn api(&self, parts: &[&str]) -> Target {
        let whole: Vec<&str> = std::iter::once("v1").chain(parts.iter().copied()).collect();
        Target::of(&whole).with("namespace", self.other_namespace())
    }

    /// A page of ours, in that namespace.
    pub(super) fn link(&self, parts: &[&str]) -> Target {
        let whole: Vec<&str> = std::iter::once("console").chain(parts.iter().copied()).collect();
        Target::of(&whole).with("namespace", self.other_namespace())
    }

    /// The namespace, where it is not the one that need not be named.
    pub(super) fn other_namespace(&self) -> &str {
        if self.namespace() == NAMESPACE { "" } else { self.namespace() }
    }

    /// Whether the visitor may run functions.
    pub(super) fn may_invoke(&self) -> bool {
        self.scope >= Scope::Invoke
    }

    /// Whether the visitor may change things.
    pub(super) fn may_change(&self) -> bool {
        self.scope == Scope::Admin
    }
}
