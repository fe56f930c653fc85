//! A new function: from a template, or from an archive.

use maud::{Markup, html};

use crate::api::console::functions::deploy::Settings;
use crate::api::console::functions::{link, list};
use crate::api::console::page::Shown;
use crate::api::console::problem::Problem;
use crate::api::console::visit::Visit;
use crate::model::runtime::RUNTIMES;

/// A function to begin with: what tests and the README deploy as well.
struct Template {
    name: &'static str,
    title: &'static str,
    runtime: &'static str,
    handler: &'static str,
    path: &'static str,
    text: &'static str,
}

const TEMPLATES: [Template; 4] = [
    Template {
        name: "python",
        title: "Hello in Python",
        runtime: "Python3.10",
        handler: "index.main_handler",
        path: "index.py",
        text: include_str!("../../../../tests/functions/python/hello/index.py"),
    },
    Template {
        name: "nodejs",
        title: "Hello in Node.js",
        runtime: "Nodejs18.15",
        handler: "index.main_handler",
        path: "index.js",
        text: include_str!("../../../../tests/functions/nodejs/hello/index.js"),
    },
    Template {
        name: "php",
        title: "Hello in PHP",
        runtime: "Php8.0",
        handler: "index.main_handler",
        path: "index.php",
        text: include_str!("../../../../tests/functions/php/hello/index.php"),
    },
    Template {
        name: "custom",
        title: "Hello as a program of any language (bash and curl)",
        runtime: "CustomRuntime",
        handler: "main",
        path: "bootstrap",
        text: include_str!("../../../../tests/functions/custom/hello/bootstrap"),
    },
];

pub(super) fn forms(visit: &Visit<'_>) -> Markup {
    let typed = |name: &str, usual: &'static str| visit.value(name, usual).to_owned();
    html! {
        section aria-labelledby="new" {
            h2 id="new" { "New function" }
            form.stack method="post" action=(visit.link(&["functions"]).text()) {
                label { "Name" input name="name" value=(typed("name", "")) required autocapitalize="off" spellcheck="false"; }
                label { "Begin with"
                    select name="template" {
                        @for template in &TEMPLATES {
                            option value=(template.name) selected[template.name == typed("template", "python")] { (template.title) }
                        }
                    }
                }
                button { "Create" }
            }
            h2 { "From an archive" }
            form.stack data-upload=(visit.link(&["functions", "NAME", "upload"]).text()) {
                label { "Zip archive" input name="file" type="file" accept=".zip,application/zip" required; }
                label { "Name" input name="name" required autocapitalize="off" spellcheck="false"; }
                label { "Runtime" select name="runtime" {
                    @for runtime in RUNTIMES { option selected[runtime.name == TEMPLATES[0].runtime] { (runtime.name) } }
                } }
                label { "Handler" input name="handler" value=(TEMPLATES[0].handler) autocapitalize="off" spellcheck="false"; }
                (upload_button())
            }
        }
    }
}

/// The end of a form whose file a script sends, so that it can show how far it is.
pub(super) fn upload_button() -> Markup {
    html! {
        noscript { p.quiet { "Sending a file from here needs JavaScript; " code { "fnlite deploy NAME FILE.zip" } " does the same." } }
        button { "Upload and deploy" }
        progress max="1" value="0" hidden aria-label="How much has been sent" {}
        p.problem role="alert" hidden {}
    }
}

pub(in crate::api::console) fn by_template(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let name = visit.form.word("name");
    let wanted = visit.form.word("template");
    let template = TEMPLATES.iter().find(|template| template.name == wanted);
    let template = template.ok_or_else(|| Problem::new(400, "There is no such template."))?;
    let settings = Settings::new(template.runtime, template.handler);
    match settings.deploy_files(visit, name, &[(template.path, template.text)]) {
        Ok(()) => Shown::on(link(visit, name, ""), "created"),
        Err(problem) => Ok(list(visit)?.refused(&problem)),
    }
}

/// Makes a function of an archive that a script sends, or, where nothing is said of runtime and handler, gives the one that is
/// there other code.
pub(in crate::api::console) fn by_archive(visit: &Visit<'_>) -> Result<Shown, Problem> {
    let (name, runtime) = (visit.part(0), visit.query.word("runtime"));
    let (settings, done) = if runtime.is_empty() {
        (Settings::of(visit)?, "deployed")
    } else {
        (Settings::new(runtime, visit.query.word("handler")), "created")
    };
    settings.deploy(visit, name, &visit.file)?;
    Shown::on(link(visit, name, ""), done)
}
