//! What a query can have beside its type and templates, for those who write one.

/// One member of the queries of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: &'static str,
    pub shape: Shape,
    /// What it is, for who writes a query.
    pub says: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Text,
    Texts,
    /// Of a key and a value.
    Pairs,
    /// Texts by name.
    Named,
}

impl Member {
    pub const fn text(name: &'static str, says: &'static str) -> Self {
        Self::of(name, Shape::Text, says)
    }

    pub const fn texts(name: &'static str, says: &'static str) -> Self {
        Self::of(name, Shape::Texts, says)
    }

    pub const fn of(name: &'static str, shape: Shape, says: &'static str) -> Self {
        Self { name, shape, says }
    }

    /// As one begins to write it, in JSON.
    pub const fn blank(&self) -> &'static str {
        match self.shape {
            Shape::Text => r#""""#,
            Shape::Texts => "[]",
            Shape::Pairs => r#"[{"key": "", "value": ""}]"#,
            Shape::Named => "{}",
        }
    }
}
