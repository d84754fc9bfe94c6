//! The status page as HTML: self-contained, readable on a phone, complete without its script. Every value is escaped. The content
//! security policy allows only the page's own style and script, so markup in a value would have no effect.

use std::{
    fmt::{self, Write},
    sync::LazyLock,
};

use super::{
    chart::Chart,
    history::POINTS,
    status::{Section, Status},
};
use crate::html::{self, Escaped};

/// The shared style sheet, and the rules that only this page needs.
static STYLE: LazyLock<String> = LazyLock::new(|| html::STYLE.to_owned() + include_str!("page.css"));
const SCRIPT: &str = include_str!("page.js");

/// The page's `Content-Security-Policy`. It allows `data:` images for the empty icon, which avoids a request for `/favicon.ico`.
pub(super) static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        html::source(&STYLE),
        html::source(SCRIPT)
    )
});

/// The whole page. The script replaces each element that has an id with the same element of a newer page.
pub(super) fn page(status: &Status, charts: &[Chart]) -> String {
    let mut html = String::with_capacity(48 * 1024);
    // Writing to a `String` does not fail.
    let _ = write_page(&mut html, status, charts);
    html
}

fn write_page(html: &mut String, status: &Status, charts: &[Chart]) -> fmt::Result {
    let (environment, instance, headline) =
        (Escaped(&status.environment), Escaped(&status.instance), Escaped(&status.headline));
    // A person must recognise production before reading anything.
    let production = if status.environment == "production" { " production" } else { "" };
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>\n\
         <title>{headline} · {environment} · {instance}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{}</style>\n\
         </head>\n<body>\n<header class=\"bar{production}\"><h1>wonder-signer</h1><span class=\"environment\">{environment}</span>\
         <span class=\"instance\">{instance}</span></header>\n<main>\n\
         <p id=\"headline\" role=\"status\" class=\"{}\">{headline}</p>\n<ul id=\"problems\">",
        *STYLE,
        Escaped(status.health),
    )?;
    for problem in &status.problems {
        write!(html, "<li>{}", Escaped(&problem.text))?;
        if let Some(entry) = problem.runbook {
            write!(html, " <a href=\"/runbook/{entry}\">runbook: {entry}</a>")?;
        }
        html.push_str("</li>");
    }
    html.push_str("</ul>\n<div id=\"last\">");
    write_table(html, &status.last, "The last success and the last error")?;
    html.push_str("</div>\n<div id=\"charts\" class=\"grid\">\n");
    for chart in charts {
        write_chart(html, chart)?;
    }
    html.push_str("</div>\n<div id=\"sections\" class=\"grid\">\n");
    for section in &status.sections {
        write!(html, "<section><h2>{}</h2>", Escaped(&section.title))?;
        write_table(html, section, &section.title)?;
        html.push_str("</section>\n");
    }
    write!(
        html,
        "</div>\n<nav aria-label=\"more\"><a href=\"/runbook\">runbook</a><a href=\"/metrics\">metrics</a>\
         <a href=\"/config\">configuration</a><a href=\"/status.json\">status as JSON</a></nav>\n</main>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

fn write_table(html: &mut String, section: &Section, name: &str) -> fmt::Result {
    let in_columns = section.columns.len() > 1;
    let class = if in_columns { "figures" } else { "words" };
    write!(html, "<div class=\"scroll\"><table class=\"{class}\" aria-label=\"{}\">", Escaped(name))?;
    if in_columns {
        html.push_str("<thead><tr><td></td>");
        for column in &section.columns {
            write!(html, "<th scope=\"col\">{}</th>", Escaped(column))?;
        }
        html.push_str("</tr></thead>");
    }
    html.push_str("<tbody>");
    for row in &section.rows {
        write!(html, "<tr><th scope=\"row\">{}</th>", Escaped(&row.label))?;
        for cell in &row.cells {
            if in_columns {
                write!(html, "<td>{}</td>", Escaped(&unbroken(cell)))?;
            } else {
                write!(html, "<td>{}</td>", Escaped(cell))?;
            }
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>");
    Ok(())
}

fn write_chart(html: &mut String, chart: &Chart) -> fmt::Result {
    write!(
        html,
        "<figure><figcaption>{}</figcaption><div class=\"plot\"><span class=\"top\" aria-hidden=\"true\">{}</span>\
         <span class=\"bottom\" aria-hidden=\"true\">{}</span>\
         <svg role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {POINTS} 60\" preserveAspectRatio=\"none\">",
        Escaped(chart.title),
        Escaped(&chart.top),
        Escaped(&chart.bottom),
        Escaped(&chart.description),
    )?;
    for (class, path) in &chart.shapes {
        write!(html, "<path class=\"{}\" d=\"{}\"/>", Escaped(class), Escaped(path))?;
    }
    html.push_str("</svg></div><div class=\"axis\" aria-hidden=\"true\"><span>1 h ago</span><span>now</span></div><ul class=\"legend\">");
    for (class, name, figure) in &chart.legend {
        write!(
            html,
            "<li><span class=\"key {}\" aria-hidden=\"true\"></span>{name} <b>{}</b></li>",
            Escaped(class),
            Escaped(figure)
        )?;
    }
    html.push_str("</ul></figure>\n");
    Ok(())
}

/// Keeps a figure and its unit on one line: `2xx 230 · 4xx 27` breaks only after the dot.
fn unbroken(text: &str) -> String {
    text.replace(' ', "\u{a0}").replace("·\u{a0}", "· ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{chart::charts, problems::Problem, status::Row};

    fn status(text: &str) -> Status {
        let section = || Section {
            title: text.to_owned(),
            columns: vec![text.to_owned(); 2],
            rows: vec![Row { label: text.to_owned(), cells: vec![text.to_owned(); 2] }],
        };
        Status {
            health: "good",
            headline: text.to_owned(),
            problems: vec![Problem {
                text: text.to_owned(),
                runbook: Some("WonderSignerDown"),
                stops_everything: false,
            }],
            environment: text.to_owned(),
            instance: text.to_owned(),
            last: section(),
            sections: vec![section()],
        }
    }

    #[test]
    fn escapes_every_value() {
        let html = page(&status("<script>alert(\"1\")</script>&'"), &charts(&[]));
        let safe = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;";
        // Three in the title, two in the bar, headline, problem; columns, label and cells of two tables, title and name of one.
        assert_eq!((html.matches(safe).count(), html.matches("alert(\"").count()), (7 + 5 + 7, 0));
        assert_eq!(html.matches("<script>").count(), 1);
    }

    #[test]
    fn the_policy_names_the_very_style_and_script_of_the_page() {
        let html = page(&status(""), &charts(&[]));
        let inside = |open: &str, close: &str| {
            let from = html.find(open).unwrap() + open.len();
            crate::html::source(&html[from..from + html[from..].find(close).unwrap()])
        };
        assert!(POLICY.contains(&format!("style-src {}", inside("<style>", "</style>"))), "{}", *POLICY);
        assert!(POLICY.contains(&format!("script-src {}", inside("<script>", "</script>"))), "{}", *POLICY);
        assert!(!html.contains("style=") && !html.contains("onclick"));
    }

    #[test]
    fn a_figure_stays_with_its_unit() {
        assert_eq!(unbroken("2xx 230 · 4xx 27"), "2xx\u{a0}230\u{a0}· 4xx\u{a0}27");
    }

    #[test]
    fn production_is_marked_and_nothing_else_is() {
        let marked = |environment: &str| {
            let mut status = status("x");
            status.environment = environment.to_owned();
            page(&status, &[]).contains("class=\"bar production\"")
        };
        assert_eq!(["production", "staging", "custom"].map(marked), [true, false, false]);
    }
}
