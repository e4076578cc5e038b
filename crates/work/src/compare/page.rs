//! A comparison as one self-contained page: no script, nothing fetched, charts as inline SVG.

use std::fmt::Write;

use super::{Answer, Report, Round, Standing};

const STYLE: &str = "
:root{color-scheme:light dark;--line:#8884;--bar:#3b82f6;--dim:#888}
*{box-sizing:border-box}
body{font:15px/1.55 system-ui,sans-serif;max-width:90rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2.5rem;border-top:1px solid var(--line);padding-top:1rem}
table{border-collapse:collapse;width:100%;display:block;overflow-x:auto}
th,td{padding:.35rem .8rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}
.charts,.answers{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(19rem,1fr));margin:1rem 0}
figure,article{margin:0;border:1px solid var(--line);border-radius:8px;padding:.8rem;min-width:0}
figcaption,header,.why{color:var(--dim);font-size:.85rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit;margin:.5rem 0 0}
.prompt{border-left:3px solid var(--bar);padding-left:.8rem}.best{border-color:var(--bar)}.bad{color:#dc2626}
svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:currentColor}svg rect{fill:var(--bar)}";

/// Text within a page.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What browsers drop, or terminals obey.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

impl Report {
    /// The page, whole.
    pub fn page(&self) -> String {
        let names: Vec<&str> = self.models.iter().map(|model| model.model.as_str()).collect();
        let title = escape(&names.join(" · "));
        let mut page = format!(
            "<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n<style>{STYLE}\n</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        );
        self.write_table(&mut page);
        self.write_charts(&mut page);
        self.rounds.iter().for_each(|round| write_round(&mut page, round));
        page.push_str("</body>\n</html>\n");
        page
    }

    fn write_table(&self, page: &mut String) {
        page.push_str("<table>\n<tr><th>model</th><th>answers</th><th>first token</th><th>tokens/s</th><th>cost</th><th>score</th><th>best</th></tr>\n");
        for model in &self.models {
            let failed =
                if model.failed > 0 { format!(" <span class=bad>({} failed)</span>", model.failed) } else { String::new() };
            let first = model.first.map(|first| format!("{} ms", first.as_millis()));
            let cells = [
                format!("{}{failed}", model.answered),
                first.unwrap_or_default(),
                model.tokens_per_second.map(|speed| format!("{speed:.1}")).unwrap_or_default(),
                model.cost.map(|cost| cost.to_string()).unwrap_or_default(),
                model.score.map(|score| format!("{score:.1}")).unwrap_or_default(),
                model.score.map(|_| model.wins.to_string()).unwrap_or_default(),
            ];
            let cells = cells.map(|cell| format!("<td>{cell}</td>")).concat();
            let _ = writeln!(page, "<tr><td>{}</td>{cells}</tr>", escape(&model.model));
        }
        page.push_str("</table>\n");
    }

    #[expect(clippy::cast_precision_loss)]
    fn write_charts(&self, page: &mut String) {
        type Figure = fn(&Standing) -> Option<f64>;
        let charts: [(&str, Figure, usize, &str); 4] = [
            ("time to first token, ms (less is better)", |model| Some(model.first?.as_secs_f64() * 1000.0), 0, ""),
            ("tokens per second", |model| model.tokens_per_second, 1, ""),
            ("cost", |model| Some(model.cost?.micros as f64 / 1e6), 6, ""),
            ("score of the judge, of 10", |model| model.score, 1, ""),
        ];
        page.push_str("<div class=charts>\n");
        for (title, figure, digits, unit) in charts {
            let bars: Vec<(&str, f64)> =
                self.models.iter().filter_map(|model| Some((model.model.as_str(), figure(model)?))).collect();
            let most = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
            if bars.is_empty() || most <= 0.0 {
                continue;
            }
            let _ = write!(
                page,
                "<figure><figcaption>{title}</figcaption><svg viewBox=\"0 0 320 {}\" role=\"img\">",
                bars.len() * 34
            );
            for ((model, value), at) in bars.iter().zip(0usize..) {
                let (top, width) = (at * 34, value / most * 240.0);
                let _ = write!(
                    page,
                    "<text x=\"0\" y=\"{}\">{}</text><rect x=\"0\" y=\"{}\" width=\"{width:.1}\" height=\"12\" rx=\"2\"/><text x=\"{:.1}\" y=\"{}\">{value:.digits$}{unit}</text>",
                    top + 11,
                    escape(model),
                    top + 16,
                    width + 5.0,
                    top + 26,
                );
            }
            page.push_str("</svg></figure>\n");
        }
        page.push_str("</div>\n");
    }
}

fn write_round(page: &mut String, round: &Round) {
    let _ = writeln!(page, "<h2>{}</h2>\n<pre class=prompt>{}</pre>", escape(&round.id), escape(&round.prompt));
    if let Some(verdict) = &round.verdict {
        let why = verdict.error.as_ref().map_or_else(|| verdict.why.clone(), |error| format!("no verdict: {error}"));
        let _ = writeln!(page, "<p class=why>{}</p>", escape(&why));
    }
    page.push_str("<div class=answers>\n");
    for (answer, at) in round.answers.iter().zip(0usize..) {
        let best = round.verdict.as_ref().is_some_and(|verdict| verdict.best == Some(at));
        let score = round.verdict.as_ref().and_then(|verdict| verdict.scores.get(at).copied().flatten());
        let mut figures = figures(answer);
        figures.extend(score.map(|score| format!("{score}/10")));
        let class = if best { " class=best" } else { "" };
        let _ = writeln!(
            page,
            "<article{class}><b>{}</b><header>{}</header><pre>{}</pre>{}</article>",
            escape(&answer.model),
            escape(&figures.join(" · ")),
            escape(&answer.text),
            answer.error.as_ref().map(|error| format!("<p class=bad>{}</p>", escape(error))).unwrap_or_default(),
        );
    }
    page.push_str("</div>\n");
}

/// First token, speed, tokens, cost: what is known of them.
fn figures(answer: &Answer) -> Vec<String> {
    let mut figures = Vec::new();
    figures.extend(answer.first.map(|first| format!("first token {} ms", first.as_millis())));
    figures.extend(answer.tokens_per_second.map(|speed| format!("{speed:.1} tokens/s")));
    figures.extend(answer.output.map(|tokens| format!("{tokens} tokens")));
    figures.extend(answer.cost.map(|cost| cost.to_string()));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_answer_becomes_markup() {
        let evil = "<script>alert('x')</script>\u{1b}[31m&\"";
        let answer = Answer { model: evil.to_owned(), text: evil.to_owned(), error: Some(evil.to_owned()), ..Answer::default() };
        let round = Round { id: evil.to_owned(), prompt: evil.to_owned(), answers: vec![answer], verdict: None };
        let model = Standing { model: evil.to_owned(), tokens_per_second: Some(3.0), ..Standing::default() };
        let page = Report { models: vec![model], rounds: vec![round] }.page();
        assert!(!page.contains("<script") && !page.contains('\u{1b}') && page.contains("&lt;script&gt;"));
        assert!(!page.contains("http:") && !page.contains("https:") && page.contains("<svg"));
    }
}
