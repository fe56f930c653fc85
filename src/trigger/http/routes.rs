//! Which function a request is for: by the id of a function's own URL, or by service, environment, method and path of the API
//! gateway (triggers 1.4).
//!
//! Of the paths of a service the exact ones (`=/user`) come first, then those that the path begins with (`/user`), the longest
//! first, then those with parts that vary (`/user/{id}`).

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use crate::model::trigger::{Apigw, Http, Placed, Spec};

/// A function's own URL.
#[derive(Debug)]
pub struct Url {
    /// Its trigger.
    pub placed: Placed,
    /// What the trigger says.
    pub http: Http,
}

/// An API of the gateway.
#[derive(Debug)]
pub struct Api {
    /// Its trigger.
    pub placed: Placed,
    /// What the trigger says.
    pub apigw: Apigw,
    /// Its path as it is shown to functions, without the sign for exactness.
    pub path: String,
    pattern: Pattern,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pattern {
    Exact(String),
    /// Longer ones first.
    Prefix(Reverse<usize>, String),
    Parts(Vec<Part>),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Fixed(String),
    Named(String),
}

/// What a path of the gateway leads to.
#[derive(Clone, Debug)]
pub enum Found<'a> {
    /// An API, and the parts of the path that vary, decoded.
    Api(&'a Arc<Api>, Vec<(String, String)>),
    /// The path has these methods only.
    OtherMethods(Vec<&'a str>),
    /// There is no such path.
    Nothing,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Routes {
    urls: HashMap<String, Arc<Url>>,
    /// By service and environment, each in the order in which they are tried.
    services: HashMap<(String, String), Vec<Arc<Api>>>,
}

impl Routes {
    /// Those of the triggers that are on.
    pub fn new(triggers: impl IntoIterator<Item = Placed>) -> Routes {
        let mut routes = Routes::default();
        for placed in triggers {
            match placed.trigger.spec.clone() {
                Spec::Http(http) => {
                    routes.urls.insert(http.url_id.clone(), Arc::new(Url { placed, http }));
                }
                Spec::Apigw(apigw) => routes.add(placed, apigw),
                _ => {}
            }
        }
        for apis in routes.services.values_mut() {
            apis.sort_by(|one, other| {
                one.pattern.cmp(&other.pattern).then_with(|| one.placed.id.cmp(&other.placed.id))
            });
        }
        routes
    }

    fn add(&mut self, placed: Placed, apigw: Apigw) {
        let whole = apigw.path_of(&placed.function);
        let pattern = Pattern::of(&whole);
        let path = whole.trim_start_matches('=').to_owned();
        // Host names, which services are part of, have no case.
        let key = (apigw.service.to_ascii_lowercase(), apigw.environment.clone());
        self.services.entry(key).or_default().push(Arc::new(Api { placed, apigw, path, pattern }));
    }

    /// The URL of that id.
    pub fn url(&self, id: &str) -> Option<&Arc<Url>> {
        self.urls.get(id).or_else(|| self.urls.get(&id.to_ascii_lowercase()))
    }

    /// The API that a request to a service is for; `path` as it came, without the environment.
    pub fn api(&self, service: &str, environment: &str, method: &str, path: &str) -> Found<'_> {
        let apis = self.services.get(&(service.to_ascii_lowercase(), environment.to_owned()));
        let mut methods: Vec<&str> = Vec::new();
        for api in apis.into_iter().flatten() {
            let Some(parts) = api.pattern.matches(path) else { continue };
            if ["ANY", method].contains(&api.apigw.method.as_str()) {
                return Found::Api(api, parts);
            }
            methods.push(&api.apigw.method);
        }
        if methods.is_empty() { Found::Nothing } else { Found::OtherMethods(methods) }
    }
}

impl Pattern {
    fn of(path: &str) -> Pattern {
        if let Some(exact) = path.strip_prefix('=') {
            return Pattern::Exact(exact.to_owned());
        }
        if !path.contains('{') {
            return Pattern::Prefix(Reverse(path.len()), path.to_owned());
        }
        let part = |text: &str| match text.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => Part::Named(name.to_owned()),
            None => Part::Fixed(text.to_owned()),
        };
        Pattern::Parts(path.split('/').map(part).collect())
    }

    /// Whether a path is meant; the parts of it that vary.
    fn matches(&self, path: &str) -> Option<Vec<(String, String)>> {
        match self {
            Pattern::Exact(exact) => (path == exact).then(Vec::new),
            Pattern::Prefix(_, prefix) => path.starts_with(prefix.as_str()).then(Vec::new),
            Pattern::Parts(parts) => {
                let given: Vec<&str> = path.split('/').collect();
                if given.len() != parts.len() {
                    return None;
                }
                let mut values = Vec::new();
                for (part, given) in parts.iter().zip(given) {
                    match part {
                        Part::Fixed(fixed) if fixed == given => {}
                        Part::Named(name) if !given.is_empty() => {
                            let value = percent_decode_str(given).decode_utf8_lossy().into_owned();
                            values.push((name.clone(), value));
                        }
                        _ => return None,
                    }
                }
                Some(values)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::function::{FunctionName, Namespace};
    use crate::model::trigger::{State, Trigger};

    fn api(id: i64, path: &str, method: &str, environment: &str) -> Placed {
        let apigw = Apigw {
            service: "s".into(),
            environment: environment.into(),
            path: path.into(),
            method: method.into(),
            auth_required: false,
            is_integrated: true,
            is_base64: false,
            enables_cors: false,
        };
        Placed {
            id,
            namespace: Namespace::default(),
            function: FunctionName::parse("hello").unwrap(),
            function_id: 1,
            trigger: Trigger {
                name: "t".into(),
                spec: Spec::Apigw(apigw),
                qualifier: "$LATEST".into(),
                enabled: true,
                custom_argument: String::new(),
                description: String::new(),
                created_us: 0,
                modified_us: id,
            },
            state: State::default(),
        }
    }

    fn check(routes: &Routes, method: &str, path: &str, expected: &str) {
        let found = match routes.api("s", "release", method, path) {
            Found::Api(api, parts) => format!("{} {parts:?}", api.placed.id),
            Found::OtherMethods(methods) => methods.join(", "),
            Found::Nothing => "nothing".to_owned(),
        };
        assert_eq!(found, expected, "{method} {path}");
    }

    #[test]
    fn exact_paths_come_first_then_the_longest_beginning_then_those_that_vary() {
        let routes = Routes::new([
            api(1, "/user/{id}", "ANY", "release"),
            api(2, "/us", "ANY", "release"),
            api(3, "/user/me", "ANY", "release"),
            api(4, "=/user/me", "GET", "release"),
            api(5, "/shop/{shop}/items/{item}", "POST", "release"),
            api(6, "/test", "ANY", "test"),
        ]);
        check(&routes, "GET", "/user/me", "4 []");
        check(&routes, "POST", "/user/me", "3 []");
        check(&routes, "GET", "/user/melon", "3 []");
        check(&routes, "GET", "/used", "2 []");
        check(&routes, "POST", "/shop/a%20b/items/7", r#"5 [("shop", "a b"), ("item", "7")]"#);
        check(&routes, "GET", "/shop/a/items/7", "POST");
        check(&routes, "POST", "/shop/a/items/7/x", "nothing");
        check(&routes, "POST", "/shop//items/7", "nothing");
        check(&routes, "GET", "/test", "nothing");
        assert!(matches!(routes.api("other", "release", "GET", "/user"), Found::Nothing));
    }

    #[test]
    fn an_api_without_a_path_has_that_of_its_function() {
        let routes = Routes::new([api(1, "", "ANY", "release")]);
        check(&routes, "GET", "/hello", "1 []");
        check(&routes, "GET", "/other", "nothing");
    }
}
