//! What an execution does, and what that is called wherever it is named.

/// What an execution does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Canary,
    /// A standalone canary analysis: canaries over one window after the other.
    Analysis,
    /// Two judges on one list of pairs; its row is written when both have judged.
    Comparison,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Canary, Self::Analysis, Self::Comparison];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Analysis => "analysis",
            Self::Comparison => "comparison",
        }
    }

    /// `None` for one that only a newer version knows.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// In a title.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Analysis => "canary analysis",
            Self::Comparison => "comparison",
        }
    }

    /// Where the API finds executions of the kind, and begins them.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Canary => "/canary",
            Self::Analysis => "/standalone_canary_analysis",
            Self::Comparison => "/judges/comparison",
        }
    }

    /// Which member of the answer to a start is the id.
    pub const fn id_member(self) -> &'static str {
        match self {
            Self::Analysis => "canaryAnalysisExecutionId",
            Self::Canary | Self::Comparison => "canaryExecutionId",
        }
    }

    /// Below which each of them has its page; a comparison has none.
    pub const fn page(self) -> &'static str {
        match self {
            Self::Canary | Self::Comparison => "/ui/runs",
            Self::Analysis => "/ui/analyses",
        }
    }

    /// The first part of the key of an archive, and its file; a comparison has none.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Canary | Self::Comparison => "canary_archive",
            Self::Analysis => "standalone_canary_archive",
        }
    }

    /// Kayenta's name of the pipeline. A comparison has that of a canary: only by a stage that is
    /// missing can it be told apart.
    pub const fn pipeline(self) -> &'static str {
        match self {
            Self::Canary | Self::Comparison => "Standard Canary Pipeline",
            Self::Analysis => "Standalone Canary Analysis Pipeline",
        }
    }

    /// Kayenta's name of the document.
    pub const fn response(self) -> &'static str {
        match self {
            Self::Canary | Self::Comparison => "CanaryExecutionStatusResponse",
            Self::Analysis => "CanaryAnalysisExecutionStatusResponse",
        }
    }
}
