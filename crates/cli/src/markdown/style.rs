//! How a character looks.

/// What is switched on for a character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) bold: bool,
    pub(super) dim: bool,
    pub(super) italic: bool,
    pub(super) underline: bool,
    pub(super) strike: bool,
    pub(super) code: bool,
}

impl Style {
    pub(super) const PLAIN: Self = Self { bold: false, dim: false, italic: false, underline: false, strike: false, code: false };
    pub(super) const BOLD: Self = Self { bold: true, ..Self::PLAIN };
    pub(super) const DIM: Self = Self { dim: true, ..Self::PLAIN };
    pub(super) const CODE: Self = Self { code: true, ..Self::PLAIN };

    /// Tells a terminal to write like this from now on, whatever it did before.
    pub(super) fn switch(self, out: &mut String) {
        out.push_str("\x1b[0");
        let codes = [
            (self.bold, ";1"),
            (self.dim, ";2"),
            (self.italic, ";3"),
            (self.underline, ";4"),
            (self.strike, ";9"),
            (self.code, ";36"),
        ];
        codes.into_iter().filter(|(on, _)| *on).for_each(|(_, code)| out.push_str(code));
        out.push('m');
    }
}

/// A piece of text of one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) style: Style,
}

impl Run {
    pub(super) fn new(text: impl Into<String>, style: Style) -> Self {
        Run { text: text.into(), style }
    }
}
