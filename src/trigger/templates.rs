//! Events to try a function with, one for each kind of trigger: the list that the cloud's console offers (triggers 7), in the shapes
//! in which the triggers here fire.

/// An event to try a function with.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// What it is asked for by.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// The event, JSON.
    pub event: &'static str,
}

/// All of them.
pub const TEMPLATES: [Template; 7] = [
    template("hello_world", "Hello World", include_str!("templates/hello_world.json")),
    template("cos_put", "COS PUT: an object was stored", include_str!("templates/cos_put.json")),
    template("cos_post", "COS POST: an object was stored by a form", include_str!("templates/cos_post.json")),
    template("cos_delete", "COS DELETE: an object was deleted", include_str!("templates/cos_delete.json")),
    template("ckafka", "CKafka: a message of a topic", include_str!("templates/ckafka.json")),
    template("apigw", "API Gateway: a request", include_str!("templates/apigw.json")),
    template("timer", "Timer: a moment", include_str!("templates/timer.json")),
];

const fn template(name: &'static str, title: &'static str, event: &'static str) -> Template {
    Template { name, title, event }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_json() {
        for template in TEMPLATES {
            let event: serde_json::Value = serde_json::from_str(template.event).unwrap();
            assert!(event.is_object(), "{}", template.name);
        }
    }
}
