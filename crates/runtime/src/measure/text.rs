//! Reading what a process tells Prometheus: it is also what the status page is made of.

/// A value with its name and labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The name, with `_bucket`, `_sum` or `_count` where it is of a histogram.
    pub name: String,
    /// The labels, in the order in which they were told.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// The value of the label `name`; empty where there is none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value)
    }
}

/// All samples of a text in Prometheus' format. What can't be read is left out.
pub fn samples(text: &str) -> Vec<Sample> {
    text.lines().filter_map(split).filter_map(|(series, value)| read(series, value)).collect()
}

/// The series and the value of a line; none of comments and empty lines.
pub(crate) fn split(line: &str) -> Option<(&str, f64)> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    Some((series, value.parse().ok()?))
}

/// The sample of a series.
pub(crate) fn read(series: &str, value: f64) -> Option<Sample> {
    let Some((name, labels)) = series.split_once('{') else {
        return Some(Sample { name: series.to_owned(), labels: Vec::new(), value });
    };
    Some(Sample { name: name.to_owned(), labels: read_labels(labels.strip_suffix('}')?)?, value })
}

/// `a="b",c="d"`, in which `\`, `"` and line ends of the values are escaped.
fn read_labels(text: &str) -> Option<Vec<(String, String)>> {
    let (mut labels, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => match letters.next()?.1 {
                    'n' => value.push('\n'),
                    letter => value.push(letter),
                },
                (_, letter) => value.push(letter),
            }
        };
        labels.push((name.to_owned(), value));
        rest = after[end + 1..].trim_start_matches(',');
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_labels_and_values_are_read_and_comments_are_not() {
        let text = "# HELP a b\n# TYPE a counter\na{x=\"1\",y=\"a \\\"b\\\", \\\\c\\n\"} 2\n\nb_sum 0.5\nbroken{x=1} 3\nc{le=\"+Inf\"} 7\n";
        let read = samples(text);
        assert_eq!(read.len(), 3, "{read:?}");
        assert_eq!((read[0].label("x"), read[0].label("y"), read[0].value), ("1", "a \"b\", \\c\n", 2.0));
        assert_eq!((read[1].name.as_str(), read[1].value), ("b_sum", 0.5));
        assert_eq!(read[2].label("le"), "+Inf");
        assert_eq!(read[2].label("none"), "");
    }
}
