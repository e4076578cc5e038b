//! What the user's words look like. Small and honest: marks and scripts, no model.

use crate::ir::{Content, Request, Role};

/// Longer texts are looked at up to here, in bytes.
const LOOK: usize = 64 * 1024;
/// A text is in a language when that has this share of its letters.
const SHARE_PERCENT: u64 = 30;
/// Of Han and kana together, kana have at least this share in Japanese.
const KANA_PERCENT: u64 = 10;

/// The texts of the last message in which the user says something; results of tools are none.
pub(super) fn asked(request: &Request) -> String {
    let said = |message: &&crate::ir::Message| {
        let text = |part: &crate::ir::Part| matches!(&part.content, Content::Text { text, .. } if !text.trim().is_empty());
        message.role == Role::User && message.parts.iter().any(text)
    };
    let last = request.messages.iter().rev().find(said);
    let texts = last.into_iter().flat_map(|message| &message.parts).filter_map(|part| match &part.content {
        Content::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Whether there is code: a fenced block, or at least two lines that look like it.
pub(super) fn is_code(text: &str) -> bool {
    text.contains("```") || start(text).lines().filter(|line| is_code_line(line)).take(2).count() == 2
}

fn is_code_line(line: &str) -> bool {
    const BEGINS: &[&str] = &[
        "#include",
        "#!/",
        "async def ",
        "class ",
        "const ",
        "def ",
        "elif ",
        "export ",
        "fn ",
        "for (",
        "func ",
        "function ",
        "if (",
        "impl ",
        "import ",
        "let ",
        "package ",
        "private ",
        "pub ",
        "public ",
        "return ",
        "SELECT ",
        "static ",
        "struct ",
        "use ",
        "var ",
        "while (",
    ];
    const ENDS: &[&str] = &[";", "{", "}", "};", "});", "=>", "):", "->"];
    let line = line.trim();
    let marked = line.contains(['(', ')', '=', '+', '[', ';', '{', '}', ':', '<', '*', '.']);
    ENDS.iter().any(|end| line.ends_with(end)) || (marked && BEGINS.iter().any(|begin| line.starts_with(begin)))
}

/// What a text is written in: a language that has a script of its own, or a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Zh,
    Ja,
    Ko,
    Th,
    El,
    He,
    Latin,
    Cyrillic,
    Arabic,
    Devanagari,
}

impl Language {
    pub(super) const WORDS: [(Language, &'static str); 10] = [
        (Language::Zh, "zh"),
        (Language::Ja, "ja"),
        (Language::Ko, "ko"),
        (Language::Th, "th"),
        (Language::El, "el"),
        (Language::He, "he"),
        (Language::Latin, "latin"),
        (Language::Cyrillic, "cyrillic"),
        (Language::Arabic, "arabic"),
        (Language::Devanagari, "devanagari"),
    ];

    pub(super) fn find(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(language, _)| *language)
    }

    /// Whether the text is written in it, fenced code left out. A Han character or a Hangul syllable says as much as
    /// three letters, a kana as much as two.
    pub(super) fn is_of(self, text: &str) -> bool {
        let letters = Letters::count(start(text));
        let all = letters.all();
        let cjk = letters.han * 3 + letters.kana * 2;
        let is_japanese = letters.kana * 100 >= (letters.han + letters.kana) * KANA_PERCENT && letters.kana > 0;
        let own = match self {
            Language::Zh if is_japanese => 0,
            Language::Ja if !is_japanese => 0,
            Language::Zh | Language::Ja => cjk,
            Language::Ko => letters.hangul * 3,
            Language::Th => letters.thai,
            Language::El => letters.greek,
            Language::He => letters.hebrew,
            Language::Latin => letters.latin,
            Language::Cyrillic => letters.cyrillic,
            Language::Arabic => letters.arabic,
            Language::Devanagari => letters.devanagari,
        };
        own > 0 && own * 100 >= all * SHARE_PERCENT
    }
}

#[derive(Default)]
struct Letters {
    han: u64,
    kana: u64,
    hangul: u64,
    thai: u64,
    greek: u64,
    hebrew: u64,
    latin: u64,
    cyrillic: u64,
    arabic: u64,
    devanagari: u64,
}

impl Letters {
    fn count(text: &str) -> Self {
        let mut letters = Letters::default();
        // Between fences is code, whose words are English whoever writes them.
        for letter in text.split("```").step_by(2).flat_map(str::chars) {
            let Some(count) = letters.of(letter) else { continue };
            *count += 1;
        }
        letters
    }

    fn of(&mut self, letter: char) -> Option<&mut u64> {
        Some(match letter {
            'a'..='z' | 'A'..='Z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{24F}' => &mut self.latin,
            '\u{1E00}'..='\u{1EFF}' => &mut self.latin,
            '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}' => &mut self.greek,
            '\u{400}'..='\u{52F}' => &mut self.cyrillic,
            '\u{590}'..='\u{5FF}' => &mut self.hebrew,
            '\u{600}'..='\u{6FF}' | '\u{750}'..='\u{77F}' | '\u{FB50}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFE}' => &mut self.arabic,
            '\u{900}'..='\u{97F}' => &mut self.devanagari,
            '\u{E01}'..='\u{E5B}' => &mut self.thai,
            '\u{3041}'..='\u{30FA}' | '\u{30FC}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{FF66}'..='\u{FF9D}' => {
                &mut self.kana
            }
            '\u{1100}'..='\u{11FF}' | '\u{3130}'..='\u{318F}' | '\u{AC00}'..='\u{D7AF}' => &mut self.hangul,
            '\u{3007}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' => &mut self.han,
            '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{323AF}' => &mut self.han,
            _ => return None,
        })
    }

    fn all(&self) -> u64 {
        let Letters { han, kana, hangul, thai, greek, hebrew, latin, cyrillic, arabic, devanagari } = self;
        han * 3 + kana * 2 + hangul * 3 + thai + greek + hebrew + latin + cyrillic + arabic + devanagari
    }
}

/// As much of a text as is looked at.
fn start(text: &str) -> &str {
    let end = (0..=LOOK.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_known_by_its_script() {
        for (text, word) in [
            ("请用 Python 写一个 quicksort", "zh"),
            ("写诗", "zh"),
            ("請幫我翻譯這段文字", "zh"),
            ("東京の天気を教えてください", "ja"),
            ("カレーの作り方", "ja"),
            ("서울 날씨 알려줘", "ko"),
            ("สวัสดีครับ", "th"),
            ("Γειά σου κόσμε", "el"),
            ("שלום עולם", "he"),
            ("Write a poem about 上海", "latin"),
            ("Où est la bibliothèque ?", "latin"),
            ("Привет, мир", "cyrillic"),
            ("مرحبا بالعالم", "arabic"),
            ("नमस्ते दुनिया", "devanagari"),
            ("这段代码有什么问题？\n```\nfn main() { println!(\"hello world, how are you\"); }\n```", "zh"),
        ] {
            let found: Vec<&str> = Language::WORDS.iter().filter(|(it, _)| it.is_of(text)).map(|(_, word)| *word).collect();
            assert_eq!(found.first(), Some(&word), "{text}: {found:?}");
        }
        for text in ["", "12 + 30 = ?", "🙂"] {
            assert!(Language::WORDS.iter().all(|(it, _)| !it.is_of(text)), "{text}");
        }
    }

    #[test]
    fn code_is_known_by_its_marks() {
        for text in [
            "```\nx\n```",
            "Why does this fail?\ndef f(x):\n    return x + 1",
            "int main() {\n  return 0;\n}",
            "import os\nimport sys.path",
            "let a = 1\nlet b = 2",
        ] {
            assert_eq!(is_code(text), text != "import os\nimport sys.path", "{text}");
        }
        for text in ["Let us import more tea.\nFor (once) we use it.", "a; b", "Return to me.\nClass is over.", ""] {
            assert!(!is_code(text), "{text}");
        }
    }

    #[test]
    fn long_texts_are_looked_at_in_part() {
        assert!(Language::Zh.is_of(&"中".repeat(LOOK)));
        assert!(!is_code(&format!("{}\nlet a = 1;\nlet b = 2;", "x".repeat(LOOK))));
    }
}
