//! From a template's text to tokens.

use super::{Place, TemplateError, value::integer};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Text outside of actions, trimmed as the markers beside it say.
    Text(String),
    /// `{{` and `}}`
    Open,
    Close,
    /// `.name`, without the dot.
    Field(String),
    Dot,
    /// `$name`, without the dollar; `$` alone is empty.
    Variable(String),
    Identifier(String),
    String(String),
    Int(i64),
    Float(f64),
    LeftParenthesis,
    RightParenthesis,
    Pipe,
    Comma,
    Declare,
    Assign,
    /// White space inside an action: it tells `.a .b` from `.a.b`.
    Space,
}

pub(super) struct Spanned {
    pub token: Token,
    pub offset: usize,
}

/// Turns offsets into places.
pub(super) fn place(text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    Place { line, column }
}

pub(super) fn lex(text: &str) -> Result<Vec<Spanned>, TemplateError> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    let mut trim = false;
    while lexer.at < text.len() {
        let rest = &text[lexer.at..];
        let open = rest.find("{{");
        let (mut content, start) = (&rest[..open.unwrap_or(rest.len())], lexer.at);
        if trim {
            content = content.trim_start_matches(SPACE);
        }
        let Some(open) = open else {
            lexer.text_token(content, start);
            break;
        };
        let inside = &rest[open + 2..];
        let trims = inside.strip_prefix('-').is_some_and(|inside| inside.starts_with(SPACE));
        if trims {
            content = content.trim_end_matches(SPACE);
        }
        lexer.text_token(content, start);
        lexer.at += open;
        trim = lexer.action(trims)?;
    }
    Ok(lexer.tokens)
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    tokens: Vec<Spanned>,
}

impl Lexer<'_> {
    fn text_token(&mut self, content: &str, offset: usize) {
        if !content.is_empty() {
            self.tokens.push(Spanned { token: Token::Text(content.to_owned()), offset });
        }
    }

    fn error<T>(&self, offset: usize, message: impl Into<String>) -> Result<T, TemplateError> {
        Err(TemplateError { place: place(self.text, offset), message: message.into() })
    }

    fn push(&mut self, token: Token, length: usize) {
        self.tokens.push(Spanned { token, offset: self.at });
        self.at += length;
    }

    /// One action, from its `{{`; tells whether it trims the text behind it.
    fn action(&mut self, trims: bool) -> Result<bool, TemplateError> {
        let start = self.at;
        let skip = if trims { 3 } else { 2 };
        let inside = self.text[start + skip..].trim_start_matches(SPACE);
        if inside.starts_with("/*") {
            let offset = self.text.len() - inside.len();
            let Some(end) = inside.find("*/") else { return self.error(start, "the comment has no end, `*/`") };
            let behind = &self.text[offset + end + 2..];
            for (close, trims) in [("}}", false), (" -}}", true)] {
                if behind.starts_with(close) {
                    self.at = offset + end + 2 + close.len();
                    return Ok(trims);
                }
            }
            return self.error(start, "expected `}}` behind the comment");
        }
        self.push(Token::Open, skip);
        loop {
            let rest = &self.text[self.at..];
            let Some(first) = rest.chars().next() else { return self.error(start, "the action has no end, `}}`") };
            if rest.starts_with("}}") {
                self.push(Token::Close, 2);
                return Ok(false);
            }
            let spaces = rest.len() - rest.trim_start_matches(SPACE).len();
            if spaces > 0 {
                let behind = &rest[spaces..];
                if behind.starts_with("-}}") {
                    self.at += spaces;
                    self.push(Token::Close, 3);
                    return Ok(true);
                }
                self.push(Token::Space, spaces);
                continue;
            }
            let name =
                |text: &str| -> usize { text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len()) };
            match first {
                '(' => self.push(Token::LeftParenthesis, 1),
                ')' => self.push(Token::RightParenthesis, 1),
                '|' => self.push(Token::Pipe, 1),
                ',' => self.push(Token::Comma, 1),
                '=' => self.push(Token::Assign, 1),
                ':' if rest.starts_with(":=") => self.push(Token::Declare, 2),
                '.' => match name(&rest[1..]) {
                    0 => self.push(Token::Dot, 1),
                    length => self.push(Token::Field(rest[1..=length].to_owned()), 1 + length),
                },
                '$' => {
                    let length = name(&rest[1..]);
                    self.push(Token::Variable(rest[1..=length].to_owned()), 1 + length);
                }
                '`' => match rest[1..].find('`') {
                    Some(end) => self.push(Token::String(rest[1..=end].to_owned()), end + 2),
                    None => return self.error(self.at, "the string has no end, a backquote"),
                },
                '"' => {
                    let (string, length) = self.quoted(&rest[1..])?;
                    self.push(Token::String(string), length + 1);
                }
                c if c.is_ascii_digit() || matches!(c, '-' | '+') => {
                    let end = rest[1..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'));
                    let number = &rest[..end.map_or(rest.len(), |end| end + 1)];
                    match (integer(number), number.parse()) {
                        (Some(int), _) => self.push(Token::Int(int), number.len()),
                        (None, Ok(float)) if number.contains(['.', 'e', 'E']) => {
                            self.push(Token::Float(float), number.len());
                        }
                        _ => return self.error(self.at, format!("expected a number, found {number:?}")),
                    }
                }
                c if c == '_' || c.is_alphabetic() => {
                    let length = name(rest);
                    self.push(Token::Identifier(rest[..length].to_owned()), length);
                }
                other => return self.error(self.at, format!("{other:?} is not supported here")),
            }
        }
    }

    /// A string behind its `"`, with how many bytes it takes up to and with the closing one.
    fn quoted(&self, text: &str) -> Result<(String, usize), TemplateError> {
        // Escapes may name single bytes of a character.
        let mut bytes = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let length = match c {
                '"' => {
                    let Ok(string) = String::from_utf8(bytes) else {
                        return self.error(self.at, "expected UTF-8, and the escapes make none");
                    };
                    return Ok((string, text.len() - rest.len() + 1));
                }
                '\n' => break,
                '\\' => match escaped(&rest[1..]) {
                    Some((escaped, length)) => {
                        bytes.extend(escaped);
                        1 + length
                    }
                    None => {
                        let found: String = rest.chars().take(2).collect();
                        return self.error(self.at, format!("expected one of Go's escapes, found {found}"));
                    }
                },
                c => {
                    bytes.extend_from_slice(&rest.as_bytes()[..c.len_utf8()]);
                    c.len_utf8()
                }
            };
            rest = &rest[length..];
        }
        self.error(self.at, "the string has no end, a quote")
    }
}

/// What an escape stands for, and how many bytes it takes behind its backslash:
/// <https://go.dev/ref/spec#String_literals>.
fn escaped(text: &str) -> Option<(Vec<u8>, usize)> {
    let digits = |from: usize, count: usize, radix: u32| {
        let digits = text.get(from..from + count).filter(|text| text.chars().all(|c| c.is_digit(radix)))?;
        u32::from_str_radix(digits, radix).ok()
    };
    let byte = |code: Option<u32>| u8::try_from(code?).ok().map(|byte| vec![byte]);
    let character = |code: Option<u32>| char::from_u32(code?).map(|c| c.to_string().into_bytes());
    let one = |byte: u8| Some((vec![byte], 1));
    match text.chars().next()? {
        'a' => one(7),
        'b' => one(8),
        't' => one(b'\t'),
        'n' => one(b'\n'),
        'v' => one(11),
        'f' => one(12),
        'r' => one(b'\r'),
        c @ ('"' | '\\') => one(c as u8),
        'x' => Some((byte(digits(1, 2, 16))?, 3)),
        '0'..='7' => Some((byte(digits(0, 3, 8))?, 3)),
        'u' => Some((character(digits(1, 4, 16))?, 5)),
        'U' => Some((character(digits(1, 8, 16))?, 9)),
        _ => None,
    }
}
