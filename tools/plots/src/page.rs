// SPDX-License-Identifier: GPL-2.0-only
//! The page around the plots.

const CSS: &str = include_str!("page.css");

/// `text` for HTML and SVG.
pub fn escape(text: &str) -> String {
    let one = |c: char| match c {
        '&' => "&amp;".to_string(),
        '<' => "&lt;".to_string(),
        '>' => "&gt;".to_string(),
        '"' => "&quot;".to_string(),
        c => c.to_string(),
    };
    text.chars().map(one).collect()
}

/// A whole page: `title` is plain text, `body` is HTML.
pub fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>\n{CSS}</style>\n</head>\n\
         <body>\n{body}</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_text() {
        let page = page("<script>", "<p>body</p>");
        assert!(page.contains("<title>&lt;script&gt;</title>") && page.contains("<p>body</p>"), "{page}");
    }
}
