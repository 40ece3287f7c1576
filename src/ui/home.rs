//! The first page.

use askama::Template;

use super::page::Page;

#[derive(Template)]
#[template(path = "home.html", config = "src/ui/askama.toml")]
pub struct Home;

pub async fn show() -> Page<Home> {
    Page(Home)
}
