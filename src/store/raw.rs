//! Names of stored objects that are no text, as text. Nothing of a vault is called so: they are what others, or a damaged
//! directory of the file system, have made of its names, and what lies under them may be the only copy.
//!
//! Such a name is `.wardfs.raw.` with its bytes behind: `%XX` for each that is no printable ASCII, and for `%`. A name that really
//! begins so is given in the same form, with its first byte as `%2E`. So each name has one form, and each form is one name.
use std::borrow::Cow;

/// What the names begin with that stand for others.
const PREFIX: &str = ".wardfs.raw.";

/// The name as text, if it is not that by itself.
pub(super) fn escaped(name: Vec<u8>) -> Vec<u8> {
    let begins_so = name.starts_with(PREFIX.as_bytes());
    if !begins_so && std::str::from_utf8(&name).is_ok() {
        return name;
    }
    let mut text = PREFIX.as_bytes().to_vec();
    for (at, &byte) in name.iter().enumerate() {
        if byte.is_ascii_graphic() && byte != b'%' && !(begins_so && at == 0) {
            text.push(byte);
        } else {
            text.extend(format!("%{byte:02X}").into_bytes());
        }
    }
    text
}

/// The bytes of the name that a component stands for; none if it stands for nothing.
pub(super) fn unescaped(component: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(text) = component.strip_prefix(PREFIX.as_bytes()) else {
        return Some(component.into());
    };
    let mut name = Vec::with_capacity(text.len());
    let mut left = text;
    while let [byte, rest @ ..] = left {
        left = rest;
        if *byte != b'%' {
            name.push(*byte);
            continue;
        }
        let (digits, rest) = rest.split_at_checked(2)?;
        name.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        left = rest;
    }
    let is_name = !name.iter().any(|byte| [0, b'/'].contains(byte));
    (is_name && escaped(name.clone()) == component).then_some(Cow::Owned(name))
}

/// The bytes of a path, by its components.
pub(super) fn unescaped_path(path: &str) -> Cow<'_, [u8]> {
    // Each that stands for another has at least one such byte.
    if !path.contains('%') {
        return path.as_bytes().into();
    }
    let names = path.as_bytes().split(|byte| *byte == b'/');
    let names: Vec<Cow<'_, [u8]>> = names
        .map(|name| unescaped(name).unwrap_or(name.into()))
        .collect();
    names.join(&b'/').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_one_form_and_text_stays_as_it_is() {
        let plain = ["a", "a%FFb", ".wardfs.ra", "\u{e4} b", "%2E"];
        for name in plain {
            assert_eq!(escaped(name.into()), name.as_bytes());
            assert_eq!(unescaped(name.as_bytes()).unwrap(), name.as_bytes());
        }
        let odd: [(&[u8], &str); 4] = [
            (b"mo\xffved", ".wardfs.raw.mo%FFved"),
            (b"\xff %\n.", ".wardfs.raw.%FF%20%25%0A."),
            (b".wardfs.raw.", ".wardfs.raw.%2Ewardfs.raw."),
            (b".wardfs.raw.%FF", ".wardfs.raw.%2Ewardfs.raw.%25FF"),
        ];
        for (name, text) in odd {
            assert_eq!(escaped(name.to_vec()), text.as_bytes());
            assert_eq!(unescaped(text.as_bytes()).unwrap(), name);
        }
        let path = unescaped_path("a%FF/.wardfs.raw.%FF/c");
        assert_eq!(&*path, b"a%FF/\xff/c");
    }

    #[test]
    fn what_stands_for_no_name_or_for_one_that_has_another_form_is_none() {
        for text in [
            "",
            "plain",
            "%2E%2E",
            "..",
            "%FF%2Fa",
            "%FF%00",
            "%FF/",
            "%ff",
            "%F",
            "%",
            "%FF%",
            "%FF%41",
            "%+F",
            "\u{e4}%FF",
        ] {
            let text = format!("{PREFIX}{text}");
            assert_eq!(unescaped(text.as_bytes()), None, "{text}");
        }
    }
}
